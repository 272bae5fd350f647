"""The API as a process: how it starts, serves beside a failing engine, and ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.v1.labels import NAMESPACE
from tests.support.api import manifest
from tests.support.private_engine import PrivateEngine
from tests.support.processes import ApiProcess, Reply, find_free_port
from tests.support.proxy import FaultProxy

CREATE = r"^POST .*/containers/create"


@pytest.fixture
def proxy(private_engine: PrivateEngine) -> Iterator[FaultProxy]:
    with FaultProxy(private_engine.host) as running:
        yield running


def _send_raw(api: ApiProcess, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    connection.sendall(data)
    return connection


def _read_reply(connection: socket.socket) -> tuple[int, dict[str, object]]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def _head(length: int) -> bytes:
    return (
        b"POST /job HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def _wait_for(holds: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_sigterm_ends_an_idle_process_with_status_0(
    private_engine: PrivateEngine, namespace: str
) -> None:
    with ApiProcess(private_engine.host, namespace) as api:
        # a connection that is kept open must not hold it
        with _send_raw(api, b"GET /nope HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as connection:
            assert _read_reply(connection)[0] == 404
            assert api.terminate() == 0
        # in between it may still say what it learnt of the engine
        told = [line["event"] for line in api.events()]
        assert "ending" in told
        assert told[-1] == "ended"


def test_sigterm_answers_what_is_in_flight_and_refuses_the_rest_in_time(
    private_engine: PrivateEngine, proxy: FaultProxy, namespace: str
) -> None:
    name = f"{namespace}-slow"
    proxy.delay(CREATE, 0.5, times=1)
    with ApiProcess(proxy.host, namespace, ".") as api:
        body = json.dumps(manifest(name)).encode()
        quick = _send_raw(api, _head(len(body)) + body)
        _wait_for(lambda: proxy.count(CREATE) == 1)
        proxy.block(CREATE)
        stuck_body = json.dumps(manifest(f"{namespace}-stuck")).encode()
        stuck = _send_raw(api, _head(len(stuck_body)) + stuck_body)
        _wait_for(lambda: proxy.count(CREATE) == 2)
        head = _head(100).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        unsent = _send_raw(api, head)
        assert unsent.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        api.signal(signal.SIGTERM)
        with quick, stuck, unsent:
            code, answer = _read_reply(quick)
            assert (code, answer["id"]) == (201, name)
            for connection in (stuck, unsent):
                code, answer = _read_reply(connection)
                assert (code, answer["error"]["reason"]) == (503, "ShuttingDown")  # type: ignore[index]
        assert api.wait() == 0
        assert private_engine.names(f"label={NAMESPACE}={namespace}") == [name]


@pytest.mark.parametrize("state", ["engine down", "engine silent", "filter endless"])
def test_sigterm_ends_the_process_in_any_state(
    proxy: FaultProxy, namespace: str, state: str
) -> None:
    if state == "engine down":
        proxy.refuse()
    elif state == "engine silent":
        proxy.block("")
    source = "." if state != "filter endless" else "def f: f; f"
    with ApiProcess(proxy.host, namespace, source) as api:
        asking = threading.Thread(target=_ask_quietly, args=(api,))
        asking.start()
        _wait_for(lambda: state != "engine silent" or proxy.requests)
        assert api.terminate() == 0
        asking.join(20)


def _ask_quietly(api: ApiProcess) -> None:
    try:
        api.post(manifest("job-x"))
    except (OSError, http.client.HTTPException):
        return


def test_an_engine_that_comes_late_finds_the_process_waiting(
    private_engine: PrivateEngine, proxy: FaultProxy, namespace: str
) -> None:
    proxy.refuse(leave_socket=False)
    name = f"{namespace}-late"
    with ApiProcess(proxy.host, namespace, ".") as api:
        reply = api.post(manifest(name))
        assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineUnavailable")
        assert api.get("/health/ready").code == 503
        _wait_for(lambda: api.events("engine does not answer"))
        proxy.listen()
        _wait_for(lambda: api.events("engine is back"))
        assert api.get("/health/ready").code == 204
        [line] = api.events("engine does not answer")
        assert line["cause"]
        assert api.post(manifest(name)).code == 201
        assert "Traceback" not in api.log()
        assert name in private_engine.names()


def test_kill_9_at_any_moment_loses_no_job_and_makes_none_twice(
    private_engine: PrivateEngine, namespace: str
) -> None:
    names = [f"{namespace}-{number:02}" for number in range(20)]
    replies: dict[str, Reply] = {}
    with ApiProcess(private_engine.host, namespace, ".") as api:

        def post() -> None:
            for name in names:
                while name not in replies:
                    try:
                        reply = api.post(manifest(name))
                    except (OSError, http.client.HTTPException):
                        time.sleep(0.01)
                        continue
                    if reply.code in {200, 201}:
                        replies[name] = reply

        posting = threading.Thread(target=post)
        posting.start()
        for goal in (2, 7, 12):
            _wait_for(lambda goal=goal: len(replies) >= goal)  # type: ignore[misc]
            api.kill()
            api.start()
        posting.join(60)
        assert set(replies) == set(names)
        held = private_engine.names(f"label={NAMESPACE}={namespace}")
        assert sorted(held) == names
        for name in names:
            shown = api.get(f"/job/{name}").body
            assert (shown["uid"], shown["phase"]) == (replies[name].body["uid"], "Pending")


def test_every_option_works_from_its_variable(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    source = tmp_path / "filter.jq"
    source.write_text(
        '{Name: .name, Image: "busybox:job", Cmd: [$ENV.SHOWN, ($ENV.TOO // "no"),'
        ' ($ENV.HIDDEN // "hidden")], HostConfig: {CapAdd: .caps}}'
    )
    port = find_free_port()
    env = {
        "FROM_FILE": str(source),
        "PORT": str(port),
        "BIND": "0.0.0.0",
        "ALLOW_ANONYMOUS": "true",
        "FILTER_ENV": "SHOWN TOO",
        "ADMISSION": "Privileged",
        "TRANSPORT": "socket",
        "NAMESPACE": namespace,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "ENGINE_TIMEOUT": "7",
        "DOCKER_HOST": private_engine.host,
        "SHOWN": "shown",
        "TOO": "too",
        "HIDDEN": "secret",
    }
    name = f"{namespace}-env"
    api = _FromEnvironment(private_engine.host, namespace, env=env)
    api.port = port
    with api:
        reply = api.post({"name": name, "caps": ["SYS_ADMIN"]})
        assert reply.code == 201
        found = private_engine.inspect(name)
        assert found["Config"]["Cmd"] == ["shown", "too", "hidden"]
        assert found["Config"]["Labels"][NAMESPACE] == namespace
        serving = api.events("serving")[0]
        assert (serving["address"], serving["port"]) == ("0.0.0.0", port)
        assert serving["admission"] == "privileged"
        api.get("/health/live")
        assert any(line["level"] == "debug" for line in api.events("request"))


class _FromEnvironment(ApiProcess):
    """An API whose command line is empty."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "api"]


