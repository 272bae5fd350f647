"""Inspects jobs for requests: so many at once, and once for all that wait to ask for the same."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

from api.engine.interface import Engine
from api.v1.job import Job

_LANE: Final = 32
"""Inspects at once: half of an engine's connections, so that other calls find one."""
_ALIKE: Final = 2
"""Inspects of one job at once: the engine may not answer for it."""


@dataclass(slots=True)
class _Look:
    """An inspect that waits for its turn: it begins after each of its ``askers`` has asked."""

    turn: asyncio.Event
    answer: asyncio.Task[Job | None]
    askers: int = 0


class Looks:
    """The inspects of ``engine`` that requests wait for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: Counter[str] = Counter()
        self._queue: dict[str, _Look] = {}

    async def inspect(self, ref: str) -> Job | None:
        """Return what an inspect shows that begins after this call; see the Engine interface."""
        if ref not in self._queue and self._has_room(ref):
            self._running[ref] += 1
            try:
                return await self._engine.inspect(ref)
            finally:
                self._leave(ref)
        look = self._queue.get(ref) or self._enqueue(ref)
        look.askers += 1
        try:
            return await asyncio.shield(look.answer)
        finally:
            look.askers -= 1
            if not look.askers:
                look.answer.cancel()
                if self._queue.get(ref) is look:
                    del self._queue[ref]

    def _enqueue(self, ref: str) -> _Look:
        turn = asyncio.Event()
        look = self._queue[ref] = _Look(turn, asyncio.create_task(self._wait(ref, turn)))
        return look

    async def _wait(self, ref: str, turn: asyncio.Event) -> Job | None:
        await turn.wait()
        return await self._engine.inspect(ref)

    def _leave(self, ref: str) -> None:
        """Give a place back, and have those begin that there is room for."""
        self._running[ref] -= 1
        if not self._running[ref]:
            del self._running[ref]
        for waiting in [ref for ref in self._queue if self._has_room(ref)]:
            if self._has_room(waiting):
                self._begin(waiting)

    def _begin(self, ref: str) -> None:
        look = self._queue.pop(ref)
        self._running[ref] += 1
        look.answer.add_done_callback(lambda _: self._leave(ref))
        look.turn.set()

    def _has_room(self, ref: str) -> bool:
        return self._running[ref] < _ALIKE and self._running.total() < _LANE
