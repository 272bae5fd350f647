"""The end of service: requests in flight get a moment, then a 503; streams end by themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.http.route import find_route

GRACE: Final = 2.0
"""Seconds that requests in flight have from the signal on."""
_SHUTDOWN: Final = web.RequestKey("shutdown", asyncio.Event)
_SCOPE: Final = web.RequestKey("scope", asyncio.Timeout)


def read_shutdown(request: web.Request) -> asyncio.Event:
    """Return the event that is set when service ends: whoever waits or streams has to end then."""
    return request[_SHUTDOWN]


@asynccontextmanager
async def end_at_shutdown(request: web.Request) -> AsyncIterator[None]:
    """Run the block until service ends. Raises ``Problem`` 503 ``ShuttingDown`` then."""
    shutdown, loop = read_shutdown(request), asyncio.get_running_loop()
    scope = asyncio.timeout(None)

    async def watch() -> None:
        await shutdown.wait()
        scope.reschedule(loop.time())

    try:
        async with scope:
            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not scope.expired():
            raise
        raise _refuse() from None


class Drain:
    """Deadlines of all requests in flight; they are set when service ends.

    A stream whose header has been sent has none: it could not be answered with a 503 any more.
    """

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()
        self._end: float | None = None
        self._shutdown = asyncio.Event()

    def install(self, app: web.Application) -> None:
        """Watch all requests of ``app``, inside the middlewares that it has."""
        app.middlewares.append(self._watch)
        app.on_response_prepare.append(self._release)
        app.on_shutdown.append(self._begin)

    async def _begin(self, _app: web.Application) -> None:
        """Give what is in flight its deadline; refuse what comes from now on."""
        self._end = asyncio.get_running_loop().time() + GRACE
        self._shutdown.set()
        for scope in self._scopes:
            scope.reschedule(self._end)

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, by 503 ``ShuttingDown`` if service ends and its time is up."""
        if self._end is not None:
            raise _refuse()
        request[_SHUTDOWN] = self._shutdown
        scope = asyncio.timeout(None)
        route = find_route(request)
        if route is not None and route.streams:
            request[_SCOPE] = scope
        try:
            async with scope:
                self._scopes.add(scope)
                try:
                    return await handler(request)
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            if not scope.expired():
                raise
            raise _refuse() from None

    async def _release(self, request: web.Request, _response: web.StreamResponse) -> None:
        """Take the deadline off a stream whose header is about to be sent."""
        scope = request.get(_SCOPE)
        if scope in self._scopes and not scope.expired():
            self._scopes.discard(scope)
            scope.reschedule(None)


def _refuse() -> Problem:
    message = "the service is about to end; try again later"
    return Problem(503, ProblemReason.SHUTTING_DOWN, message, headers={"Retry-After": "5"})
