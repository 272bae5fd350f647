"""Places for requests under way: a limit for all, half of it for one client, turns between them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from api.server.fair_queue import FairQueue, halve

PATIENCE: Final = 1.0
"""Seconds that a request waits for a place; then its client is told to come back later."""


class NoPlaceError(Exception):
    """No place became free in time."""


class Places:
    """``count`` places, of which one client has half at most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._share = halve(count)
        self._taken: Counter[str | None] = Counter()
        self._queued: Counter[str | None] = Counter()
        self._waiting: FairQueue[tuple[str | None, asyncio.Future[None]]] = FairQueue()

    @asynccontextmanager
    async def take(self, client: str | None) -> AsyncIterator[None]:
        """Hold a place while the block runs; raises ``NoPlaceError`` if none comes free in time.

        As many requests of a client as may have a place may wait for one.
        """
        await self._enter(client)
        try:
            yield
        finally:
            self._leave(client)

    def _has_room(self, client: str | None) -> bool:
        return self._taken.total() < self._count and self._taken[client] < self._share

    async def _enter(self, client: str | None) -> None:
        if self._has_room(client):
            self._taken[client] += 1
            return
        if self._queued[client] >= self._share:
            # each holds a document
            raise NoPlaceError
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(client, (client, place))
        self._queued[client] += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                # it was given in the very moment
                self._leave(client)
            self._waiting.discard(client, (client, place))
            if isinstance(error, TimeoutError):
                raise NoPlaceError from None
            raise
        finally:
            self._queued[client] -= 1
            if not self._queued[client]:
                del self._queued[client]

    def _leave(self, client: str | None) -> None:
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
        while (found := self._waiting.pop(self._has_room)) is not None:
            waiting, place = found
            if not place.done():
                self._taken[waiting] += 1
                place.set_result(None)
