"""Waits, before the lead is taken, for the starts that a predecessor may have in flight."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

from controller.executor import Executor, Outcome
from controller.job_index import JobIndex

_MOST: Final = 50  # looks: a queue may begin with any number of jobs that cannot start


async def settle_starts(
    executor: Executor, index: JobIndex, pace: int, take: Callable[[str, Outcome], None]
) -> None:
    """Look at the oldest pending jobs, ``pace`` at once, and hand each outcome to ``take``.

    An inspect waits for a start in flight. The predecessor sent the oldest first, ``pace`` of
    them in parallel: so many are looked at. Jobs that failed to start do not count: they stay
    the oldest of all, perhaps for good.
    """
    left = pace
    queue = iter([job.id for job in islice(index.untried, _MOST)])

    async def look_on() -> None:
        nonlocal left
        while left > 0 and (container_id := next(queue, None)) is not None:
            seen = await executor.look(container_id)
            take(container_id, seen)
            known = seen.container
            if known is None or not known.is_startable or not known.error:
                left -= 1

    await asyncio.gather(*(look_on() for _ in range(pace)))
