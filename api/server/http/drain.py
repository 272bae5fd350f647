"""The end of service: what is still being answered gets a moment, then a 503."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

GRACE: Final = 2.0
"""Seconds that requests in flight have, from the signal on."""


class Drain:
    """Deadlines of all requests in flight; they are set when service ends."""

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()
        self._end: float | None = None

    async def begin(self, _app: web.Application) -> None:
        """Give what is in flight its deadline; refuse what comes from now on."""
        self._end = asyncio.get_running_loop().time() + GRACE
        for scope in self._scopes:
            scope.reschedule(self._end)

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, by 503 ``ShuttingDown`` if service ends and its time is up."""
        if self._end is not None:
            raise _refuse()
        scope = asyncio.timeout(None)
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


def _refuse() -> Problem:
    message = "the service is about to end; try again later"
    return Problem(503, ProblemReason.SHUTTING_DOWN, message, headers={"Retry-After": "5"})
