"""The jobs as last observed, sorted so that a plan reads only the heads of its lists."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar

from sortedcontainers import SortedKeyList, SortedList

from api.v1.job import Job
from api.v1.times import SECOND
from controller.policy import NOTED_LATE, Moment, Policy, find_end, find_expiry, is_same_end

Place = tuple[int, str]
_T = TypeVar("_T")


def place(job: Job, due: int | None = None) -> Place:
    """Return a job's place in the queue, the smallest first.

    That is the time of its creation or, of a job that failed to start, the later one of that and
    ``due``, the time of its next attempt; both in nanoseconds of the engine's clock.
    """
    return (job.order if due is None else max(job.order, due), job.uid)


def alternate(queue: Sequence[_T], turn: int) -> Iterator[_T]:
    """Yield by turns the newest and the oldest of a queue; in an even turn the oldest first."""
    ends = (reversed(queue), queue) if turn % 2 else (queue, reversed(queue))
    return islice(chain.from_iterable(zip(*ends, strict=True)), len(queue))


class JobIndex:
    """All known jobs of a namespace. Changed only by ``put``, ``set_aside`` and ``put_back``.

    ``policy`` decides when a job expires; only what it says of that counts here. How long ago a
    job ended that was over when it was first seen, the engine's clock tells. From then on, and for
    an end that happened before our eyes, the steady clock counts: no jump brings a removal nearer.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._jobs: dict[str, Job] = {}
        self._untried: SortedKeyList[Job, Place] = SortedKeyList(key=place)
        self._alike: dict[tuple[str, ...], SortedKeyList[Job, Place]] = {}
        self._expiring: SortedList[tuple[float, str]] = SortedList()
        self._expiries: dict[str, tuple[int, float, bool]] = {}
        """By uid the end, the expiry in steady seconds, and whether an event alone told of it."""
        self._over_since: dict[str, float] = {}
        self._active: dict[str, Job] = {}
        self._aside: set[str] = set()

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Every job by container id."""
        return self._jobs

    @property
    def active(self) -> Mapping[str, Job]:
        """The jobs that hold a slot, by container id."""
        return self._active

    @property
    def pending(self) -> int:
        """How many jobs wait for their first start, those that failed to start included."""
        return len(self._untried) + len(self._aside)

    @property
    def untried(self) -> Iterator[Job]:
        """Yield the pending jobs that were never tried, by their place in the queue."""
        return iter(self._untried)

    @property
    def alike(self) -> Mapping[tuple[str, ...], Sequence[Job]]:
        """The untried jobs by their likeness, those that are alike by their place."""
        return self._alike

    def iterate_unlike(self, likenesses: Collection[tuple[str, ...]]) -> Iterator[Job]:
        """Yield the untried jobs of no such likeness by their place."""
        if not likenesses:
            return self.untried
        others = (jobs for likeness, jobs in self._alike.items() if likeness not in likenesses)
        return heapq.merge(*others, key=place)

    @property
    def expiring(self) -> Iterator[tuple[float, Job]]:
        """Yield finished jobs with the expiry of each in steady seconds, the earliest first."""
        for expiry, uid in self._expiring:
            yield expiry, self._jobs[uid]

    def find_next_expiry(self, after: float) -> float | None:
        """Return the earliest expiry of a finished job later than ``after`` (steady seconds)."""
        index = self._expiring.bisect_right((after, "\U0010ffff"))
        return self._expiring[index][0] if index < len(self._expiring) else None

    def put(self, old: Job | None, new: Job | None, now: Moment) -> None:
        """Replace what was known of one job by what is known ``now``; ``None``: not there."""
        if old is not None:
            self._drop(old)
            if new is None or not new.is_pending:
                self._aside.discard(old.uid)
        self._time_end(old, new, now)
        if new is None:
            return
        self._jobs[new.uid] = new
        if new.is_active:
            self._active[new.uid] = new
        elif new.is_pending:
            if new.uid not in self._aside:
                self._queue(new)
        elif (expiry := find_expiry(new, self._policy)) is not None:
            self._expiring.add((self._fix_expiry(new, expiry, now), new.uid))

    def set_aside(self, uid: str) -> None:
        """Take a pending job out of the untried: the ledger knows when its turn is."""
        job = self._jobs.get(uid)
        if job is not None and job.is_pending and uid not in self._aside:
            self._unqueue(job)
            self._aside.add(uid)

    def put_back(self, uid: str) -> None:
        """Have a job that was set aside be as if it had never been tried."""
        job = self._jobs.get(uid)
        if job is not None and uid in self._aside:
            self._aside.discard(uid)
            self._queue(job)

    def _queue(self, job: Job) -> None:
        self._untried.add(job)
        self._alike.setdefault(job.likeness, SortedKeyList(key=place)).add(job)

    def _unqueue(self, job: Job) -> None:
        self._untried.remove(job)
        self._alike[job.likeness].remove(job)
        if not self._alike[job.likeness]:
            del self._alike[job.likeness]

    def _time_end(self, old: Job | None, new: Job | None, now: Moment) -> None:
        """Note that a job is over ``now``, be that read or only announced, or that it is not."""
        if old is not None and (new is None or not _is_over(new)):
            self._over_since.pop(old.uid, None)
        elif old is not None and not _is_over(old):
            self._over_since[old.uid] = now.steady
        if old is not None and new is None:
            self._expiries.pop(old.uid, None)

    def _fix_expiry(self, job: Job, expiry: int, now: Moment) -> float:
        """Return a job's expiry in steady seconds; it stays as it is until another end is seen."""
        end = find_end(job)
        assert end is not None
        known = self._expiries.get(job.uid)
        if known is None or not is_same_end(known[0], end, is_told=known[2]):
            fixed = now.steady + (expiry - now.engine) / SECOND
            over_since = self._over_since.pop(job.uid, None)
            if over_since is not None and job.told:
                self._over_since[job.uid] = over_since
            if over_since is not None:
                # the engine may note an end after it told of it; further off, its clock has jumped
                seen = over_since + (expiry - end) / SECOND
                if not seen < fixed <= seen + NOTED_LATE:
                    fixed = seen
            known = self._expiries[job.uid] = (end, fixed, job.told)
        return known[1]

    def _drop(self, old: Job) -> None:
        del self._jobs[old.uid]
        self._active.pop(old.uid, None)
        if old.is_pending:
            if old.uid not in self._aside:
                self._unqueue(old)
        elif find_expiry(old, self._policy) is not None:
            self._expiring.remove((self._expiries[old.uid][1], old.uid))


def _is_over(job: Job) -> bool:
    """Tell whether a job neither waits nor runs."""
    return not (job.is_pending or job.is_active)
