"""How soon a request begins: beside others, a client with several at once begins one by one.

One process answers everybody. Without this, whoever keeps hundreds of connections busy has its
time: each step of another client's answer would wait for as many of theirs.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from api.server.clients import Client

STEP: Final = 0.004
"""Seconds at least between the beginnings of two requests."""
LONGEST: Final = 0.05
"""Seconds after which the next begins although the one before has not ended."""
SHARE: Final = 4
"""The next begins when this many times the processor time of the one before has passed."""
MOST: Final = 1.0
"""Seconds for which that can delay it while the one before has not ended: others work as well."""
PATIENCE: Final = 2.0
"""Seconds that a request waits for its beginning."""


@dataclass(slots=True)
class _Turn:
    """A request that has begun; ``at`` and ``ended`` are the loop's times of it."""

    at: float
    clock: float
    """The processor time of this thread at its beginning."""
    used: float = 0.0
    ended: float | None = None

    def find_next(self, clock: float) -> float:
        """Return the loop's time from which on the next may begin, as far as it is known now."""
        if self.ended is not None:
            # of one that lasted, most was that of others: no request may lock its client out
            return max(self.ended, self.at + max(STEP, min(SHARE * self.used, PATIENCE)))
        return self.at + max(LONGEST, min(SHARE * (clock - self.clock), MOST))


@dataclass(slots=True)
class _Line:
    """The requests of one client."""

    under_way: int = 0
    waiting: "deque[asyncio.Future[_Turn]]" = field(default_factory=deque)
    last: _Turn | None = None
    timer: asyncio.TimerHandle | None = None


class Pace:
    """The requests under way, by the name of their client; ``clock`` is this thread's time."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._lines: dict[str, _Line] = {}

    async def take_turn(self, client: Client, place: ExitStack) -> bool:
        """Wait for the request's turn, which comes at once where ``client`` is alone.

        It ends with ``place``. Returns False, after ``PATIENCE``, if it did not come.
        """
        line = self._lines.setdefault(client.name, _Line())
        line.under_way += 1
        place.callback(self._leave, client.name, line)
        if client.is_alone:
            return True
        if line.under_way == 1:
            # some are answered in one go: those that came with this one come to light
            await asyncio.sleep(0)
        if line.under_way == 1 and line.last is None:
            return True
        turn = await self._wait(line)
        if turn is None:
            return False
        place.callback(self._end, turn, line)
        return True

    def _leave(self, name: str, line: _Line) -> None:
        line.under_way -= 1
        if not line.under_way:
            del self._lines[name]

    def _end(self, turn: _Turn, line: _Line) -> None:
        turn.used = self._clock() - turn.clock
        turn.ended = asyncio.get_running_loop().time()
        self._arm(line)

    async def _wait(self, line: _Line) -> _Turn | None:
        """Wait for the next turn and return it; None if it did not come."""
        loop = asyncio.get_running_loop()
        if not line.waiting and self._find_next(line) <= loop.time():
            return self._begin(line)
        place: asyncio.Future[_Turn] = loop.create_future()
        line.waiting.append(place)
        self._arm(line)
        try:
            async with asyncio.timeout(PATIENCE):
                return await place
        except TimeoutError:
            # it may have come in that very moment
            return None if place.cancelled() else place.result()
        finally:
            if place in line.waiting:
                line.waiting.remove(place)

    def _begin(self, line: _Line) -> _Turn:
        line.last = _Turn(asyncio.get_running_loop().time(), self._clock())
        return line.last

    def _find_next(self, line: _Line) -> float:
        return 0.0 if line.last is None else line.last.find_next(self._clock())

    def _arm(self, line: _Line) -> None:
        if line.timer is not None:
            line.timer.cancel()
        line.timer = None
        if line.waiting:
            loop = asyncio.get_running_loop()
            line.timer = loop.call_at(self._find_next(line), self._call_next, line)

    def _call_next(self, line: _Line) -> None:
        # what has begun may have used the processor since the timer was set
        if self._find_next(line) <= asyncio.get_running_loop().time():
            while line.waiting:
                place = line.waiting.popleft()
                if not place.done():
                    place.set_result(self._begin(line))
                    break
        self._arm(line)
