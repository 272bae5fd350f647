"""Connections with deadlines and a limit on their number, which aiohttp's own do not have.

aiohttp's ``RequestHandler`` speaks HTTP; the subclass here adds a timer to each connection and
answers malformed HTTP in JSON. Who waits for what is told apart by four phases:

    HEADER ──▶ BODY ──▶ ANSWER ──▶ IDLE ──▶ HEADER …

Everything but ANSWER is waiting for the client: it ends by a deadline, and when there are too
many connections the one that has waited longest gives way.
"""

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from api.server.access.limits import Limits
from api.server.http.errors import answer_problem, explain_http
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.middleware import choose_request_id

_log = structlog.get_logger(__name__)
_NAME = "docker-job-dispatcher"
_MAX_DROPPED = 1 << 20
"""Bytes of a refused body that are taken, so that the client reads the refusal first."""
_LINGER = 1.0
"""Seconds that a refused client is given to stop sending."""

_TOO_MANY = Problem(503, ProblemReason.TOO_MANY_CONNECTIONS, "too many connections are open")
_TOO_SLOW = Problem(
    408, ProblemReason.HEADER_TIMEOUT, "the request's header did not arrive in time"
)


class Phase(Enum):
    """What a connection is waiting for."""

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()


class ConnectionLimiter:
    """Makes the connections of a server, and knows them all."""

    def __init__(self, server: web.Server, limits: Limits) -> None:
        self.server = server
        self.limits = limits
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        """Those that wait for their client, the longest first."""
        self._full = False

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self)

    def enter(self, connection: "Connection") -> bool:
        """Count ``connection`` in, in place of the longest waiting one if need be."""
        if len(self._open) >= self.limits.connections:
            self._warn()
            if not self._waiting:
                return False
            next(iter(self._waiting)).abort()
        self._open.add(connection)
        return True

    def leave(self, connection: "Connection") -> None:
        """Count ``connection`` out."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        if len(self._open) <= self.limits.connections // 2:
            self._full = False

    def note(self, connection: "Connection", *, waiting: bool) -> None:
        """Note that ``connection`` began to wait for its client, or that it does not."""
        self._waiting.pop(connection, None)
        if waiting and connection in self._open:
            self._waiting[connection] = None

    def _warn(self) -> None:
        if not self._full:
            _log.warning("connection limit reached", limit=self.limits.connections)
        self._full = True


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_deadline", "_dropped", "_limiter", "_phase", "_refused", "_timer")

    def __init__(self, limiter: ConnectionLimiter) -> None:
        settings: dict[str, Any] = {
            "access_log": None,
            # a body is taken as it is: a small one cannot unfold into a big one
            "auto_decompress": False,
            "keepalive_timeout": limiter.limits.idle,
            "lingering_time": _LINGER,
        }
        super().__init__(limiter.server, loop=asyncio.get_running_loop(), **settings)
        self._limiter = limiter
        self._phase = Phase.HEADER
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._dropped = 0

    @property
    def receive_seconds(self) -> float:
        """How long a body may take."""
        return self._limiter.limits.receive

    def receive(self) -> None:
        """Note that a header is complete; whoever reads the body watches the time."""
        self._go(Phase.BODY, None)

    def answer(self) -> None:
        """Note that the request is complete: from now on the client waits for us."""
        self._go(Phase.ANSWER, None)

    def rest(self) -> None:
        """Note that the request is answered, but for what the client has yet to take."""
        self._go(Phase.IDLE, self._limiter.limits.idle)

    def refuse(self) -> None:
        """Take no further request, and no more of the present one's body than is polite."""
        self._refused = True
        self.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._limiter.leave(self)
        transport = self.transport
        self.force_close()
        if transport is not None:
            # closing waits until the client has taken all it was sent
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request, or refuse the connection."""
        if not self._limiter.enter(self):
            assert isinstance(transport, asyncio.Transport)
            transport.write(_spell(_TOO_MANY))
            transport.close()
            return
        super().connection_made(transport)
        self._go(Phase.HEADER, self._limiter.limits.receive)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and begin to wait for the rest of a header where they begin one."""
        if self._refused:
            self._drop(len(data))
            return
        if self._phase is Phase.IDLE:
            self._go(Phase.HEADER, self._limiter.limits.receive)
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
        """Answer what is not HTTP, or failed outside all handlers, as any other error."""
        del message  # quotes the client, and the parser's opinion of it
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun already")
        request_id = choose_request_id(None)
        if isinstance(exc, HttpProcessingError):
            problem = Problem(
                status, ProblemReason.INVALID_REQUEST, "the request is not valid HTTP"
            )
            if isinstance(exc, LineTooLong):
                problem = Problem(
                    431, ProblemReason.HEADER_TOO_LARGE, "the request line or a header is too long"
                )
            _log.info("request unreadable", cause=type(exc).__name__, request_id=request_id)
        else:
            problem = Problem(
                status, ProblemReason.INTERNAL_ERROR, "this service failed; its log says why"
            )
            _log.error("connection failed", exc_info=exc, request_id=request_id)
        self.refuse()
        response = answer_problem(problem, request_id)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; one that aiohttp made before any handler ran becomes JSON first."""
        if isinstance(resp, web.HTTPException):
            resp = answer_problem(explain_http(resp), choose_request_id(None))
        resp.headers.setdefault("Server", _NAME)
        if self._refused:
            # said, so that the client does not send its next request here
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def _go(self, phase: Phase, seconds: float | None) -> None:
        self._phase = phase
        self._limiter.note(self, waiting=phase is not Phase.ANSWER)
        loop = asyncio.get_running_loop()
        self._deadline = None if seconds is None else loop.time() + seconds
        if self._deadline is None or self.transport is None:
            return
        # A timer that comes too early sets itself anew: several deadlines a request cost one.
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer(loop, self._deadline)

    def _set_timer(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(moment, self._look_at_clock)

    def _look_at_clock(self) -> None:
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
        # a client that has yet to take its last answer will not take this one either
        if (
            self._phase is Phase.HEADER
            and transport is not None
            and not transport.get_write_buffer_size()
        ):
            transport.write(_spell(_TOO_SLOW))
            transport.close()
        else:
            self.abort()

    def _drop(self, count: int) -> None:
        self._dropped += count
        if self._dropped > _MAX_DROPPED and self.transport is not None:
            self.transport.pause_reading()


def _spell(problem: Problem) -> bytes:
    """Return a whole answer for a client that no request of aiohttp's stands for."""
    response = answer_problem(problem, choose_request_id(None))
    assert isinstance(response.body, bytes)
    head = (
        f"HTTP/1.1 {problem.code} {HTTPStatus(problem.code).phrase}\r\n"
        f"Content-Type: {response.headers['Content-Type']}\r\n"
        f"Content-Length: {len(response.body)}\r\nServer: {_NAME}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + response.body
