#!/usr/bin/env python3
"""What hack/up shows: one document posted, and each phase of its job as the API tells it.

``demo.py post URL ID`` posts the document and prints its phase; ``demo.py follow URL ID`` prints
every later phase, has the job purged once it is over, and waits until it has been collected.
"""

import json
import os
import sys
import time
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

DOCUMENT_ARGS = ["-c", "echo Hello; sleep 2"]
DEADLINE = 60.0
"""Seconds until the job must have been collected."""
POLL = 0.02


def main() -> None:
    """Do what the first argument says."""
    action, url, name = sys.argv[1:]
    if action == "post":
        post(url, name)
    else:
        follow(url, name)


def post(url: str, name: str) -> None:
    """Post the document and print what the API says of its job."""
    document = {"args": DOCUMENT_ARGS, "id": name}
    body = json.dumps(document)
    print(f"POST {url}/job  {body}")
    headers = {"Content-Type": "application/json"} | read_token()
    request = Request(f"{url}/job", body.encode(), headers)
    with urlopen(request, timeout=30) as response:
        job = json.load(response)["id"]
        print(f"  {response.status}  id {job}")
    print(f"GET  {url}/job/{job}")
    print(f"  {describe(read(url, job))}", flush=True)


def follow(url: str, name: str) -> None:
    """Print each new phase until the API knows the job no more."""
    job = f"demo-job-{name}"
    # Pending has been printed; a fast controller is beyond it by now.
    first = describe(read(url, job))
    seen = first if first.startswith("Pending") else ""
    is_purged = False
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = read(url, job)
        shown = describe(found)
        if shown != seen:
            print(f"  {shown}", flush=True)
            seen = shown
        if found is None:
            return
        if found["finished"] and not is_purged:
            purge(url, job)
            is_purged = True
        time.sleep(POLL)
    sys.exit(f"job {job} was not collected within {DEADLINE:.0f} s; it is: {seen}")


def purge(url: str, job: str) -> None:
    """Have the job collected at once, not when the controller's time for it is over."""
    print(f"DELETE {url}/job/{job}?purge=true", flush=True)
    request = Request(f"{url}/job/{job}?purge=true", headers=read_token(), method="DELETE")
    with urlopen(request, timeout=30) as response:
        response.read()


def read_token() -> dict[str, str]:
    """Return the header with the token in the variable TOKEN, none without one."""
    token = os.environ.get("TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def read(url: str, job: str) -> dict[str, object] | None:
    """Return what the API says of the job, or None once it is gone."""
    try:
        with urlopen(Request(f"{url}/job/{job}", headers=read_token()), timeout=30) as response:
            found: dict[str, object] = json.load(response)
            return found
    except HTTPError as error:
        if error.code == 404:
            return None
        raise


def describe(job: dict[str, object] | None) -> str:
    """Return a phase and why, as one line that changes only when the phase does."""
    if job is None:
        return "collected"
    reason = f" ({job['reason']})" if job.get("reason") else ""
    code = f", exit code {job['exitCode']}" if job["phase"] in ("Succeeded", "Failed") else ""
    return f"{job['phase']}{reason}{code}"


if __name__ == "__main__":
    try:
        main()
    except (HTTPException, URLError) as error:
        sys.exit(f"demo: {error}")
