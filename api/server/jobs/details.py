"""Reads what lists do not show of a job, its exact times, once in its life and only if shown."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from api.engine.errors import EngineError
from api.v1.job import Job, Status

_LANE: Final = 8  # inspects at once
_MOST: Final = 2000  # that may be due: whoever looks again asks again
_PATIENCE: Final = 1.0  # seconds that a page waits for them
_AGAIN: Final = 30.0  # seconds until one that the engine did not answer is tried again


class Details:
    """``inspect`` reads a job by its uid into the store, and tells whether what it read counts."""

    def __init__(self, inspect: Callable[[str], Coroutine[Any, Any, bool]]) -> None:
        self._inspect = inspect
        self._lane = asyncio.Semaphore(_LANE)
        self._due: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, float] = {}

    def request(self, job: Job | None) -> asyncio.Task[None] | None:
        """Have ``job`` read soon if more is to be known of it."""
        if job is None or not lacks_times(job):
            return None
        task = self._due.get(job.uid)
        if task is None and len(self._due) < _MOST and not self._has_failed(job.uid):
            task = self._due[job.uid] = asyncio.create_task(self._read(job.uid))
        return task

    async def fill(self, jobs: Iterable[Job]) -> bool:
        """Have ``jobs`` read, and wait a moment for it; tell whether anything was to be read."""
        tasks = [task for job in jobs if (task := self.request(job)) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)
        return bool(tasks)

    async def close(self) -> None:
        """End what is being read."""
        tasks = [*self._due.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_failed(self, uid: str) -> bool:
        now = asyncio.get_running_loop().time()
        return now < self._failed.get(uid, now)

    async def _read(self, uid: str) -> None:
        try:
            async with self._lane:
                await self._inspect(uid)
        except EngineError:
            if len(self._failed) >= _MOST:
                self._failed.clear()
            self._failed[uid] = asyncio.get_running_loop().time() + _AGAIN
        else:
            self._failed.pop(uid, None)
        finally:
            del self._due[uid]


def lacks_times(job: Job) -> bool:
    """Tell whether a job has begun, and only a list has shown its present state."""
    return not job.detailed and job.status is not Status.CREATED
