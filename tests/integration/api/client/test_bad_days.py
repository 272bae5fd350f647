"""``docker-job`` before servers that are away, old, busy, foreign, or break off in the middle."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client.verbs.waiting import limit_time
from tests.support.certificates import make_certificates
from tests.support.command import (
    Clock,
    Done,
    Reply,
    Request,
    ScriptedServer,
    run_command,
)
from tests.support.processes import find_free_port

VERBS = (
    *(
        ("submit",),
        ("run",),
        ("ls",),
        ("ls", "-w"),
        ("show", "a"),
        ("logs", "a"),
        ("logs", "-f", "a"),
    ),
    *(("wait", "a"), ("cancel", "a"), ("cancel", "--failed", "-y"), ("queues",)),
)
UID = "4b7d2c1a9f0e"
END = b'data: {"end": {"phase": "Succeeded"}}\n\n'


def make_job(**members: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "uid": UID,
        "phase": "Succeeded",
        "reason": None,
        "message": "",
        "finished": True,
        "exitCode": 0,
    } | members


def answer(body: object, code: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(code, json.dumps(body).encode(), named)


def refuse(code: int, reason: str, **headers: str) -> Reply:
    error = {"code": code, "reason": reason, "message": "why"}
    return answer({"error": error}, code, **headers)


def line(number: int, text: str) -> bytes:
    item = {"t": f"T{number}", "stream": "stdout", "line": text}
    return f"id: {number}-1\ndata: {json.dumps(item)}\n\n".encode()


def ask(server: ScriptedServer, *arguments: str, stdin: bytes = b"{}", **env: str) -> Done:
    return run_command(*arguments, url=server.url, stdin=stdin, env=env, clock=Clock())


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_server_that_is_away_is_named_at_once(verb: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{find_free_port()}"
    done = run_command(*verb, url=url, stdin=b"{}")
    assert (done.status, done.out) == (125, "")
    assert done.err == (
        f"docker-job: no server answers at {url}; is it running, and is DJD_URL right?\n"
    )


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_server_that_asks_for_another_token_says_so(verb: tuple[str, ...]) -> None:
    with ScriptedServer(lambda *_: refuse(401, "Unauthorized")) as server:
        done = ask(server, *verb, DJD_TOKEN="secret-secret-secret")
        assert server.asked[0].headers["authorization"] == "Bearer secret-secret-secret"
    assert (done.status, done.out) == (125, "")
    told = "the server asks for a token that it knows: set DJD_TOKEN_FILE or DJD_TOKEN"
    assert done.err == f"docker-job: {told}\n"


@pytest.mark.parametrize("verb", VERBS[2:], ids=" ".join)
def test_an_old_server_is_told_by_the_route_that_it_lacks(verb: tuple[str, ...]) -> None:
    paths: dict[str, Any] = {"/job": {"post": {}}, "/job/{id}": {"post": {}, "get": {}}}

    def script(request: Request, _: int) -> Reply:
        match request.method, request.path:
            case "GET", "/openapi.json":
                return answer({"info": {"version": "0.1.0"}, "paths": paths})
            case "GET", "/job/a":
                return answer({"id": "a", "phase": "Succeeded"})
            case "GET", "/job/a/log":
                return refuse(404, "JobNotFound")
            case "GET", "/events" | "/queue":
                return refuse(404, "NotFound")
            case _:
                return refuse(405, "MethodNotAllowed")

    with ScriptedServer(script) as server:
        done = ask(server, *verb)
    assert (done.status, done.out) == (125, "")
    assert "too old" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>", {"Content-Type": "text/html"}),
        Reply(404, b"<html>", {"Content-Type": "text/html"}),
        Reply(200, b"[]"),
        Reply(302, b"", {"Location": "http://elsewhere.test/"}),
    ],
)
@pytest.mark.parametrize(
    "verb", [v for v in VERBS if v not in {("logs", "a"), ("logs", "-f", "a")}]
)
def test_another_server_is_told_from_ours(verb: tuple[str, ...], reply: Reply) -> None:
    with ScriptedServer(lambda *_: reply) as server:
        done = ask(server, *verb, DJD_PATIENCE="0")
    assert done.status == 125
    assert not done.out or "-w" in verb  # which has its head as soon as it is connected
    assert "DJD_URL" in done.err or "broke off" in done.err
    assert "Traceback" not in done.err


def test_a_busy_server_is_asked_again_when_it_wants() -> None:
    def script(_: Request, number: int) -> Reply:
        if number < 2:
            return refuse(429, "TooManyRequests", Retry_After="7")
        return answer({"items": [], "counts": {}, "continue": None})

    clock = Clock()
    with ScriptedServer(script) as server:
        done = run_command("ls", url=server.url, clock=clock)
    assert (done.status, clock.now) == (0, 14.0)
    assert done.err.count("trying again") == 1


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_server_that_stays_busy_is_given_up(verb: tuple[str, ...]) -> None:
    clock = Clock()
    with ScriptedServer(lambda *_: refuse(429, "TooManyWatchers", Retry_After="3600")) as server:
        done = run_command(*verb, url=server.url, stdin=b"{}", clock=clock)
    assert (done.status, done.out) == (125, "")
    assert 30 <= clock.now <= 60
    assert done.err.splitlines()[-1] == "docker-job: why (TooManyWatchers)"


def test_a_post_whose_answer_was_lost_is_repeated() -> None:
    def script(request: Request, number: int) -> Reply:
        if request.method == "POST" and number < 2:
            return Reply(0)
        known = {"id": "a", "uid": UID, "sameDocument": True, "phase": "Pending"}
        return answer(known)

    with ScriptedServer(script) as server:
        done = ask(server, "submit", stdin=b'{"a": 1}')
        assert [request.body for request in server.asked] == [b'{"a": 1}'] * 3
    assert (done.status, done.out) == (0, "a\n")
    assert done.err == (
        f"docker-job: lost the connection to {server.url}; going on as soon as it is back,"
        " within 30 s; Ctrl-C ends this command\ndocker-job: a was there already, Pending\n"
    )


def test_a_log_goes_on_where_a_proxy_has_cut_it_and_says_so_once() -> None:
    def script(request: Request, _: int) -> Reply:
        if not request.path.endswith("/log"):
            return answer(make_job(phase="Failed", exitCode=9))
        parts = [line(n, f"line {n}") for n in range(6)]
        told = request.headers.get("last-event-id")
        begin = int(told.partition("-")[0]) + 1 if told else 0
        if begin < 6:
            # two lines, and half of the third
            sent = b"".join(parts[begin : begin + 2]) + b"id: 9-1\ndata: {"
            return Reply(stream=[sent])
        return Reply(stream=[END])

    def post(request: Request, number: int) -> Reply:
        if request.method == "POST":
            return answer({"id": "a", "uid": UID}, 201)
        return script(request, number)

    with ScriptedServer(post) as server:
        done = ask(server, "run", TERM="dumb")
    assert (done.status, done.out) == (9, "".join(f"line {n}\n" for n in range(6)))
    assert done.err.count("lost the connection") == 1


def test_lines_that_were_rotated_away_are_warned_of_once() -> None:
    items = [{"t": "T", "stream": "stdout", "line": "x", "lost": True}] * 2
    sent = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in items)
    end = b'data: {"end": {"phase": "Succeeded"}, "lost": true}\n\n'
    with ScriptedServer(lambda *_: Reply(stream=[sent + end])) as server:
        done = ask(server, "logs", "a")
    assert (done.status, done.out) == (0, "x\nx\n")
    assert done.err == "docker-job: a: lines may have been rotated away before they were read\n"


def test_a_server_that_does_not_come_back_ends_run_with_trouble() -> None:
    def script(request: Request, _: int) -> Reply:
        if request.method == "POST":
            return answer({"id": "a", "uid": UID}, 201)
        return (
            Reply(stream=[line(1, "one")]) if not request.headers.get("last-event-id") else Reply(0)
        )

    clock = Clock()
    with ScriptedServer(script) as server:
        done = run_command("run", url=server.url, stdin=b"{}", clock=clock)
    assert (done.status, done.out) == (125, "one\n")
    assert "a goes on without this command" in done.err
    assert "docker-job logs -f a" in done.err


def answer_an_unreadable_log(request: Request, number: int) -> Reply:
    error = {"code": 502, "reason": "EngineFailed", "message": "why"}
    if request.method == "POST":
        return answer({"id": "a", "uid": UID}, 201)
    if not request.path.endswith("/log"):
        return answer(make_job(phase="Failed", exitCode=9, message="exited 9"))
    # a command that asks for ever comes to an end, too
    sent = b"data: " + json.dumps({"error": error}).encode() + b"\n\n"
    return Reply(stream=[sent if number < 100 else END])


@pytest.mark.parametrize("verb", [("logs", "a"), ("logs", "-f", "a")])
def test_a_log_that_cannot_be_read_is_given_up_and_the_reason_shown(verb: tuple[str, ...]) -> None:
    with ScriptedServer(answer_an_unreadable_log) as server:
        done = ask(server, *verb)
    assert (done.status, done.out) == (125, "")
    assert done.err.splitlines() == [
        "docker-job: trying again for up to 60 s: why (EngineFailed)",
        "docker-job: why (EngineFailed)",
    ]


@pytest.mark.parametrize("opens", [True, False])
def test_run_has_the_jobs_status_even_if_its_log_cannot_be_read(opens: bool) -> None:
    def script(request: Request, number: int) -> Reply:
        if request.path.endswith("/log") and not opens:
            return refuse(502, "EngineFailed")
        return answer_an_unreadable_log(request, number)

    with ScriptedServer(script) as server:
        done = ask(server, "run")
    assert (done.status, done.out) == (9, "")
    assert done.err.splitlines() == [
        "docker-job: trying again for up to 60 s: why (EngineFailed)",
        "docker-job: the log of a cannot be read: why (EngineFailed)",
        "docker-job: a: Failed: exited 9",
    ]


def test_a_job_that_is_gone_before_its_log_was_read_has_its_code_all_the_same() -> None:
    def script(request: Request, _: int) -> Reply:
        if request.method == "POST":
            return answer({"id": "a", "uid": UID}, 201)
        error = {"code": 404, "reason": "JobCollected", "message": "it has been removed"}
        job = make_job(phase="Failed", exitCode=4, reason="Error", message="exited 4")
        return answer({"error": error | {"job": job}}, 404)

    with ScriptedServer(script) as server:
        done = ask(server, "run")
    assert (done.status, done.out) == (4, "")
    assert "a has no log to follow: it has been removed" in done.err


@pytest.mark.parametrize(("code", "reason"), [(404, "JobCollected"), (403, "NotYours")])
def test_run_has_the_jobs_status_even_if_it_cannot_remove_it(code: int, reason: str) -> None:
    def script(request: Request, _: int) -> Reply:
        match request.method:
            case "POST":
                return answer({"id": "a", "uid": UID}, 201)
            case "DELETE":
                return refuse(code, reason)
        if request.path == "/openapi.json":
            return answer({"paths": {"/job/{id}": {"delete": {}}}})
        if request.path.endswith("/log"):
            return Reply(stream=[END])
        return answer(make_job(phase="Failed", exitCode=9, message="exited 9"))

    with ScriptedServer(script) as server:
        done = ask(server, "run", "--rm")
    assert (done.status, done.out) == (9, "")
    told = ["a: Failed: exited 9"]
    if code != 404:
        told.append(f"a was not removed: why ({reason})")
    assert done.err.splitlines() == [f"docker-job: {text}" for text in told]


def test_the_last_of_a_job_that_was_removed_is_shown_and_its_log_is_gone() -> None:
    message = "the job has been removed; this is the last that was known of it"
    error = {"code": 404, "reason": "JobCollected", "message": message}
    body = {"error": error | {"job": make_job(phase="Failed", exitCode=4)}}
    with ScriptedServer(lambda *_: answer(body, 404)) as server:
        shown = ask(server, "show", "a")
        data = ask(server, "show", "a", "-o", "json")
        others = [
            ask(server, *verb) for verb in (("logs", "a"), ("logs", "a", "b"), ("cancel", "a"))
        ]
    assert (shown.status, shown.err) == (0, f"docker-job: {message}\n")
    assert "Exit code:   4" in shown.out
    assert (data.status, json.loads(data.out)) == (0, body["error"]["job"])
    gone = "the job has been removed, and its log with it"
    assert [(done.status, done.out, done.err) for done in others] == [
        (125, "", f"docker-job: {gone}\n"),
        (125, "", f"docker-job: a: {gone}\ndocker-job: b: {gone}\n"),
        (125, "", "docker-job: a: is over and has been removed\n"),
    ]


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (("submit",), b" \n", "standard input is empty"),
        (("run", "-"), b"", "standard input is empty"),
        (("submit", "/dev/null"), b"", "/dev/null is empty"),
        (("submit", "/nowhere.json"), b"", "cannot read /nowhere.json"),
        (("submit",), b"{", "the document is no JSON: "),
        (("submit",), b"\xff\xfe", "the document is no JSON: "),
        (("submit", "--arg", "a=b"), b"{" * 3, None),
        (("submit", "-", "--arg", "a=b"), b"3", "only an object"),
        (("show", ".."), b"", "'..' is no id of a job"),
    ],
)
def test_what_the_user_gave_wrongly_is_usage_and_never_sent(
    arguments: tuple[str, ...], stdin: bytes, told: str | None
) -> None:
    with ScriptedServer(lambda *_: answer({"id": "a", "uid": UID}, 201)) as server:
        done = ask(server, *arguments, stdin=stdin)
        sent = server.asked
    if told is None:
        # without a FILE the members are the document
        assert (done.status, len(sent)) == (0, 1)
        return
    assert (done.status, done.out, sent) == (2, "", [])
    assert done.err.startswith(f"docker-job: {told}")


def test_an_address_that_is_none_is_usage() -> None:
    done = run_command("ls", url="localhost:8000")
    assert (done.status, done.err.count("DJD_URL")) == (2, 1)


@pytest.mark.parametrize(("parameter", "status"), [("since", 2), ("continue", 125)])
def test_a_refused_parameter_is_usage_if_an_option_gives_it(parameter: str, status: int) -> None:
    error = {"code": 400, "reason": "InvalidQuery", "message": "why", "parameter": parameter}
    with ScriptedServer(lambda *_: answer({"error": error}, 400)) as server:
        assert ask(server, "ls", "--since", "foo").status == status


def test_a_wait_goes_on_over_a_break_and_an_engine_that_is_away() -> None:
    def script(request: Request, number: int) -> Reply:
        if request.path == "/events":
            return Reply(stream=[b'data: {"type": "synced", "version": "e-1"}\n\n'])
        if number == 0:
            return answer(make_job(phase="Running", finished=False, exitCode=None))
        if number == 1:
            return refuse(502, "EngineUnavailable")
        return answer(make_job(exitCode=0))

    with ScriptedServer(script) as server:
        done = ask(server, "wait", "a")
    assert done.status == 0
    words = [text for text in done.err.splitlines() if "a: " in text]
    assert words == ["docker-job: a: Running", "docker-job: a: Succeeded"]
    assert done.err.count("lost the connection") == 1


def test_a_job_that_is_waited_for_by_two_names_ends_once_and_at_once() -> None:
    def tell(told: str, **members: Any) -> bytes:
        item = {"type": told, "version": "e-1", **members}
        return f"data: {json.dumps(item)}\n\n".encode()

    def script(request: Request, _: int) -> Reply:
        if request.path == "/events":
            changed = tell("changed", job=make_job(phase="Failed", exitCode=9))
            return Reply(stream=[tell("synced"), changed, tell("bookmark")])
        looks = sum(known.path.startswith("/job/") for known in server.asked)
        is_over = looks > 2
        return answer(
            make_job(
                phase="Failed" if is_over else "Running",
                finished=is_over,
                exitCode=9 if is_over else None,
            )
        )

    with ScriptedServer(script) as server:
        done = ask(server, "wait", "a", UID, "-o", "name")
    assert (done.status, done.out) == (9, "a\n")


def test_a_cancel_that_is_not_confirmed_says_that_nothing_was_done() -> None:
    trial = {"matched": 1, "cancelled": 1, "ids": ["a"]}
    with ScriptedServer(lambda *_: answer(trial)) as server:
        done = run_command("cancel", "--failed", url=server.url, stdin=b"n\n", types=True)
        asked = [request.query for request in server.asked]
    assert (done.status, done.out.strip()) == (0, "")
    assert done.err.splitlines()[-1].endswith("docker-job: nothing was cancelled")
    assert [query.rpartition("&")[2] for query in asked] == ["dryRun=true"]


def test_a_watch_for_a_program_writes_no_job_that_was_removed() -> None:
    stories = [("added", "one"), ("removed", "one"), ("added", "two"), ("added", "last")]
    items = [
        {"type": told, "version": "e-1", "job": make_job(id=name, uid=name)}
        for told, name in stories
    ]
    sent = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in items)
    with ScriptedServer(lambda *_: Reply(stream=[sent])) as server:
        found = {
            form: run_command("ls", "-w", "-o", form, url=server.url, interrupt_at=b"last")
            for form in ("name", "json", "jsonl")
        }
    assert found["name"].out.split() == ["one", "two", "last"]
    for form in ("json", "jsonl"):
        ids = [json.loads(text)["id"] for text in found[form].out.splitlines()]
        assert ids == ["one", "two", "last"]


def test_logs_of_several_end_where_a_reader_has_a_fault() -> None:
    # deeper than json goes: a RecursionError
    sent = b"data: " + b"[" * 200_000 + b"\n\n"
    with ScriptedServer(lambda *_: Reply(stream=[sent])) as server, limit_time(60):
        done = ask(server, "logs", "-f", "a", "b")
    assert (done.status, done.out) == (125, "")
    assert "RecursionError" in done.err


def test_a_list_of_many_pages_survives_a_break_in_the_middle() -> None:
    def script(_: Request, number: int) -> Reply:
        if number == 1:
            return Reply(0)
        return answer(
            {
                "items": [make_job(id=f"a{number}")],
                "counts": {},
                "continue": None if number else "n1-a",
            }
        )

    with ScriptedServer(script) as server:
        done = ask(server, "ls", "-a", "-o", "name")
    assert (done.status, done.out) == (0, "a0\na2\n")


def test_what_is_left_of_a_reader_that_has_gone_is_quiet() -> None:
    items = [make_job(id=f"a{number}") for number in range(1000)]
    page = answer({"items": items, "counts": {}, "continue": None})
    lines = [line(number, "x" * 1000) for number in range(1000)]

    def script(request: Request, _: int) -> Reply:
        return Reply(stream=lines) if request.path.endswith("/log") else page

    with ScriptedServer(script) as server:
        for words in ("ls -o jsonl", "logs a"):
            command = f"{sys.executable} -m api.client {words} | head -n 1; echo ${{PIPESTATUS[0]}}"
            done = subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env=os.environ | {"DJD_URL": server.url},
            )
            assert done.stderr == ""
            assert done.stdout.splitlines()[-1] == "141"


def test_a_hundred_megabytes_of_log_take_no_memory() -> None:
    part = line(1, "x" * (1 << 20))

    def lines() -> Iterator[bytes]:
        for _ in range(100):
            yield part
        yield END

    def script(*_: object) -> Reply:
        return Reply(stream=lines())

    with ScriptedServer(script) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.client", "logs", "a"],
            stdout=subprocess.PIPE,
            env=os.environ | {"DJD_URL": server.url},
        )
        assert process.stdout is not None
        size = peak = 0
        while data := process.stdout.read(1 << 20):
            size += len(data)
            if size < 90 << 20:
                peak = read_peak(process.pid)
        process.stdout.close()
    assert (process.wait(60), size) == (0, 100 * ((1 << 20) + 1))
    # what is imported takes 45, a line of a mebibyte some copies
    assert peak < 80 << 20


def read_peak(pid: int) -> int:
    """Return the most bytes that a process had in memory since it began to run its program."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_the_docker_cli_ends_its_plugin_as_ctrl_c_does(tmp_path: Path) -> None:
    address, over = str(tmp_path / "socket"), threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()

        def tell() -> Iterator[bytes]:
            yield b'data: {"type": "synced", "version": "e-1"}\n\n'
            listener.accept()[0].close()
            over.wait(60)

        with ScriptedServer(lambda *_: Reply(stream=tell())) as server:
            env = {"DOCKER_CLI_PLUGIN_SOCKET": address}
            done = run_command("job", "ls", "-w", url=server.url, env=env)
            over.set()
    assert done.status == 130


