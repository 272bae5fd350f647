"""How soon a request begins: beside others, a client with several at once begins one by one.

One process answers everybody. Without this, whoever keeps hundreds of connections busy has its
time: each step of another client's answer would wait for as many of theirs.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from api.server.clients import Client

STEP: Final = 0.004
"""Seconds at least between the beginnings of two requests."""
LONGEST: Final = 0.05
"""Seconds after which the next begins although the one before has not ended."""
SHARE: Final = 4
"""The next begins when this many times the processor time of the one before has passed."""
PATIENCE: Final = 2.0
"""Seconds that a request waits for its beginning."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A beginning: its place among those of its client, and the loop's time of it."""

    number: int
    at: float


@dataclass(slots=True)
class _Line:
    """The requests of one client."""

    under_way: int = 0
    waiting: "deque[asyncio.Future[_Turn]]" = field(default_factory=deque)
    begun: int = 0
    free_at: float = 0.0
    """The loop's time from which on the next may begin."""
    timer: asyncio.TimerHandle | None = None


class Pace:
    """The requests under way, by the name of their client."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def take_turn(self, client: Client) -> AsyncIterator[bool]:
        """Run the block when it is the request's turn: at once where ``client`` is alone.

        Yields False, after ``PATIENCE``, if that did not come.
        """
        line = self._lines.setdefault(client.name, _Line())
        line.under_way += 1
        try:
            if client.is_alone:
                yield True
                return
            if line.under_way == 1:
                # some are answered in one go: those that came with this one come to light
                await asyncio.sleep(0)
            if line.under_way == 1 and not line.begun:
                yield True
                return
            if (turn := await _wait(line)) is None:
                yield False
                return
            began = time.thread_time()
            try:
                yield True
            finally:
                _end(line, turn, time.thread_time() - began)
        finally:
            line.under_way -= 1
            if not line.under_way:
                del self._lines[client.name]


async def _wait(line: _Line) -> _Turn | None:
    """Wait for the next turn and return it; None if it did not come."""
    if not line.waiting and asyncio.get_running_loop().time() >= line.free_at:
        return _begin(line)
    place: asyncio.Future[_Turn] = asyncio.get_running_loop().create_future()
    line.waiting.append(place)
    _arm(line)
    try:
        async with asyncio.timeout(PATIENCE):
            return await place
    except TimeoutError:
        # it may have come in that very moment
        return None if place.cancelled() else place.result()
    finally:
        if place in line.waiting:
            line.waiting.remove(place)


def _begin(line: _Line) -> _Turn:
    now = asyncio.get_running_loop().time()
    line.begun += 1
    line.free_at = now + LONGEST
    return _Turn(line.begun, now)


def _end(line: _Line, turn: _Turn, used: float) -> None:
    """Let the next begin, if it has not: not before others have had their time."""
    if turn.number == line.begun:
        now = asyncio.get_running_loop().time()
        line.free_at = max(now, turn.at + STEP, turn.at + SHARE * used)
        _arm(line)


def _arm(line: _Line) -> None:
    if line.timer is not None:
        line.timer.cancel()
    line.timer = None
    if line.waiting:
        line.timer = asyncio.get_running_loop().call_at(line.free_at, _call_next, line)


def _call_next(line: _Line) -> None:
    while line.waiting:
        place = line.waiting.popleft()
        if not place.done():
            place.set_result(_begin(line))
            break
    _arm(line)
