"""Every verb of ``docker-job`` against the API, on an engine in memory."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.fakes.engine.engine import Script
from tests.support.api import manifest
from tests.support.command import (
    ERR,
    OUT,
    ServedApi,
    Terminal,
    run_command,
    run_on_terminal,
    serve_api,
)
from tests.support.processes import call
from tests.support.waiting import wait_until

QUEUE = """
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {name: etl}
spec: {paused: true}
"""


def behave(body: Mapping[str, object]) -> Script:
    """Do what the command says: run for ever, or write and exit with a code."""
    command: Any = body["Cmd"]
    verb, *rest = command
    if verb == "stay":
        return Script(output=[(OUT, b"begun\n")])
    output = [(OUT, b"\xffout\n"), (ERR, b"err\n"), (OUT, b"no newline")]
    return Script(seconds=0.01, exit_code=int(*rest), output=output)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    file = tmp_path_factory.mktemp("queues") / "queues.yaml"
    file.write_text(QUEUE)
    with serve_api(behave, file) as served:
        yield served


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return the id of a job that no other test has."""
    return f"job-{crc32(request.node.name.encode()):x}"


def spell(name: str, *command: str, **members: object) -> bytes:
    return json.dumps(manifest(name, *command, **members)).encode()


def submit(api: ServedApi, name: str, *command: str, **members: object) -> None:
    done = run_command("submit", url=api.url, stdin=spell(name, *command, **members))
    assert (done.status, done.out) == (0, f"{name}\n"), done.err


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)


def start_once_there(api: ServedApi, name: str) -> None:
    wait_until(lambda: name in api.call(api.engine.names), "the job is there")
    api.run_job(name)


def test_submit_prints_the_id_alone_and_may_be_repeated(api: ServedApi, name: str) -> None:
    submit(api, name, "exit", "0")
    again = run_command("submit", "-", url=api.url, stdin=spell(name, "exit", "0"))
    assert (again.status, again.out) == (0, f"{name}\n")
    assert again.err == f"docker-job: {name} was there already, Pending\n"
    told = run_command("submit", "-o", "json", url=api.url, stdin=spell(name, "exit", "0"))
    assert json.loads(told.out)["sameDocument"] is True


