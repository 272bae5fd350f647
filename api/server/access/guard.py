"""The guard: every request passes here, by the policy of its route, before its handler runs."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, nullcontext
from http import HTTPMethod
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from api.http.connection import ClientConnection
from api.http.limits import ClientLimits
from api.http.listening import listen
from api.http.origins import check_names
from api.server.access.identity import CLOSE, TOKENS, identify
from api.server.access.pace import Pace
from api.server.access.token_store import TokenStore
from api.server.access.tokens import ANYTHING, NOTHING, Act, Grant, refer
from api.server.clients import CLIENT, Client, Company, has_room, name_address
from api.server.http.expectation import ask_for_body
from api.server.http.json_body import check_content
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.http.request_path import read_path
from api.server.http.route import Route, Scope, find_route
from api.server.middleware import answer_refusal

_GRANT: Final = web.RequestKey("grant", Grant)
_PLACE: Final = web.RequestKey("place", ExitStack)

_READING: Final = frozenset({HTTPMethod.GET, HTTPMethod.HEAD})
_ACTS: Final[Mapping[Scope, Act]] = {
    Scope.READ: Act.READ,
    Scope.READ_JOBS: Act.READ,
    Scope.POST: Act.POST,
    Scope.POST_JOBS: Act.POST,
}


def read_grant(request: web.Request) -> Grant:
    """Return what the sender may do: handlers ask it about the path of each job they find."""
    return request[_GRANT] if _GRANT in request else ANYTHING  # noqa: SIM401 - typed


def step_aside(request: web.Request) -> None:
    """Leave the place of a request that counts, and its client's turn, to others.

    For one that is about to wait or to stream, which has a place among ``Watchers``.
    """
    if _PLACE in request:
        request[_PLACE].close()


class Guard:
    """Refuses requests by host, origin, token, header, time and number, in this order.

    ``hosts`` are those that a request may name (``origins.choose_hosts``); without a
    ``token_store`` everybody may do anything.
    """

    def __init__(
        self,
        hosts: frozenset[str],
        *,
        token_store: TokenStore | None = None,
        limits: ClientLimits | None = None,
    ) -> None:
        self._hosts = hosts
        self._token_store = token_store
        self._limits = limits or ClientLimits()
        self._company = Company()
        self._pace = Pace()
        self._working: Counter[Client | None] = Counter()

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

        Raises ``ListenError``.
        """
        self.protect(app)
        async with listen(
            app, self._limits, host, port, answer=answer_refusal, context=context
        ) as address:
            yield address

    def protect(self, app: web.Application) -> None:
        """Stand before the handlers of ``app``, inside the middlewares that it has.

        One of those must turn a ``Problem`` into an answer.
        """
        app.middlewares.append(self._pass)
        if self._token_store is not None:
            app.cleanup_ctx.append(self._watch)

    @web.middleware
    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.protocol if isinstance(request.protocol, ClientConnection) else None
        if connection is not None:
            connection.receive()
        try:
            return await self._serve(request, handler, connection)
        except Problem as problem:
            if connection is not None and problem.headers.get("Connection") == "close":
                connection.refuse()
            raise
        finally:
            if connection is not None:
                connection.rest()

    async def _serve(
        self, request: web.Request, handler: Handler, connection: ClientConnection | None
    ) -> web.StreamResponse:
        route = find_route(request)
        scope = choose_scope(route, request.method)
        counts = route is not None and route.counts
        try:
            self._check_names(request)
            client, grant = self._identify(request, scope)
            refusal = _check_scope(grant, scope, request)
        except Problem as problem:
            # who is refused waits like the others: it would only ask again at once
            client, grant, refusal = self._name_address(request), NOTHING, problem
        CLIENT.set(client)
        if refusal is None and (counts or (route is not None and route.streams)):
            self._company.note(client.name)
        with ExitStack() as place:
            has_come = await self._pace.take_turn(client, place)
            if refusal is not None:
                raise refusal
            if counts and not has_come:
                raise _refuse_more(CLOSE)
            request[_GRANT], request[_PLACE] = grant, place
            if route is not None and route.takes_json:
                check_content(request)
            await self._receive(request)
            if connection is not None:
                connection.answer()
            if counts:
                self._count(client, place)
            return await handler(request)

    def _name_address(self, request: web.Request) -> Client:
        return Client(name_address(request.remote), self._company)

    def _check_names(self, request: web.Request) -> None:
        """Refuse a foreign ``Host`` or ``Origin``."""
        refusal = check_names(request, self._hosts)
        if refusal is not None:
            raise _refuse(refusal.code, refusal.reason, refusal.message)

    def _identify(self, request: web.Request, scope: Scope) -> tuple[Client, Grant]:
        """Return who the sender is and may do, or refuse a token that is not in force.

        A token makes one client of its holders, wherever they ask from.
        """
        if self._token_store is None:
            return self._name_address(request), ANYTHING
        request[TOKENS] = self._token_store
        if scope is Scope.PUBLIC:
            return self._name_address(request), NOTHING
        try:
            found = identify(request, self._token_store)
        except Problem:
            # the page asks before there is a session: a 401 would be an error in its console
            if scope is not Scope.ANY or hdrs.AUTHORIZATION in request.headers:
                raise
            return self._name_address(request), NOTHING
        is_sole = self._token_store.has_sole_poster
        client = Client(found.digest.hex(), self._company, refer(found.digest), is_sole)
        return client, found.grant

    async def _receive(self, request: web.Request) -> None:
        """Read the body, so that handlers have it at once; skip it where no route matches."""
        if not request.can_read_body:
            return
        if request.match_info.http_exception is not None:
            if isinstance(request.protocol, ClientConnection):
                request.protocol.refuse()
            return
        limit = request.client_max_size
        if (request.content_length or 0) > limit:
            raise _refuse_size(limit)
        # most come with their header: there is nothing to wait for
        waits = not request.content.is_eof() or hdrs.EXPECT in request.headers
        try:
            async with asyncio.timeout(self._limits.receive) if waits else nullcontext():
                await ask_for_body(request)
                await request.read()
        except TimeoutError:
            raise _refuse(
                408, ProblemReason.BODY_TIMEOUT, "the request's body did not arrive in time"
            ) from None
        except web.HTTPRequestEntityTooLarge:
            raise _refuse_size(limit) from None
        except (web.RequestPayloadError, OSError):
            raise _refuse(
                400, ProblemReason.INVALID_BODY, "the body is not what its header says"
            ) from None

    def _count(self, client: Client, place: ExitStack) -> None:
        """Count a request until ``place`` ends; refuse one too many, of all or of its client."""
        if not has_room(client, self._working, self._limits.waiting):
            raise _refuse_more({})
        self._working[client] += 1
        place.callback(self._discount, client)

    def _discount(self, client: Client) -> None:
        self._working[client] -= 1
        if not self._working[client]:
            del self._working[client]

    async def _watch(self, _app: web.Application) -> AsyncIterator[None]:
        assert self._token_store is not None
        watching = asyncio.create_task(self._token_store.keep_watching())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def choose_scope(route: Route | None, method: str) -> Scope:
    """Return the scope of ``route``; where none matches, what ``method`` would need there."""
    if route is not None:
        return route.scope
    return Scope.READ if method in _READING else Scope.POST


