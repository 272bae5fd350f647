"""The door of the API: every request passes here before any handler sees it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPMethod
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from api.server.access.connection import Connection
from api.server.access.limits import Limits
from api.server.access.listening import listen
from api.server.access.origins import is_own_host, is_own_origin
from api.server.access.token_store import TokenStore
from api.server.access.tokens import ANYTHING, Grant
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

_log = structlog.get_logger(__name__)

_GRANT: Final = web.RequestKey("grant", Grant)

_PUBLIC: Final = "/health/live"
_JOBS: Final = "/job"
_CLOSE: Final[Mapping[str, str]] = {"Connection": "close"}
_READING: Final = frozenset({HTTPMethod.GET, HTTPMethod.HEAD})


def read_grant(request: web.Request) -> Grant:
    """Return what the sender may do; a handler that finds a job asks it with the job's path."""
    return request[_GRANT] if _GRANT in request else ANYTHING  # noqa: SIM401 - typed


class Guard:
    """Judges requests by host, origin, token, time and number.

    ``hosts`` are those that a request may name (``origins.choose_hosts``); without a
    ``token_store`` everybody may do anything.
    """

    def __init__(
        self,
        hosts: frozenset[str],
        *,
        token_store: TokenStore | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._hosts = hosts
        self._token_store = token_store
        self._limits = limits or Limits()
        self._working = 0

    @asynccontextmanager
    async def serve(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
    ) -> AsyncIterator[tuple[str, int]]:
        """Serve ``app`` while the block runs, which gets the address and port listened on.

        The guard stands before the handlers, inside the middlewares of ``app``; one of those
        must turn a ``Problem`` into an answer. Raises ``ListenError``.
        """
        app.middlewares.append(self._pass)
        if self._token_store is not None:
            app.cleanup_ctx.append(self._watch)
        async with listen(app, self._limits, host, port, context=context) as address:
            yield address

    @web.middleware
    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.protocol if isinstance(request.protocol, Connection) else None
        if connection is not None:
            connection.receive()
        try:
            self._judge(request)
            await self._receive(request)
            if connection is not None:
                connection.answer()
            with self._count(request):
                return await handler(request)
        except Problem as problem:
            if connection is not None and problem.headers.get("Connection") == "close":
                connection.refuse()
            raise
        finally:
            if connection is not None:
                connection.rest()

    def _judge(self, request: web.Request) -> None:
        """Refuse a request by its header, or set its grant."""
        hosts = request.headers.getall(hdrs.HOST, [])
        if not hosts:
            raise Problem(400, ProblemReason.NO_HOST, "the request names no Host", headers=_CLOSE)
        address = request.get_extra_info("sockname")
        reached = address[0] if isinstance(address, tuple) else None
        # the second is another where the request line has a whole URL
        for host in {*hosts, request.host}:
            if not is_own_host(host, self._hosts, reached):
                raise Problem(
                    421,
                    ProblemReason.UNKNOWN_HOST,
                    "the API does not answer to this Host",
                    headers=_CLOSE,
                )
        for origin in request.headers.getall(hdrs.ORIGIN, []):
            if not is_own_origin(origin, hosts[0]):
                raise Problem(
                    403,
                    ProblemReason.FOREIGN_ORIGIN,
                    "pages of other origins may not ask",
                    headers=_CLOSE,
                )
        request[_GRANT] = grant = self._identify(request)
        _check_scope(grant, request.method, request.path.rstrip("/"))

    def _identify(self, request: web.Request) -> Grant:
        if self._token_store is None:
            return ANYTHING
        if request.path == _PUBLIC and request.method in _READING:
            # enough for this page, and for no other
            return Grant(paths=(_PUBLIC,))
        values = request.headers.getall(hdrs.AUTHORIZATION, [])
        if not values:
            raise _challenge("a bearer token is needed")
        scheme, _, token = values[0].partition(" ")
        grant = None
        if len(values) == 1 and scheme.lower() == "bearer":
            grant = self._token_store.identify(token.strip().encode(errors="surrogateescape"))
        if grant is None:
            _log.warning("token refused", remote=request.remote, path=request.path)
            raise _challenge("the bearer token is not known", error="invalid_token")
        return grant

    async def _receive(self, request: web.Request) -> None:
        """Read the body, which handlers then have at once; none where no route wants it."""
        if not request.can_read_body:
            return
        if request.match_info.http_exception is not None:
            if isinstance(request.protocol, Connection):
                request.protocol.refuse()
            return
        limit = request.client_max_size
        if (request.content_length or 0) > limit:
            raise _refuse_size(limit)
        try:
            async with asyncio.timeout(self._limits.receive):
                await request.read()
        except TimeoutError:
            raise Problem(
                408,
                ProblemReason.BODY_TIMEOUT,
                "the request's body did not arrive in time",
                headers=_CLOSE,
            ) from None
        except web.HTTPRequestEntityTooLarge:
            raise _refuse_size(limit) from None
        except (web.RequestPayloadError, OSError):
            raise Problem(
                400,
                ProblemReason.INVALID_BODY,
                "the body does not come as its header says",
                headers=_CLOSE,
            ) from None

    @contextmanager
    def _count(self, request: web.Request) -> Iterator[None]:
        """Refuse the request if too many that need the engine are being worked on."""
        if not request.path.startswith(_JOBS):
            yield
            return
        if self._working >= self._limits.waiting:
            raise Problem(
                429,
                ProblemReason.TOO_MANY_REQUESTS,
                "too many requests are waiting",
                headers={"Retry-After": "1"},
            )
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    async def _watch(self, _app: web.Application) -> AsyncIterator[None]:
        assert self._token_store is not None
        watching = asyncio.create_task(self._token_store.keep_watching())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _check_scope(grant: Grant, method: str, path: str) -> None:
    """Refuse what the token does not cover; a job's own path is for its handler to judge."""
    if method not in _READING:
        allowed = grant.may_post(path)
    elif path.startswith(_JOBS + "/"):
        allowed = grant.reads
    else:
        allowed = grant.may_read(path)
    if not allowed:
        raise Problem(
            403, ProblemReason.OUT_OF_SCOPE, "the token does not allow this", headers=_CLOSE
        )


def _challenge(message: str, *, error: str = "") -> Problem:
    challenge = 'Bearer realm="docker-job-dispatcher"' + (f', error="{error}"' if error else "")
    return Problem(
        401, ProblemReason.UNAUTHORIZED, message, headers={"WWW-Authenticate": challenge, **_CLOSE}
    )


def _refuse_size(limit: int) -> Problem:
    return Problem(
        413, ProblemReason.TOO_LARGE, f"the body is larger than {limit} bytes", headers=_CLOSE
    )