def _run(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | env
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=clean,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--filter-env", "a=b"], ["--filter-env"]),
        ([".a |"], ["FILTER:1:", "syntax error"]),
        (["-f", "/nowhere/x.yaml"], ["/nowhere/x.yaml"]),
        ([".", "-f", "x"], ["either"]),
    ],
)
def test_filters_that_cannot_be_used_end_the_start_with_a_message(
    arguments: list[str], words: list[str]
) -> None:
    done = _run(*arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_port_in_use_ends_with_a_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _run("--port", str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_and_render_judge_by_the_profile_that_serving_would_apply(tmp_path: Path) -> None:
    source = tmp_path / "root.jq"
    source.write_text('{Name: "job-a", Image: "a:1", Cmd: ["x"], HostConfig: {Privileged: true}}')
    command = [sys.executable, "-m", "api", "render", str(source)]
    outcomes = {}
    for profile in ("baseline", "privileged"):
        outcomes[profile] = subprocess.run(
            command,
            check=False,
            input="{}",
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": os.environ["PATH"], "ADMISSION": profile},
        )
    assert outcomes["baseline"].returncode == 3
    assert json.loads(outcomes["baseline"].stderr)["error"]["reason"] == "Denied"
    assert outcomes["privileged"].returncode == 0
    assert json.loads(outcomes["privileged"].stdout)["HostConfig"]["Privileged"] is True
    assert _run("check", str(source)).returncode == 0