def test_no_token_goes_to_a_server_that_nobody_vouches_for(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server-cert.pem", tmp_path / "server-key.pem")
    token = {"DJD_TOKEN": "secret-secret-secret"}
    with ScriptedServer(lambda *_: answer({"items": []}), tls=context) as server:
        refused = run_command("queues", url=server.url, env=token)
        assert server.asked == []
        trusted = run_command(
            "queues", url=server.url, env=token | {"DJD_CA": str(tmp_path / "ca.pem")}
        )
        other = run_command("queues", url=server.url.replace("https", "http"), clock=Clock())
    assert refused.status == 125
    assert refused.err.startswith(f"docker-job: cannot trust the server at {server.url}: ")
    assert len(refused.err.splitlines()) == 1
    assert trusted.status == 0
    assert other.status == 125
    assert "Traceback" not in other.err


def test_tls_to_a_server_that_speaks_none_is_told_in_plain_words() -> None:
    with ScriptedServer(lambda *_: answer({"items": []})) as server:
        url = server.url.replace("http", "https")
        done = run_command("queues", url=url, clock=Clock())
    assert (done.status, done.out) == (125, "")
    assert done.err == f"docker-job: no TLS is spoken at {url}; is it {server.url}?\n"


def test_a_token_can_stand_in_a_file_and_a_foreign_authority_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("file-file-file-file\n")
    with ScriptedServer(lambda *_: answer({"items": []})) as server:
        done = ask(server, "queues", DJD_TOKEN_FILE=str(file))
        assert server.asked[0].headers["authorization"] == "Bearer file-file-file-file"
    assert done.status == 0
    bad = run_command("queues", env={"DJD_TOKEN_FILE": str(tmp_path / "none")})
    assert bad.status == 125
    assert "cannot read DJD_TOKEN_FILE" in bad.err