def test_a_document_is_made_of_a_file_and_members(
    api: ServedApi, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_bytes(spell("other", "exit", "0"))
    done = run_command("submit", str(file), "--arg", f"Name={name}", url=api.url)
    assert (done.status, done.out) == (0, f"{name}\n")
    members = ("--arg", "Image=busybox:job", "--argjson", 'Cmd=["exit", "0"]')
    done = run_command("submit", "--arg", f"Name={name}-2", *members, "-p", "a/b", url=api.url)
    assert done.out == f"{name}-2\n", done.err
    shown = json.loads(run_command("show", f"{name}-2", "-o", "json", url=api.url).out)
    assert shown["path"] == "/job/a/b"
    missing = run_command("submit", "/nowhere", url=api.url)
    assert (missing.status, missing.err) == (
        2,
        "docker-job: cannot read /nowhere: No such file or directory\n",
    )
    assert run_command("submit", "--arg", "x", url=api.url).status == 2
    assert run_command("submit", "--argjson", "x=}", url=api.url).status == 2
    no_object = run_command("submit", "-", "--arg", "a=b", url=api.url, stdin=b"[]")
    assert (no_object.status, no_object.out) == (2, "")


def test_a_trial_shows_the_manifest_and_records_nothing(api: ServedApi, name: str) -> None:
    done = run_command("submit", "--dry-run", url=api.url, stdin=spell(name, "exit", "0"))
    assert json.loads(done.out)["Cmd"] == ["exit", "0"]
    assert name in done.err
    assert name not in api.call(api.engine.names)


def test_a_refusal_says_all_that_is_wrong(api: ServedApi, name: str) -> None:
    host = {"Privileged": True, "PidMode": "host"}
    done = run_command("submit", url=api.url, stdin=spell(name, "exit", "0", HostConfig=host))
    assert (done.status, done.out) == (125, "")
    assert "/HostConfig/Privileged: " in done.err
    assert "/HostConfig/PidMode: " in done.err


@pytest.mark.parametrize("code", [0, 7])
def test_run_ends_with_the_jobs_own_code_and_its_bytes(
    api: ServedApi, name: str, code: int
) -> None:
    with meanwhile(lambda: start_once_there(api, name)):
        done = run_command("run", url=api.url, stdin=spell(name, "exit", str(code)))
    assert done.status == code
    assert done.raw == b"\xffout\nno newline"
    words = [line for line in done.err.splitlines() if "Pending" not in line]
    assert words == ["err", *([f"docker-job: {name}: Failed: exited 7"] if code else [])]


def test_run_tells_where_the_job_stands_and_detaches(api: ServedApi, name: str) -> None:
    def interrupt() -> None:
        wait_until(lambda: name in api.call(api.engine.names), "the job is there")
        api.run_job(name)
        # once its first line is out, the command follows
        wait_until(lambda: api.call(lambda: api.engine.get_log(name).readings), "it is followed")
        os.kill(os.getpid(), signal.SIGINT)

    with meanwhile(interrupt):
        done = run_command("run", url=api.url, stdin=spell(name, "stay"), program=("job",))
    assert done.status == 130
    last = f"detached; {name} goes on; to follow or to cancel it:"
    assert done.err.endswith(
        f"docker job: {last}\n  docker job logs -f {name}\n  docker job cancel {name}\n"
    )
    assert run_command("cancel", "--purge", name, url=api.url).status == 0


def test_run_on_a_terminal_redraws_one_line_and_takes_it_away(api: ServedApi, name: str) -> None:
    terminal = Terminal(80)

    def start() -> None:
        wait_until(lambda: b"Pending" in terminal.text, "the line is drawn")
        api.run_job(name)

    with meanwhile(start):
        done = run_on_terminal(
            *("run", "--arg", f"Name={name}", "--arg", "Image=busybox:job"),
            *("--argjson", 'Cmd=["exit", "3"]'),
            url=api.url,
            terminal=terminal,
        )
    assert done.status == 3
    assert f"{name}: Pending, in queue default" in done.out
    # the line is erased before the log begins
    assert "\x1b[2K" in done.out
    assert done.out.rindex("Pending") < done.out.rindex("\x1b[2K") < done.out.index("out\n")


def test_run_removes_the_job_if_asked(api: ServedApi, name: str) -> None:
    with meanwhile(lambda: start_once_there(api, name)):
        done = run_command("run", "--rm", url=api.url, stdin=spell(name, "exit", "0"))
    assert done.status == 0
    shown = json.loads(run_command("show", name, "-o", "json", url=api.url).out)
    assert shown["cancel"]["purge"] is True


def test_run_of_a_job_that_is_cancelled_before_it_starts_fails(api: ServedApi, name: str) -> None:
    def cancel() -> None:
        wait_until(lambda: name in api.call(api.engine.names), "the job is there")
        assert call("DELETE", f"{api.url}/job/{name}").code == 200

    with meanwhile(cancel):
        done = run_command("run", url=api.url, stdin=spell(name, "exit", "0"))
    assert done.status == 1
    assert f"{name}: Cancelled" in done.err


def test_wait_has_the_code_of_one_and_1_of_several(api: ServedApi, name: str) -> None:
    for number, code in enumerate((0, 5)):
        submit(api, f"{name}-{number}", "exit", str(code))
    first, second = f"{name}-0", f"{name}-1"
    with meanwhile(lambda: start_once_there(api, second)):
        done = run_command("wait", second, url=api.url)
    assert (done.status, done.out) == (5, "")
    assert done.err.splitlines()[0].startswith(f"docker-job: {second}: ")
    assert done.err.splitlines()[-1] == f"docker-job: {second}: Failed: exited 5"
    with meanwhile(lambda: start_once_there(api, first)):
        done = run_command("wait", first, second, "-o", "name", url=api.url)
    assert (done.status, sorted(done.out.split())) == (1, [first, second])
    assert run_command("wait", first, url=api.url).status == 0


def test_wait_ends_with_any_or_when_the_time_is_up(api: ServedApi, name: str) -> None:
    submit(api, f"{name}-0", "stay")
    submit(api, f"{name}-1", "exit", "0")
    with meanwhile(lambda: start_once_there(api, f"{name}-1")):
        done = run_command("wait", "--any", f"{name}-0", f"{name}-1", url=api.url)
    assert done.status == 0
    done = run_command("wait", f"{name}-0", "--timeout", "0.3", url=api.url)
    assert (done.status, done.err.splitlines()[-1]) == (
        124,
        "docker-job: the time is up; nothing was changed",
    )
    assert run_command("wait", "nobody", url=api.url).status == 125


def test_logs_of_one_job_are_its_bytes_and_of_several_have_their_ids(
    api: ServedApi, name: str
) -> None:
    for number in range(2):
        submit(api, f"{name}-{number}", "exit", "0")
        api.run_job(f"{name}-{number}")
        assert run_command("wait", f"{name}-{number}", url=api.url).status == 0
    done = run_command("logs", f"{name}-0", url=api.url)
    assert (done.status, done.raw, done.err) == (0, b"\xffout\nno newline", "err\n")
    assert run_command("logs", "-n", "1", f"{name}-0", url=api.url).raw == b"no newline"
    assert run_command("logs", "--since", "0s", f"{name}-0", url=api.url).raw == b""
    stamped = run_command("logs", "-t", f"{name}-0", url=api.url).raw.splitlines()
    assert [line.partition(b"Z ")[2] for line in stamped] == [b"\xffout", b"no newline"]
    lines = sorted(
        f"{name}-{number} | {text}" for number in (0, 1) for text in ("�out", "no newline")
    )
    for options in ((), ("-f",)):
        both = run_command("logs", *options, f"{name}-0", f"{name}-1", url=api.url)
        assert (both.status, sorted(both.out.splitlines())) == (0, lines)
        assert sorted(both.err.splitlines()) == [f"{name}-0 | err", f"{name}-1 | err"]
    missing = run_command("logs", f"{name}-0", "nobody", url=api.url)
    assert missing.status == 125
    assert "nobody: there is no job of this id" in missing.err


def test_cancel_says_of_each_what_happened(api: ServedApi, name: str) -> None:
    for number, command in enumerate((("exit", "0"), ("stay",), ("exit", "0"))):
        submit(api, f"{name}-{number}", *command)
    api.run_job(f"{name}-1")
    api.run_job(f"{name}-2")
    assert run_command("wait", f"{name}-2", url=api.url).status == 0
    refs = [f"{name}-{number}" for number in range(3)]
    done = run_command("cancel", *refs, "nobody", "--why", "typo", "--grace", "3", url=api.url)
    assert done.out.splitlines() == [
        f"{name}-0   cancelled, never started",
        f"{name}-1   is being stopped: SIGTERM, or its StopSignal, is sent; it is killed 3 s later",
        f"{name}-2   was over already, Succeeded",
    ]
    assert (done.status, done.err) == (
        125,
        "docker-job: nobody: there is no job of this id (JobNotFound)\n",
    )
    shown = json.loads(run_command("show", f"{name}-1", "-o", "json", url=api.url).out)
    assert (shown["cancel"]["grace"], shown["cancel"]["why"]) == (3, "typo")

    def stop() -> None:
        uid = shown["uid"]
        wait_until(lambda: api.call(lambda: api.engine.get(uid)), "it is there")
        api.call(lambda: api.engine.finish(uid, 143))

    with meanwhile(stop):
        done = run_command("cancel", f"{name}-1", "--wait", "-o", "jsonl", url=api.url)
    assert json.loads(done.out)["phase"] == "Cancelled"


def test_cancel_by_a_filter_asks_first(api: ServedApi, name: str) -> None:
    for number in range(2):
        submit(api, f"{name}-{number}", "exit", "0", Labels={"test": name})
    chosen = ("cancel", "-l", f"test={name}")
    refused = run_command(*chosen, url=api.url)
    assert refused.status == 2
    assert "2 jobs would be cancelled; -y does so without asking" in refused.err
    done = run_command(*chosen, "-y", "--why", "test", url=api.url)
    assert (done.status, sorted(done.out.split())) == (0, [f"{name}-0", f"{name}-1"])
    assert (
        run_command("ls", "--phase", "cancelled", "-l", f"test={name}", url=api.url).out.count(name)
        == 2
    )
    over = run_command(*chosen, url=api.url).err
    assert over.endswith("nothing to cancel: 2 match, all are over or cancelled already\n")
    submit(api, f"{name}-2", "exit", "0", Labels={"test": name})
    one = run_command(*chosen, url=api.url)
    assert "1 job would be cancelled" in one.err
    assert run_command("cancel", url=api.url).status == 2
    assert run_command("cancel", "a", "--failed", url=api.url).status == 2


def test_ls_has_filters_and_forms(api: ServedApi, name: str) -> None:
    for number in range(3):
        submit(api, f"{name}-{number}", "exit", "4", Labels={"test": name})
    api.run_job(f"{name}-1")
    assert run_command("wait", f"{name}-1", url=api.url).status == 4
    mine = ("ls", "-l", f"test={name}")
    assert run_command(*mine, "-o", "name", url=api.url).out.split() == [
        f"{name}-{number}" for number in (2, 1, 0)
    ]
    failed = run_command(*mine, "--failed", "-o", "json", url=api.url)
    body = json.loads(failed.out)
    assert [job["id"] for job in body["items"]] == [f"{name}-1"]
    assert (body["counts"]["Failed"], body["counts"]["Pending"]) == (1, 2)
    lines = run_command(*mine, "-a", "-o", "jsonl", "--since", "1h", url=api.url).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"{name}-{n}" for n in (2, 1, 0)]
    assert run_command("ls", "-q", "nobodys", "-o", "name", url=api.url).out == ""
    assert run_command("ls", "--failed", "--phase", "Running", url=api.url).status == 2
    assert run_command("ls", "--phase", "Lost", url=api.url).status == 2
    bad = run_command("ls", "--since", "yesterday", url=api.url)
    assert (bad.status, bad.out) == (2, "")
    bad = run_command("logs", "a", "b", "--since", "yesterday", url=api.url)
    assert (bad.status, bad.out, len(bad.err.splitlines())) == (2, "", 1)


