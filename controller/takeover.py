"""Waits, before the lead is taken, for the starts that a predecessor may have in flight."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

from controller.choice import list_next
from controller.executor import Executor
from controller.outcome import ActionOutcome
from controller.scene import Scene

_MOST: Final = 50  # inspects: a queue may begin with any number of jobs that cannot start


async def await_starts(
    executor: Executor, scene: Scene, pace: int, report: Callable[[str, ActionOutcome], None]
) -> None:
    """Inspect the jobs that come next, ``pace`` at once, and hand each outcome to ``report``.

    An inspect waits for a start in flight, and the predecessor had up to ``pace`` starts in
    flight, of the jobs that came first: so many are inspected. Jobs that failed to start are not
    counted: they may stay the first of all for good. Where starts failed, it had those of the
    oldest or the newest of the jobs that are alike: these are inspected, too.
    """
    left = pace
    queue = iter([job.uid for job in list_next(scene, _MOST)])
    alike = [line for each in scene.index.queues.values() for line in each.alike.values()]
    ranks = ((jobs, rank) for rank in range(pace) for jobs in alike)
    pairs = ((jobs[rank], jobs[-1 - rank]) for jobs, rank in ranks if rank < len(jobs))
    ends = list(dict.fromkeys(job.uid for pair in islice(pairs, _MOST // 2) for job in pair))
    inspected: set[str] = set()

    async def inspect(uid: str) -> ActionOutcome:
        inspected.add(uid)
        seen = await executor.inspect(uid)
        report(uid, seen)
        return seen

    async def inspect_next() -> None:
        nonlocal left
        while left > 0 and (uid := next(queue, None)) is not None:
            job = (await inspect(uid)).job
            if job is None or not job.is_pending or not job.error:
                left -= 1

    async def inspect_ends() -> None:
        while ends:
            if (uid := ends.pop()) not in inspected:
                await inspect(uid)

    await asyncio.gather(*(inspect_next() for _ in range(pace)))
    await asyncio.gather(*(inspect_ends() for _ in range(pace)))
