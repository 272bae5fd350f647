"""Whether the engine answers, asked once a second however many want to know."""

import asyncio
from collections.abc import Callable
from typing import Final

from api.engine.errors import EngineError
from api.engine.interface import Engine

FRESH: Final = 1.0
"""Seconds for which an answer counts."""
_PATIENCE: Final = 2.0


class Readiness:
    """What the engine last answered to a ping, and how many jobs ``count_pending`` last found.

    ``is_up`` tells what other calls have shown: an answer from before it changed counts no more.
    """

    def __init__(
        self, engine: Engine, count_pending: Callable[[], int], is_up: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._count_pending = count_pending
        self._is_up = is_up
        self._was_up = False
        self._asking: asyncio.Task[str | None] | None = None
        self._asked_at = 0.0
        self._backlog = 0
        self._counted_at: float | None = None

    async def find_failure(self) -> str | None:
        """Return why the engine does not answer, or None if it does."""
        now = asyncio.get_running_loop().time()
        is_up = self._is_up()
        is_fresh = now < self._asked_at + FRESH and is_up is self._was_up
        if self._asking is None or (self._asking.done() and not is_fresh):
            self._asked_at, self._was_up = now, is_up
            self._asking = asyncio.create_task(self._ask())
        # who wanted to know may leave, and others wait for the same answer
        return await asyncio.shield(self._asking)

    def count_backlog(self) -> int:
        """Return how many jobs were pending within the last second: counting reads all of them."""
        now = asyncio.get_running_loop().time()
        if self._counted_at is None or now >= self._counted_at + FRESH:
            self._backlog = self._count_pending()
            self._counted_at = now
        return self._backlog

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._engine.ping()
        except (EngineError, TimeoutError) as error:
            return str(error) or "no answer in time"
        return None
