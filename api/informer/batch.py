"""Collects uids that may wait a moment, so that a burst of them is read together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_SHARE: Final = 10  # the pause in readings: in a burst, reading takes a tenth of the time


class Batcher:
    """Hands ``read`` what was added since the last time, all at once.

    It does so ``delay`` seconds after the first was added or, with a ``longest_delay``, after the
    last, and that long after the first at most; and after a pause since ``read`` last returned: ten
    times as long as that reading took, but within ``pauses``, the shortest and the longest. All in
    seconds.
    """

    def __init__(
        self,
        read: Callable[[set[str]], Awaitable[None]],
        *,
        delay: float = 0.0,
        longest_delay: float | None = None,
        pauses: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._read = read
        self._delay = delay
        self._longest_delay = delay if longest_delay is None else longest_delay
        self._shortest_pause, self._longest_pause = pauses
        self._first = self._last = 0.0
        self._news = asyncio.Event()
        self.waiting: set[str] = set()
        """Uids that are about to be read."""

    def add(self, uid: str) -> None:
        """Have ``uid`` read with the next ones."""
        self._last = asyncio.get_running_loop().time()
        if not self.waiting:
            self._first = self._last
        self.waiting.add(uid)
        self._news.set()

    async def run(self) -> None:
        """Read until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._news.wait()
            await asyncio.sleep(max(0.0, self._find_due() - clock()))
            if self._find_due() > clock():
                continue  # more has come
            self._news.clear()
            waiting, self.waiting = self.waiting, set()
            began = clock()
            await self._read(waiting)
            taken = clock() - began
            await asyncio.sleep(min(max(self._shortest_pause, _SHARE * taken), self._longest_pause))

    def _find_due(self) -> float:
        """Return when what waits is to be read."""
        return min(self._last + self._delay, self._first + self._longest_delay)
