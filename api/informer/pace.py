"""Spaces the readings of the event stream, so that what a busy engine tells is read together."""

import asyncio
from collections.abc import Callable
from typing import Final

from api.engine.wait import wait_until_set

_TURNS: Final = 4  # the pause ends, the socket is looked at, and read, and then the reader reads


class Pace:
    """A pause of ``seconds`` after each reading; there is none while ``hurries`` tells so.

    The first event after a quiet time is read at once. For a process that the engine has just
    driven out of the caches, to wake takes longer than to read what it was woken for.
    """

    def __init__(self, seconds: float, hurries: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._hurries = hurries
        self._end = asyncio.Event()
        self._pauses = 0
        self._flushed = 0
        """The number of the last pause after which all was read that had come."""

    async def pause(self) -> None:
        """Let news gather until the time is up or somebody is in a hurry."""
        if not self._hurries():
            self._pauses += 1
            self._end.clear()
            await wait_until_set(self._end, self._seconds)

    def hurry(self) -> None:
        """End a pause that is under way."""
        self._end.set()

    async def flush(self) -> None:
        """Have what has come so far read now; it is folded in when this returns."""
        last = self._pauses
        if self._flushed < last:
            self.hurry()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._flushed = max(self._flushed, last)