def is_allowed(grant: Grant, scope: Scope, raw_path: str) -> bool:
    """Tell whether ``grant`` reaches a handler of ``scope`` at a path as it came on the wire."""
    if scope in {Scope.PUBLIC, Scope.ANY}:
        return True
    if _ACTS[scope] not in grant.acts:
        return False
    if not grant.paths or scope in {Scope.READ_JOBS, Scope.POST_JOBS}:
        return True
    try:
        return grant.covers(read_path(raw_path))
    except Problem:
        # what can be taken for two paths is within no limit
        return False


def _check_scope(grant: Grant, scope: Scope, request: web.Request) -> Problem | None:
    if is_allowed(grant, scope, request.rel_url.raw_path):
        return None
    return _refuse(403, ProblemReason.OUT_OF_SCOPE, "the token does not allow this")


def _refuse_more(headers: Mapping[str, str]) -> Problem:
    return Problem(
        429,
        ProblemReason.TOO_MANY_REQUESTS,
        "too many requests are waiting",
        headers={"Retry-After": "1", **headers},
    )


def _refuse_size(limit: int) -> Problem:
    return _refuse(413, ProblemReason.TOO_LARGE, f"the body is larger than {limit} bytes")


def _refuse(code: int, reason: str, message: str) -> Problem:
    """Return a refusal that closes the connection: the request's body may not have been read."""
    return Problem(code, reason, message, headers=CLOSE)
