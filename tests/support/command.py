"""The command ``docker-job`` in this process, and servers for it in threads of their own."""

import asyncio
import fcntl
import io
import os
import ssl
import struct
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import pytest
import structlog

from api.client import context
from api.client.command import execute
from api.client.connection import Connection
from api.client.plugin import read_invocation
from api.engine.interface import LogStream
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.support.api import serve

T = TypeVar("T")

DATE: Final = "Thu, 01 Jan 2026 12:00:00 GMT"
"""The clock of a scripted server."""
OUT, ERR = LogStream.STDOUT, LogStream.STDERR


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str
    raw: bytes = b""


class _Capture(io.TextIOWrapper):
    """A stream that is no terminal, and has the bytes of what was written."""

    def __init__(self, interrupt_at: bytes | None = None) -> None:
        self.bytes = io.BytesIO()
        self._interrupt_at = interrupt_at
        super().__init__(self.bytes, encoding="utf-8", errors="replace", write_through=True)

    def write(self, text: str) -> int:
        """Write, and then do as the user who sees something and presses Ctrl-C."""
        count = super().write(text)
        if self._interrupt_at is not None and self._interrupt_at in self.bytes.getvalue():
            raise KeyboardInterrupt
        return count


class _Keyboard(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def run_command(
    *arguments: str,
    url: str = "",
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    program: tuple[str, ...] = (),
    clock: "Clock | None" = None,
    interrupt_at: bytes | None = None,
    types: bool = False,
) -> Done:
    """Carry out a command line as a pipe sees it; ``program`` stands before the arguments.

    ``types``: ``stdin`` is typed on a terminal.
    """
    out, err = _Capture(interrupt_at), _Capture()
    patch = {"DJD_URL": url, "DJD_PATIENCE": "60", **(env or {})}
    with _replace(out, err, stdin, patch, clock, types=types):
        status = execute(read_invocation([*program, *arguments]))
    raw = out.bytes.getvalue()
    return Done(status, raw.decode(errors="replace"), err.bytes.getvalue().decode(), raw)


def run_on_terminal(
    *arguments: str, url: str, terminal: "Terminal", env: Mapping[str, str] | None = None
) -> Done:
    """Carry out a command line on a terminal; ``out`` is all that it got."""
    with terminal:
        patch = {"DJD_URL": url, "TERM": "xterm-256color", "NO_COLOR": "1", **(env or {})}
        with _replace(terminal.file, terminal.file, b"", patch):
            status = execute(read_invocation(arguments))
    return Done(status, terminal.text.decode(errors="replace"), "")


class Clock:
    """A clock that a command sleeps by: it takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        """Return the seconds that were slept."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.now += seconds


class Terminal:
    """A pseudo-terminal, and a thread that reads what is written to it."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.file: IO[str] = os.fdopen(slave, "w", encoding="utf-8")
        self.text = b""
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._thread.join()
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # what Linux says where the other end is closed
                return
            if not data:
                return
            self.text += data


@contextmanager
def _replace(
    out: IO[str],
    err: IO[str],
    stdin: bytes,
    env: Mapping[str, str],
    clock: "Clock | None" = None,
    *,
    types: bool = False,
) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DJD_URL", "DJD_TOKEN", "DJD_TOKEN_FILE", "DJD_CA", "NO_COLOR", "COLUMNS"):
            patch.delenv(name, raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        # else the server of this process writes into what the command has written
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        if clock is not None:
            make = partial(Connection, clock=clock.read, sleep=clock.sleep)
            patch.setattr(context, "Connection", make)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        kind = _Keyboard if types else io.TextIOWrapper
        patch.setattr(sys, "stdin", kind(io.BytesIO(stdin)))
        yield


@dataclass(slots=True)
class ServedApi:
    """The API on an engine in memory, in a thread; ``call`` does something there."""

    engine: MemoryEngine
    url: str
    loop: asyncio.AbstractEventLoop

    def call(self, act: Callable[[], T]) -> T:
        """Return what ``act`` returns, called where the engine lives."""

        async def run() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def run_job(self, name: str) -> None:
        """Start a job as the controller would."""
        self.call(lambda: self.engine.run(name))


@contextmanager
def serve_api(
    behave: Callable[[Mapping[str, object]], Script], queues: Path | None = None
) -> Iterator[ServedApi]:
    """Serve the API while the block runs."""
    served: list[ServedApi] = []
    ready, over = threading.Event(), threading.Event()

    async def run() -> None:
        engine = MemoryEngine(behave=behave)
        async with serve(engine, "ns", queues=queues) as api:
            url = str(api.client.make_url("")).rstrip("/")
            served.append(ServedApi(engine, url, asyncio.get_running_loop()))
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(60)
        yield served[0]
    finally:
        over.set()
        thread.join(60)


@dataclass(slots=True)
class Request:
    """What a scripted server was asked."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """What it answers; ``cuts``: the connection is closed after it without an end.

    ``code`` 0: closed without a word. ``stream`` comes instead of ``body``, as it is made.
    """

    code: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cuts: bool = False
    stream: Iterable[bytes] = ()


class ScriptedServer:
    """Answers by ``script``, and keeps what it was asked. It has a clock of its own."""

    def __init__(
        self,
        script: Callable[[Request, int], Reply],
        date: str = DATE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[Request] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                request = Request(
                    self.command,
                    parts.path,
                    parts.query,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(size),
                )
                number = sum(known.path == request.path for known in served.asked)
                served.asked.append(request)
                reply = script(request, number)
                if not reply.code:
                    self.close_connection = True
                    return
                self.send_response(reply.code)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                if reply.stream:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    with suppress(OSError):
                        for part in reply.stream:
                            self.wfile.write(part)
                    return
                # more is promised than comes
                self.send_header("Content-Length", str(len(reply.body) + reply.cuts))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.cuts

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def date_time_string(self, timestamp: float | None = None) -> str:
                del timestamp
                return date

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # a client that leaves early is part of the test
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
