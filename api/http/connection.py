"""Client connections with deadlines and a limit on their number, neither of which aiohttp has.

aiohttp's ``RequestHandler`` speaks HTTP; the subclass here adds a timer to each connection and
answers malformed HTTP itself. A connection is always in one of four phases:

    HEADER ──▶ BODY ──▶ ANSWER ──▶ IDLE ──▶ HEADER …

In ANSWER the client waits for us. In the others we wait for the client: a deadline ends the
phase, and when there are too many connections the one that has waited longest is closed.

The idle timer is not aiohttp's: that one closes a connection only after all has been sent, so a
client that reads nothing would keep it for ever.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum, auto
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Protocol

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from api.http.limits import ClientLimits
from api.http.refusal import (
    FAILED,
    NOT_HTTP,
    TOO_LONG,
    TOO_MANY,
    TOO_SLOW,
    Answer,
    Refusal,
    answer_plainly,
)

_log = structlog.get_logger(__name__)
SERVER_NAME = "docker-job-dispatcher"
"""What the ``Server`` of an answer says."""
_MAX_DROPPED = 1 << 20
"""Bytes of a refused body that are still read: a client may read the refusal only afterwards."""
_LINGER = 1.0
"""Seconds that a refused client has to stop sending."""
_QUIET = 1.0
"""Seconds between two lines of the log about the limit."""


class ConnectionPhase(Enum):
    """What a connection waits for."""

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()


class Limited(Protocol):
    """A connection that counts: a client's, or one that has yet to shake hands."""

    def abort(self) -> None:
        """Close at once."""


