"""Slow workers take turns, so that one processor at least stays free for everybody else.

A low priority alone does not keep them out of the way: where they busy every processor, whoever
wakes up waits for the end of a time slice (sched(7)), and one request wakes up many.
"""

import asyncio
import os
from collections import deque
from typing import Final, Protocol

_TURN: Final = 0.05


class Pausable(Protocol):
    """A worker that can be stopped and sent on."""

    def pause(self) -> None:
        """Stop it for now."""

    def resume(self) -> None:
        """Let it go on."""


class Lane:
    """At most ``width`` workers of it run at a time, for a turn of ``turn`` seconds each."""

    def __init__(self, width: int | None = None, turn: float = _TURN) -> None:
        self._width = width or max(1, (os.cpu_count() or 1) // 2)
        self._turn = turn
        self._running: deque[Pausable] = deque()
        self._paused: deque[Pausable] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, worker: Pausable) -> None:
        """Have a worker take turns from now on."""
        worker.pause()
        self._paused.append(worker)
        self._fill()

    def discard(self, worker: Pausable) -> None:
        """Have a worker take turns no more; it may run on."""
        for group in (self._running, self._paused):
            if worker in group:
                group.remove(worker)
                worker.resume()
        self._fill()

    def _fill(self) -> None:
        while self._paused and len(self._running) < self._width:
            worker = self._paused.popleft()
            worker.resume()
            self._running.append(worker)
        if self._paused and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._turn, self._rotate)

    def _rotate(self) -> None:
        self._timer = None
        if self._paused and self._running:
            worker = self._running.popleft()
            worker.pause()
            self._paused.append(worker)
        self._fill()
