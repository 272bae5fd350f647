"""The jobs as last observed, sorted so that a plan reads only the heads of its lists."""

import heapq
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from sortedcontainers import SortedList

from api.v1.job import Job
from api.v1.mark import Mark
from api.v1.times import SECOND
from controller.deadlines import Deadlines
from controller.place import place
from controller.policy import (
    NOTED_LATE,
    Moment,
    Policy,
    find_end,
    find_keep,
    find_last_run,
    find_last_start,
    is_same_end,
)
from controller.queue_index import Likeness, QueueIndex


class JobIndex:
    """All known jobs of a namespace. What reads it changes nothing.

    ``policy`` decides when a job expires; only what it says of that counts here. How long ago a
    job ended that was over when it was first seen, the engine's clock tells. From then on, and for
    an end that happened before our eyes, the steady clock counts: no jump brings a removal nearer.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._jobs: dict[str, Job] = {}
        self._strays: dict[str, Mark] = {}
        self._queues: dict[str, QueueIndex] = {}
        self._kinds: Counter[Likeness] = Counter()
        self._expiring: SortedList[tuple[float, str]] = SortedList()
        self._expiries: dict[str, float] = {}
        self._ends: dict[str, tuple[int, float, bool]] = {}
        """By uid the end, its steady time, and whether an event alone told of it."""
        self._over_since: dict[str, float] = {}
        self._active: dict[str, Job] = {}
        self._cancelled: dict[str, Job] = {}
        self._aside: set[str] = set()
        self._late: set[str] = set()
        self._pending = 0
        self.last_starts = Deadlines()
        """When a waiting job is not to be started any more."""
        self.last_runs = Deadlines()
        """When an active job is to be stopped."""

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Every job by container id."""
        return self._jobs

    @property
    def strays(self) -> Mapping[str, Mark]:
        """Marks whose job is not known, by their own uid."""
        return self._strays

    @property
    def active(self) -> Mapping[str, Job]:
        """The jobs that hold a slot, by container id."""
        return self._active

    @property
    def cancelled(self) -> Mapping[str, Job]:
        """Those of the active jobs that have a mark."""
        return self._cancelled

    @property
    def pending(self) -> int:
        """How many jobs wait for their first start, those that failed to start included."""
        return self._pending

    @property
    def queues(self) -> Mapping[str, QueueIndex]:
        """The queues that have had a job, by name."""
        return self._queues

    @property
    def kinds(self) -> Collection[Likeness]:
        """The likenesses of the untried jobs."""
        return self._kinds

    @property
    def untried(self) -> Iterator[Job]:
        """Yield the waiting jobs that were never tried, the oldest first."""
        lines = (line for queue in self._queues.values() for line in queue.lines)
        return heapq.merge(*lines, key=place)

    @property
    def expiring(self) -> Iterator[tuple[float, Job]]:
        """Yield jobs that are over with their expiry in steady seconds, the earliest first."""
        for expiry, uid in self._expiring:
            yield expiry, self._jobs[uid]

    def find_next_expiry(self, after: float) -> float | None:
        """Return the earliest expiry of a job later than ``after`` (steady seconds)."""
        index = self._expiring.bisect_right((after, "\U0010ffff"))
        return self._expiring[index][0] if index < len(self._expiring) else None

    def is_waiting(self, job: Job) -> bool:
        """Tell whether a job waits for its first start, and was not called off."""
        return job.is_pending and not self.is_called_off(job)

    def is_called_off(self, job: Job) -> bool:
        """Tell whether a job that waits was cancelled, or may not start any more."""
        return job.is_pending and (job.mark is not None or job.uid in self._late)

    def count_waiting(self, uids: Iterable[str]) -> int:
        """Return how many of these are jobs that wait."""
        jobs = (self._jobs.get(uid) for uid in uids)
        return sum(job is not None and self.is_waiting(job) for job in jobs)

    def put(self, old: Job | None, new: Job | None, now: Moment) -> None:
        """Replace what was known of one job by what is known ``now``; ``None``: not there."""
        if old is not None:
            self._unfile(old)
            del self._jobs[old.uid]
            if new is None or not new.is_pending:
                self._aside.discard(old.uid)
            if new is None or find_last_start(new) != find_last_start(old):
                self._late.discard(old.uid)
        self._time_end(old, new, now)
        if new is not None:
            self._jobs[new.uid] = new
            self._file(new, now)
        elif old is not None:
            self.last_starts.forget(old.uid)
            self.last_runs.forget(old.uid)
            if old.mark is not None:
                self._strays[old.mark.uid] = old.mark

    def put_marks(self, marks: Iterable[Mark]) -> None:
        """Learn of all marks that there are: those of no known job are strays."""
        self._strays = {mark.uid: mark for mark in marks if mark.job not in self._jobs}

    def drop_mark(self, uid: str) -> None:
        """Forget a stray mark that is gone."""
        self._strays.pop(uid, None)

    def advance(self, now: Moment, starting: Container[str] = ()) -> list[Job]:
        """Call off what is not to be started any more ``now``, nor ``starting``; return it."""
        due = self.last_starts.find_due(now.steady)
        late = [self._jobs[uid] for _, uid in due if uid not in starting]
        for job in late:
            self._unfile(job)
            self._late.add(job.uid)
            self._file(job, now)
        return late

    def set_aside(self, uid: str) -> None:
        """Take a waiting job out of the untried: the ledger knows when its turn is."""
        job = self._jobs.get(uid)
        if job is not None and job.is_pending and uid not in self._aside:
            if self.is_waiting(job):
                self._unqueue(job)
            self._aside.add(uid)

    def put_back(self, uid: str) -> None:
        """Have a job that was set aside be as if it had never been tried."""
        job = self._jobs.get(uid)
        if job is not None and uid in self._aside:
            self._aside.discard(uid)
            if self.is_waiting(job):
                self._queue(job)

    def _file(self, job: Job, now: Moment) -> None:
        """Put a job into the lists that it belongs to."""
        if job.is_active:
            self._active[job.uid] = job
            self._get_queue(job).occupy(job)
            self.last_runs.put(job.uid, find_last_run(job), now)
            if job.mark is not None:
                self._cancelled[job.uid] = job
        elif self.is_waiting(job):
            self._pending += 1
            self._get_queue(job).pending += 1
            self.last_starts.put(job.uid, find_last_start(job), now)
            if job.uid not in self._aside:
                self._queue(job)
        elif job.is_finished or job.is_pending:
            self._expire(job, now)

    def _unfile(self, job: Job) -> None:
        """Take a job out of the lists that it is in: ``_file``, undone."""
        if job.is_active:
            del self._active[job.uid]
            self._get_queue(job).vacate(job)
            self.last_runs.take(job.uid)
            self._cancelled.pop(job.uid, None)
        elif self.is_waiting(job):
            self._pending -= 1
            self._get_queue(job).pending -= 1
            self.last_starts.take(job.uid)
            if job.uid not in self._aside:
                self._unqueue(job)
        elif job.uid in self._expiries:
            self._expiring.remove((self._expiries.pop(job.uid), job.uid))

    def _get_queue(self, job: Job) -> QueueIndex:
        name = job.spec.wishes.queue
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = QueueIndex()
        return queue

    def _queue(self, job: Job) -> None:
        self._get_queue(job).add(job)
        self._kinds[job.likeness] += 1

    def _unqueue(self, job: Job) -> None:
        self._get_queue(job).remove(job)
        self._kinds[job.likeness] -= 1
        if not self._kinds[job.likeness]:
            del self._kinds[job.likeness]

    def _time_end(self, old: Job | None, new: Job | None, now: Moment) -> None:
        """Note that a job is over ``now``, be that read or only announced, or that it is not."""
        if old is not None and (new is None or not _is_over(new)):
            self._over_since.pop(old.uid, None)
        elif old is not None and not _is_over(old):
            self._over_since[old.uid] = now.steady
        if old is not None and new is None:
            self._ends.pop(old.uid, None)

    def _expire(self, job: Job, now: Moment) -> None:
        end, keep = find_end(job), find_keep(job, self._policy)
        if end is not None and keep is not None:
            expiry = self._expiries[job.uid] = self._fix_end(job, end, now) + keep / SECOND
            self._expiring.add((expiry, job.uid))

    def _fix_end(self, job: Job, end: int, now: Moment) -> float:
        """Return a job's end in steady seconds; it stays as it is until another end is seen."""
        known = self._ends.get(job.uid)
        if known is None or not is_same_end(known[0], end, is_told=known[2]):
            fixed = now.find_steady(end)
            over_since = self._over_since.pop(job.uid, None)
            if over_since is not None and job.told:
                self._over_since[job.uid] = over_since
            # the engine may note an end after it told of it; further off, its clock has jumped
            if over_since is not None and not over_since < fixed <= over_since + NOTED_LATE:
                fixed = over_since
            known = self._ends[job.uid] = (end, fixed, job.told)
        return known[1]


def _is_over(job: Job) -> bool:
    """Tell whether a job neither waits nor runs."""
    return not (job.is_pending or job.is_active)