class ConnectionLimiter:
    """Makes the connections of a server and keeps their number within the limit."""

    def __init__(
        self, server: web.Server, limits: ClientLimits, answer: Answer = answer_plainly
    ) -> None:
        self.server = server
        self.limits = limits
        self.answer = answer
        self._open: set[Limited] = set()
        self._waiting: dict[Limited, None] = {}
        """Connections that wait for their client, the longest first."""
        self._full = False
        self._told = -_QUIET

    def __call__(self) -> "ClientConnection":
        """Return the protocol of a new connection."""
        return ClientConnection(self)

    def enter(self, connection: Limited) -> bool:
        """Admit ``connection``, closing the longest waiting one if need be; False if none waits."""
        if len(self._open) >= self.limits.connections:
            self._warn()
            if not self._waiting:
                return False
            next(iter(self._waiting)).abort()
        self._open.add(connection)
        return True

    def leave(self, connection: Limited) -> None:
        """Forget ``connection``."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        if len(self._open) <= self.limits.connections // 2:
            self._full = False

    def note(self, connection: Limited, *, waiting: bool) -> None:
        """Record whether ``connection`` waits for its client, from now on."""
        self._waiting.pop(connection, None)
        if waiting and connection in self._open:
            self._waiting[connection] = None

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._full and now >= self._told + _QUIET:
            self._told = now
            _log.warning("connection limit reached", limit=self.limits.connections)
        self._full = True


class ClientConnection(web.RequestHandler):
    """One client's connection; the guard tells it how far a request is."""

    __slots__ = ("_deadline", "_dropped", "_limiter", "_phase", "_refused", "_timer")

    def __init__(self, limiter: ConnectionLimiter) -> None:
        settings: dict[str, Any] = {
            "access_log": None,
            # a compressed body is refused, never unpacked into a larger one
            "auto_decompress": False,
            "keepalive_timeout": limiter.limits.idle,
            "lingering_time": _LINGER,
        }
        super().__init__(limiter.server, loop=asyncio.get_running_loop(), **settings)
        self._limiter = limiter
        self._phase = ConnectionPhase.HEADER
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._dropped = 0

    def receive(self) -> None:
        """Enter BODY: the header is complete. The guard has the deadline of the body."""
        self._go(ConnectionPhase.BODY, None)

    def answer(self) -> None:
        """Enter ANSWER: the request is complete."""
        self._go(ConnectionPhase.ANSWER, None)

    def rest(self) -> None:
        """Enter IDLE: the handler is done. The client has yet to read the answer."""
        self._go(ConnectionPhase.IDLE, self._limiter.limits.idle)

    def refuse(self) -> None:
        """Serve no further request, and drop what comes of the present one's body."""
        self._refused = True
        self.close()

    def abort(self) -> None:
        """Close at once, even if the client has not read all it was sent."""
        self._limiter.leave(self)
        transport = self.transport
        self.force_close()
        if transport is not None:
            # force_close would wait until the client has read everything
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter HEADER, or refuse the connection."""
        if not self._limiter.enter(self):
            assert isinstance(transport, asyncio.Transport)
            transport.write(self._spell(TOO_MANY))
            transport.close()
            return
        super().connection_made(transport)
        self._go(ConnectionPhase.HEADER, self._limiter.limits.receive)

    def data_received(self, data: bytes) -> None:
        """Parse ``data``; the first bytes after IDLE begin a header."""
        if self._refused:
            self._drop(len(data))
            return
        if self._phase is ConnectionPhase.IDLE:
            self._go(ConnectionPhase.HEADER, self._limiter.limits.receive)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._limiter.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to malformed HTTP, or to an error outside all middlewares."""
        del message  # it quotes the client
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun already")
        request_id = token_hex(16)
        if isinstance(exc, HttpProcessingError):
            refusal = TOO_LONG if isinstance(exc, LineTooLong) else replace(NOT_HTTP, code=status)
            _log.info("request unreadable", cause=type(exc).__name__, request_id=request_id)
        else:
            refusal = FAILED
            _log.error("connection failed", exc_info=exc, request_id=request_id)
        self.refuse()
        response = self._limiter.answer(refusal, request_id)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, in its usual shape where aiohttp refused before any middleware ran."""
        if isinstance(resp, web.HTTPException):
            resp = self._limiter.answer(resp, token_hex(16))
        resp.headers.setdefault("Server", SERVER_NAME)
        if self._refused:
            # the header then says so, and the client sends no further request here
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def _go(self, phase: ConnectionPhase, seconds: float | None) -> None:
        self._phase = phase
        self._limiter.note(self, waiting=phase is not ConnectionPhase.ANSWER)
        self._deadline = None
        if seconds is None:
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds
        if self.transport is None:
            return
        # One timer serves all phases of a request: if it fires early, it is set again.
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer(loop, self._deadline)

    def _set_timer(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(moment, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._deadline is None or self.transport is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._set_timer(loop, self._deadline)
        else:
            self._expire()

    def _expire(self) -> None:
        transport = self.transport
        # a client that has not read its last answer will not read this one either
        if (
            self._phase is ConnectionPhase.HEADER
            and transport is not None
            and not transport.get_write_buffer_size()
        ):
            transport.write(self._spell(TOO_SLOW))
            transport.close()
        else:
            self.abort()

    def _drop(self, count: int) -> None:
        self._dropped += count
        if self._dropped > _MAX_DROPPED and self.transport is not None:
            self.transport.pause_reading()

    def _spell(self, refusal: Refusal) -> bytes:
        """Return a whole HTTP answer, for where aiohttp has no request to answer."""
        response = self._limiter.answer(refusal, token_hex(16))
        assert isinstance(response.body, bytes)
        head = (
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
            f"Content-Type: {response.headers['Content-Type']}\r\n"
            f"Content-Length: {len(response.body)}\r\nServer: {SERVER_NAME}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + response.body


@contextmanager
def answering(request: web.BaseRequest) -> Iterator[ClientConnection | None]:
    """Yield the connection of a request that has no body to read, in ANSWER while the block runs.

    It is None where a test hands the request over without one.
    """
    connection = request.protocol if isinstance(request.protocol, ClientConnection) else None
    if connection is None:
        yield None
        return
    connection.answer()
    try:
        yield connection
    finally:
        connection.rest()
