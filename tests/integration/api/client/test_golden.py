"""What is written in a pipe and on terminals of several widths, held to files to the byte.

``UPDATE_GOLDEN=1`` writes them anew. The server's clock stands; that of this machine, which is
another, must not show.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.command import (
    Reply,
    Request,
    ScriptedServer,
    Terminal,
    run_command,
    run_on_terminal,
)

GOLDEN: Final = Path(__file__).parent / "golden"
NOW: Final = 1_767_268_800
HOSTILE: Final = "\x1b[2J\u202egpj.exe<script>\r\n\x9b31m"


def make_job(name: str, **members: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "id": name,
        "uid": "4b7d2c1a9f0e8d6b5a4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a",
        "created": NOW - 60,
        "status": "Created",
        "phase": "Pending",
        "reason": "Queued",
        "message": "waits for a slot or for a controller",
        "finished": False,
        "filter": "default",
        "path": "/job",
        "image": "debian:stable-slim",
        "labels": {},
        "queue": "default",
        "priority": 0,
        "share": "",
        "restarts": 0,
    }
    names = ("exitCode", "startedAt", "finishedAt", "startBy", "runFor", "keepFor", "expiresAt")
    job |= dict.fromkeys((*names, "cancel", "waiting"))
    return job | members


WAITING: Final = {"message": "no free slot (2 of 2 used)", "position": 3, "until": None}
CANCEL: Final = {"at": "2026-01-01T11:59:58Z", "grace": 30, "purge": True, "why": "typo " + HOSTILE}
RUNS: Final = {"phase": "Running", "reason": None, "message": "", "queue": "etl"}
ENDED: Final = {"reason": None, "message": "", "finished": True}
JOBS: Final = [
    make_job("thumb-a1", waiting=WAITING, priority=5, queue="pictures"),
    make_job("etl-7", **RUNS, startedAt="2026-01-01T11:00:00.5Z", created=NOW - 7200),
    make_job(
        "etl-6",
        **RUNS | {"reason": "Stopping"},
        startedAt="2026-01-01T11:59:00Z",
        cancel=CANCEL,
        labels={"team": HOSTILE, "a": "b"},
        runFor=7200,
    ),
    make_job(
        "nightly-2026-01-01-with-a-rather-long-name",
        **ENDED,
        phase="Succeeded",
        exitCode=0,
        startedAt="2026-01-01T03:00:00Z",
        finishedAt="2026-01-01T04:10:00Z",
        created=NOW - 90_000,
        expiresAt="2026-01-01T13:00:00Z",
    ),
    make_job(
        "bad-1",
        **ENDED | {"reason": "OOMKilled", "message": "out of memory"},
        phase="Failed",
        exitCode=137,
        startedAt="2026-01-01T11:58:00Z",
        finishedAt="2026-01-01T11:58:03Z",
        restarts=2,
    ),
    make_job("gone", **ENDED, phase="Cancelled", queue="字字字", image=HOSTILE),
]
QUEUE: Final = {
    "maxConcurrent": None,
    "weight": 1,
    "paused": False,
    "maxPending": None,
    "used": 0,
    "pending": 0,
    "oldestPendingSeconds": None,
}
QUEUES: Final = [
    {**QUEUE, "name": "default"},
    {**QUEUE, "name": "etl", "maxConcurrent": 2, "used": 2, "weight": 3, "maxPending": 500},
    {**QUEUE, "name": HOSTILE, "paused": True, "pending": 12, "oldestPendingSeconds": 7300.5},
]


LINES: Final = [
    {"t": "2026-01-01T12:00:00Z", "stream": "stdout", "line": "to stdout"},
    {"t": "2026-01-01T12:00:01Z", "stream": "stderr", "line": "to stderr"},
    {"end": JOBS[3]},
]


def script(request: Request, _: int) -> Reply:
    if request.method == "POST":
        return Reply(201, json.dumps({"id": "new-1", "uid": JOBS[0]["uid"]}).encode())
    if request.path.endswith("/log"):
        items = (f"id: {number}-1\ndata: {json.dumps(item)}" for number, item in enumerate(LINES))
        return Reply(stream=[f"{item}\n\n".encode() for item in items])
    match request.path:
        case "/job":
            body: Any = {"items": JOBS, "counts": {"Pending": 1}, "continue": "n1-a"}
            body["engine"] = {"up": False, "since": "2026-01-01T11:59:00Z"}
        case "/queue":
            body = {"items": QUEUES}
        case path:
            body = next(job for job in JOBS if job["id"] == path.removeprefix("/job/"))
    return Reply(body=json.dumps(body).encode())


@pytest.mark.parametrize("columns", [0, 40, 80, 200], ids=["pipe", "40", "80", "200"])
@pytest.mark.parametrize(
    "words",
    [
        *("ls", "ls -o wide", "ls -o name", "ls -o jsonl", "show etl-6", "show thumb-a1", "queues"),
        *(
            "submit --arg a=b",
            "logs etl-6",
            "cancel etl-7",
            "cancel bad-1",
        ),
    ],
)
def test_output_is_as_it_was(words: str, columns: int) -> None:
    with ScriptedServer(script) as server:
        if columns:
            done = run_on_terminal(*words.split(), url=server.url, terminal=Terminal(columns))
        else:
            done = run_command(*words.split(), url=server.url)
    assert done.status == 0
    text = done.out + (f"---\n{done.err}" if done.err else "")
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)
    file = GOLDEN / f"{words.replace(' ', '-')}.{columns or 'pipe'}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_colour_stands_beside_the_word_on_a_terminal_alone() -> None:
    with ScriptedServer(script) as server:
        in_colour = {"NO_COLOR": ""}
        coloured = run_on_terminal("ls", url=server.url, terminal=Terminal(80), env=in_colour).out
        plain = run_on_terminal("ls", url=server.url, terminal=Terminal(80)).out
        piped = run_command("ls", url=server.url).out
    assert "\x1b[" in coloured
    assert "Succeeded" in coloured
    assert "\x1b" not in plain + piped


def tell(kind: str, version: int, job: dict[str, Any] | None = None) -> bytes:
    item = {"type": kind, "version": f"e-{version}", **({} if job is None else {"job": job})}
    return b"data: " + json.dumps(item).encode() + b"\n\n"


def test_a_live_table_redraws_its_own_lines_and_is_never_silently_stale() -> None:
    jobs = [make_job("one"), make_job("two", uid="2", created=NOW), make_job("three", uid="3")]
    first = [tell("added", 0, job) for job in jobs] + [tell("synced", 1)]
    ended = jobs[1] | {"phase": "Failed", "reason": "Error", "exitCode": 3, "finished": True}
    later = [tell("changed", 2, ended), tell("removed", 3, jobs[2]), tell("bookmark", 3)]

    def follow(request: Request, number: int) -> Reply:
        if number < 2:
            assert request.query == ("after=e-1" if number else "")
            return Reply(stream=later if number else first)
        return Reply(401, json.dumps({"error": {"reason": "Unauthorized"}}).encode())

    with ScriptedServer(follow) as server:
        done = run_on_terminal("ls", "-w", url=server.url, terminal=Terminal(80))
    assert done.status == 125
    # what clears a screen, or leaves it
    assert not any(code in done.out for code in ("\x1b[2J", "\x1b[J", "\x1b[H", "\x1b[?1049h"))
    frames = done.out.split("ID   ")
    assert "three" in frames[1]
    assert f"no connection to {server.url}; trying again" in done.out
    assert "three" not in frames[-1]
    assert "Failed" in frames[-1]
    # words come behind the table, not into it
    assert done.out.endswith(
        f"docker-job: lost the connection to {server.url}; going on as soon as it is back,"
        " within 300 s (DJD_PATIENCE); Ctrl-C ends this command\n"
        "docker-job: the server asks for a token that it knows: set DJD_TOKEN_FILE or DJD_TOKEN\n"
    )
