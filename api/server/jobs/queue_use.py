"""How each queue is used by the jobs that somebody may read: what runs, waits, and since when."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

from api.server.jobs.index import JobIndex
from api.server.jobs.query import JobFilter, Key
from api.v1.job import Phase

_STRETCH: Final = 1000
"""Jobs that are looked at before others have a turn."""


def count_queues(
    index: JobIndex, may_read: Callable[[str], bool]
) -> tuple[Counter[str], Counter[str]]:
    """Return by queue how many jobs are active, and how many wait, of the paths given."""
    used, pending = Counter[str](), Counter[str]()
    for shelf, number in index.shelves.items():
        if may_read(shelf.path) and shelf.phase is Phase.RUNNING:
            used[shelf.queue] += number
        elif may_read(shelf.path) and shelf.phase is Phase.PENDING:
            pending[shelf.queue] += number
    return used, pending


async def find_oldest(
    index: JobIndex, queues: Collection[str], may_read: Callable[[str], bool]
) -> dict[str, int]:
    """Return by queue when the oldest job that waits there was created (ns).

    The cost grows with the jobs that are older than the youngest of these.
    """
    oldest: dict[str, int] = {}
    waiting, after = JobFilter(phase=Phase.PENDING), None
    while len(oldest) < len(queues):
        keys: list[Key] = [*islice(index.walk(waiting, after=after), _STRETCH)]
        if not keys:
            break
        after = keys[-1]
        for order, uid in keys:
            spec = index.source.store.known[uid].spec
            if may_read(spec.path):
                oldest.setdefault(spec.wishes.queue, order)
        await asyncio.sleep(0)
    return oldest
