"""Connections that only wait, by the thousand, take neither process from those who ask."""

import asyncio
import http.client
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.hostile import send
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["true"]}'
_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)


@contextmanager
def few_files() -> Iterator[None]:
    """Have what is started in the block inherit the usual soft limit of 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """Keep connections open that send nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        yield


def test_idle_connections_to_the_controller_stop_no_start(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        api = stack.enter_context(ApiProcess(private_engine.host, namespace, JOB))
        with few_files():
            options = ("--lock-dir", str(tmp_path), "-m", "2")
            controller = stack.enter_context(
                ControllerProcess(private_engine.host, namespace, *options)
            )
        assert resource.prlimit(controller.pid, resource.RLIMIT_NOFILE) == (HARD, HARD)
        wait_until(lambda: controller.events("active"), "the lead")
        with idle(controller.port, 1100):
            for number in range(3):
                assert api.post({"name": f"{namespace}-{number}"}).code == 201
            label = f"label=docker-job-dispatcher.namespace={namespace}"
            wait_until(
                lambda: len(private_engine.names(label, "status=exited")) == 3, "all jobs ran"
            )
            assert controller.get("/health/ready").code == 204
            assert len(list(Path(f"/proc/{controller.pid}/fd").iterdir())) < 300
        assert len(controller.log()) < 20_000
        assert len(controller.events("connection limit reached")) == 1


def test_the_controller_answers_to_its_own_names_only(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    options = ("--lock-dir", str(tmp_path), "--allowed-host", "jobs.example")
    with ControllerProcess(private_engine.host, namespace, *options) as controller:
        for page in ("/plan", "/metrics", "/health/ready", "/health/live", "/nowhere"):
            assert controller.get(page, Host="evil.example").code == 421
            assert controller.get(page, Origin="http://evil.example").code == 403
        for host in ("localhost", "127.0.0.1:8001", "jobs.example:8001"):
            assert controller.get("/plan", Host=host).code == 200
        long = b"GET /plan HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000 + b"\r\n\r\n"
        assert asyncio.run(send(controller.port, long, linger=5)).code == 431
        assert asyncio.run(send(controller.port, b"\0" * 50, linger=5)).closed


@pytest.mark.slow
def test_clients_that_never_shake_hands_do_not_deafen_the_api(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    certificate, key = tmp_path / "server-cert.pem", tmp_path / "server-key.pem"
    options = ("--tls-cert", str(certificate), "--tls-key", str(key))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with few_files():
        api = ApiProcess(private_engine.host, namespace, JOB, *options)
        api.start(wait=False)
    try:
        wait_until(lambda: api.events("serving"), "it serves")
        with idle(api.port, 1100):
            for _ in range(5):
                link = http.client.HTTPSConnection("127.0.0.1", api.port, context=context)
                link.request("GET", "/health/live")
                assert link.getresponse().status == 204
                link.close()
            assert len(list(Path(f"/proc/{api.pid}/fd").iterdir())) < 700
        assert len(api.log()) < 20_000
    finally:
        api.close()
