"""The two processes under test, started as an operator would, each on a free port."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

_START_SECONDS = 30.0
_END_SECONDS = 15.0
# What an operator's shell may hold and a process would read.
_OURS = {
    *("FROM_FILE", "PORT", "BIND", "ALLOW_ANONYMOUS", "FILTER_ENV", "ADMISSION", "TOKEN_FILE"),
    *("ALLOWED_HOST", "PULL_POLICY", "MAX_CONCURRENT", "KEEP_EXITED_FOR", "UPKEEP_INTERVAL"),
    *("HEALTH_PORT", "LOCK_DIR", "ENGINE", "TRANSPORT", "NAMESPACE", "LOG_LEVEL", "LOG_FORMAT"),
    *("PULL_TIMEOUT", "REGISTRY_CONFIG", "DOCKER_CONFIG"),
    *("TLS_CERT", "TLS_KEY", "RECEIVE_TIMEOUT", "IDLE_TIMEOUT", "MAX_CONNECTIONS", "MAX_WAITING"),
    *("MAX_PENDING", "MAX_WATCHERS", "QUEUES"),
    *("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
}
_SHOWN: Final = 4000
"""Characters of a log that a failure shows."""


class ProcessFailedError(Exception):
    """The process ended or did not serve; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: ``body`` is JSON where the content type says so, else text."""

    code: int
    headers: Mapping[str, str]
    body: Any


class Process:
    """One process of ours; ``with`` starts it, waits until it serves, and ends it.

    ``options`` go on its command line, ``env`` into its environment, which holds no variable of
    ours otherwise. It may be started again after its end, and then takes the same port. ``root`` is
    another checkout to run, with a ``.venv`` of its own; by default it is this one.
    """

    _module: str
    _port_option: str

    def __init__(
        self,
        docker_host: str,
        namespace: str,
        *options: str,
        env: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> None:
        transport = "socket" if docker_host.startswith("unix://") else "http"
        self._shared: tuple[str, ...] = (
            *("-n", namespace, "-t", transport),
            *("--log-format", "json"),
        )
        self._options = options
        self._root = root
        self._env = {k: v for k, v in os.environ.items() if k not in _OURS and k[:4] != "JOB_"}
        # aiohttp reads every authority that the host trusts when it is imported: an eighth of a
        # second, for nothing that these processes do
        self._env |= {"DOCKER_HOST": docker_host, "SSL_CERT_FILE": os.devnull, **(env or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="process-"))
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = find_free_port()

    @property
    def url(self) -> str:
        """Where it listens: the API, or the controller's health port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            error.add_note(f"{self._module} wrote last:\n{self.log()[-_SHOWN:]}")
        self.close()

    def start(self, *, wait: bool = True) -> Self:
        """Start it; with ``wait``, return when it answers on ``/health/live``."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._root,
                start_new_session=True,
            )
        if wait:
            self.wait_until_live()
        return self

    def command(self) -> list[str]:
        """Return its command line."""
        port = (self._port_option, str(self.port))
        python = str(self._root / ".venv/bin/python") if self._root else sys.executable
        return [python, "-m", self._module, *self._shared, *port, *self._options]

    def wait_until_live(self) -> None:
        """Wait until ``/health/live`` answers 204."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if not self.is_running:
                break
            with suppress(OSError, HTTPException):
                if self.get("/health/live").code == 204:
                    return
            time.sleep(0.02)
        raise ProcessFailedError(f"{self._module} does not serve:\n{self.log()[-_SHOWN:]}")

    def log(self) -> str:
        """Return everything it has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def events(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return its structured log lines, those of one ``event`` if given."""
        *whole, _unfinished = self.log().split("\n")
        lines = [line for line in whole if line.startswith("{")]
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [record for record in records if event in (None, record.get("event"))]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it (SIGKILL) and wait for its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_END_SECONDS)

    def terminate(self, patience: float = _END_SECONDS) -> int:
        """End it in good order (SIGTERM) and return its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self.wait(patience)

    def wait(self, patience: float = _END_SECONDS) -> int:
        """Wait for its end and return its exit status; negative: the signal that ended it."""
        assert self._process is not None
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            message = f"{self._module} did not end within {patience} s:\n{self.log()[-_SHOWN:]}"
            raise ProcessFailedError(message) from None

    def close(self) -> None:
        """End it, if it still runs, and remove its log."""
        if self.is_running:
            assert self._process is not None
            # one that a test has stopped cannot end
            self.signal(signal.SIGCONT)
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def get(self, path: str, **headers: str) -> Reply:
        """Answer of a GET."""
        return call("GET", self.url + path, headers=headers)

    def post(self, document: object, path: str = "/job", **headers: str) -> Reply:
        """Answer of a POST of ``document`` as JSON."""
        body = json.dumps(document).encode()
        return call(
            "POST", self.url + path, body, headers={"Content-Type": "application/json"} | headers
        )


class ApiProcess(Process):
    """``python -m api``."""

    _module = "api"
    _port_option = "--port"


class ControllerProcess(Process):
    """``python -m controller``; ``url`` is its health port."""

    _module = "controller"
    _port_option = "--health-port"


def call(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> Reply:
    """Send one request on a connection of its own and return the answer."""
    parts = urlsplit(url)
    with _connect(parts.hostname or "", parts.port or 80, timeout) as connection:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        payload = response.read()
        received = {name.lower(): value for name, value in response.getheaders()}
        is_json = received.get("content-type", "").startswith("application/json")
        content = json.loads(payload) if is_json else payload.decode(errors="replace")
        return Reply(response.status, received, content)


@contextmanager
def _connect(host: str, port: int, timeout: float) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def find_free_port() -> int:
    """Return a TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