def test_ls_goes_on_with_what_becomes_of_jobs(api: ServedApi, name: str) -> None:
    submit(api, name, "exit", "0", Labels={"test": name})

    with meanwhile(lambda: start_once_there(api, name)):
        done = run_command(
            *("ls", "-w", "-l", f"test={name}", "-o", "jsonl"),
            url=api.url,
            interrupt_at=b"Succeeded",
        )
    phases = [json.loads(line)["phase"] for line in done.out.splitlines()]
    assert (done.status, phases[-1]) == (130, "Succeeded")


def test_show_says_all_and_why_it_waits(api: ServedApi, name: str) -> None:
    submit(api, name, "exit", "0", Job={"Queue": "etl", "Priority": 5}, Labels={"a": "b"})
    out = run_command("show", name, url=api.url).out
    assert "State:       Pending, in queue etl: " in out
    assert "Priority:    5" in out
    assert "Labels:      a=b" in out


def test_queues_are_listed(api: ServedApi) -> None:
    out = run_command("queues", url=api.url).out.splitlines()
    assert out[0].split() == [
        *("QUEUE", "USED", "CAP", "PENDING", "MAX", "PENDING", "OLDEST", "WEIGHT", "PAUSED")
    ]
    etl = next(line for line in out if line.startswith("etl"))
    assert etl.endswith("yes")
    names = run_command("queues", "-o", "name", url=api.url).out.split()
    assert names == sorted({"default", "etl", *names})


def test_shells_complete_ids_queues_and_phases(api: ServedApi, name: str) -> None:
    submit(api, name, "exit", "0")

    def complete(*words: str) -> list[str]:
        return run_command("__complete", "job", *words, url=api.url).out.splitlines()

    assert complete("logs", name[:-1]) == [f"{name}\tPending", ":4"]
    assert complete("logs", name, name[:-1]) == [":4"]
    assert complete("ls", "-q", "e") == ["etl", ":4"]
    assert complete("ls", "--phase", "Ca") == ["Cancelled", ":4"]
    assert "submit" in " ".join(complete("sub"))
    for shell in ("bash", "zsh", "fish"):
        assert "_DOCKER_JOB_COMPLETE" in run_command("completion", shell).out
    done = run_command("__complete", "job", "logs", "", url="http://127.0.0.1:1")
    assert (done.status, done.out, done.err) == (0, ":4\n", "")
