"""A job's place among the jobs of its queue, and turns between the two ends of a line."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

from api.v1.job import Job

Place = tuple[int, str]
_T = TypeVar("_T")


def place(job: Job, due: int | None = None) -> Place:
    """Return a job's place among those of its priority and share, the smallest first.

    That is the time of its creation or, of a job that failed to start, the later one of that and
    ``due``, the time of its next attempt; both in nanoseconds of the engine's clock.
    """
    return (job.order if due is None else max(job.order, due), job.uid)


def alternate(line: Sequence[_T], turn: int) -> Iterator[_T]:
    """Yield by turns the newest and the oldest of a line; in an even turn the oldest first."""
    ends = (reversed(line), line) if turn % 2 else (line, reversed(line))
    return islice(chain.from_iterable(zip(*ends, strict=True)), len(line))
