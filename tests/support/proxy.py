"""A proxy in front of an engine that counts requests and spoils those a test chooses."""

import asyncio
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.proxy_link import Act, Link, Rule

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request seen: the moment (monotonic seconds) and its method and target."""

    time: float
    line: str


class FaultProxy:
    """Stands between a client and the engine at ``upstream`` (``unix:///path``).

    It listens on a unix socket of its own, or with ``port`` (0: any free one) on 127.0.0.1, there
    with TLS if given a server's ``tls`` context. It runs in a thread: tests of any kind drive it.
    Rules take a regular expression, searched in ``METHOD /v1.41/path?query``; the first that fits
    counts, ``times`` limits how often, and all hold until :meth:`heal`.
    """

    def __init__(
        self, upstream: str, *, port: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.upstream = upstream.removeprefix("unix://")
        self.counts: Counter[str] = Counter()
        """Requests by kind, as ``GET /containers/json`` or ``POST /containers/{id}/start``."""
        self.requests: deque[Request] = deque(maxlen=200_000)
        self._folder = Path(tempfile.mkdtemp(prefix="fault-proxy-"))
        self._port = port
        self._tls = tls
        self._rules: list[Rule] = []
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._healed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def host(self) -> str:
        """What ``DOCKER_HOST`` must be to go through the proxy."""
        return f"unix://{self.socket}" if self._port is None else f"tcp://127.0.0.1:{self._port}"

    @property
    def socket(self) -> Path:
        """The path of the proxy's unix socket."""
        return self._folder / "docker.sock"

    @property
    def open_connections(self) -> int:
        """How many clients' connections are open now."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def block(self, pattern: str, *, times: int | None = None) -> None:
        """Hold requests back: the engine gets them when healed, if the client still waits."""
        self._add(Rule(Act.BLOCK, pattern, times))

    def delay(self, pattern: str, seconds: float, *, times: int | None = None) -> None:
        """Hand requests on later."""
        self._add(Rule(Act.DELAY, pattern, times, seconds=seconds))

    def cut(self, pattern: str, *, times: int | None = None) -> None:
        """Let the engine do what is asked, then reset the connection instead of a reply."""
        self._add(Rule(Act.CUT, pattern, times))

    def reset(self, pattern: str, *, times: int | None = None) -> None:
        """Reset the connection: the engine never hears of the request."""
        self._add(Rule(Act.RESET, pattern, times))

    def lose_reply(self, pattern: str, *, times: int | None = None) -> None:
        """Let the engine do what is asked, and leave the client without any answer."""
        self._add(Rule(Act.LOSE, pattern, times))

    def truncate(self, pattern: str, size: int, *, times: int | None = None) -> None:
        """Pass ``size`` bytes of the reply, its head included, then close the connection."""
        self._add(Rule(Act.TRUNCATE, pattern, times, size=size))

    def stall(self, pattern: str, size: int, *, times: int | None = None) -> None:
        """Pass ``size`` bytes of the reply, its head included, then nothing more."""
        self._add(Rule(Act.STALL, pattern, times, size=size))

    def half_close(self, pattern: str, *, times: int | None = None) -> None:
        """Close the way back at once, without a reply, and keep reading from the client."""
        self._add(Rule(Act.HALF_CLOSE, pattern, times))

    def answer(self, pattern: str, status: int, body: str, *, times: int | None = None) -> None:
        """Answer in the engine's place, with a JSON text; the engine never hears of it."""
        self._add(Rule(Act.ANSWER, pattern, times, status=status, body=body))

    def drop_events_silently(self) -> None:
        """Pass nothing more on event streams, open ones and new ones, and keep them open.

        A stream once silent stays so; after :meth:`heal` a new one is told of events again.
        """
        rule = Rule(Act.SILENCE, r"^GET \S*/events")
        self._add(rule)
        self._do(lambda: self._silence(rule))

    def sever(self, pattern: str = "") -> None:
        """Reset the open connections whose latest request fits."""
        self._do(lambda: self._sever(pattern))

    def refuse(self, *, leave_socket: bool = True) -> None:
        """Stop listening, as an engine that is down; with or without the socket's file."""
        self._call(self._stop_listening())
        self.socket.unlink(missing_ok=True)
        if leave_socket and self._port is None:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(self.socket))

    def listen(self) -> None:
        """Listen again, at the same place."""
        self._call(self._start_listening())

    def heal(self) -> None:
        """Drop all rules and hand on what is held back."""
        self._do(self._heal)

    def count(self, pattern: str, *, since: float = 0.0) -> int:
        """Return how many requests fitted from ``since`` on, in monotonic seconds."""
        return sum(
            1
            for request in list(self.requests)
            if request.time >= since and re.search(pattern, request.line)
        )

    # In the proxy's thread ---------------------------------------------------------------------

    def note(self, line: str) -> Rule | None:
        """Count a request and return the rule for it; called by links."""
        self.requests.append(Request(time.monotonic(), line))
        self.counts[name_kind(line)] += 1
        for rule in self._rules:
            if rule.takes(line):
                return rule
        return None

    async def wait_until_healed(self) -> None:
        """Wait for the next :meth:`heal`; called by links."""
        await self._healed.wait()

    def _heal(self) -> None:
        self._rules.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    def _silence(self, rule: Rule) -> None:
        for link in self._links:
            if rule.fits(link.line):
                link.rule = rule

    def _sever(self, pattern: str) -> None:
        for link in list(self._links):
            if re.search(pattern, link.line):
                link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            # accepted just before the end, too late to be reset with the others
            writer.transport.abort()
            return
        link = Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _start_listening(self) -> None:
        if self._port is None:
            self.socket.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self.socket)
        else:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, ssl=self._tls
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            for listener in self._server.sockets:
                self._loop.remove_reader(listener.fileno())
            # A connection accepted just now must be whole before its server goes: asyncio
            # asserts that, and leaks the connection.
            await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()

    async def _close(self) -> None:
        self._heal()
        await self._stop_listening()
        while self._links:
            await asyncio.sleep(0.01)

    def _add(self, rule: Rule) -> None:
        self._do(lambda: self._rules.append(rule))

    def _do(self, action: Callable[[], object]) -> None:
        async def run() -> None:
            action()

        self._call(run())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)


def name_kind(line: str) -> str:
    """Return a request's kind: its method and path without version, query and ids.

    ``POST /v1.41/containers/3f2a/start?t=1`` is ``POST /containers/{id}/start``.
    """
    method, _, target = line.partition(" ")
    path = re.sub(r"^/v\d+\.\d+(?=/)", "", target.partition("?")[0])
    path = re.sub(r"^/containers/(?!json$|create$|prune$)[^/]+", "/containers/{id}", path)
    path = re.sub(r"^/images/(?!json$|create$).+(?=/json$)", "/images/{id}", path)
    return f"{method} {path}"
