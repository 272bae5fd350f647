"""Collects ids that may wait a moment, so that a burst of them is read together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_PAUSES: Final = 10  # as long as a reading took, so that a burst has it take a tenth of the time
_LONGEST: Final = 0.5


class Gatherer:
    """Hands ``read`` what was added since the last time, all at once.

    That is ``delay`` seconds after the first was added, and ``pause`` seconds or more after
    ``read`` has returned: ten times as long as it took, but no more than half a second.
    """

    def __init__(
        self, read: Callable[[set[str]], Awaitable[None]], *, delay: float, pause: float
    ) -> None:
        self._read = read
        self._delay = delay
        self._pause = pause
        self._news = asyncio.Event()
        self.waiting: set[str] = set()
        """Ids that are about to be read."""

    def add(self, container_id: str) -> None:
        """Have ``container_id`` read with the next ones."""
        self.waiting.add(container_id)
        self._news.set()

    async def run(self) -> None:
        """Read until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._news.wait()
            await asyncio.sleep(self._delay)
            self._news.clear()
            waiting, self.waiting = self.waiting, set()
            began = clock()
            await self._read(waiting)
            taken = clock() - began
            await asyncio.sleep(max(self._pause, min(_PAUSES * taken, _LONGEST)))
