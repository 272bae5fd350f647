"""The jobs as last observed, sorted so that a plan reads only the heads of its lists."""

from collections.abc import Iterable, Iterator, Mapping

from sortedcontainers import SortedKeyList, SortedList

from api.v1.job import Job
from controller.policy import Policy, find_expiry

Place = tuple[int, str]


def place(job: Job, due: int | None = None) -> Place:
    """Return a job's place in the queue, the smallest first.

    That is the time of its creation or, of a job that failed to start, the later one of that and
    ``due``, the time of its next attempt; both in nanoseconds of the engine's clock.
    """
    return (job.order if due is None else max(job.order, due), job.uid)


class JobIndex:
    """All known jobs of a namespace. Changed only by ``put`` and ``set_aside``.

    ``policy`` decides when a job expires; only what it says of that counts here.
    """

    def __init__(self, policy: Policy, jobs: Iterable[Job] = ()) -> None:
        self._policy = policy
        self._jobs: dict[str, Job] = {}
        self._untried: SortedKeyList[Job, Place] = SortedKeyList(key=place)
        self._expiring: SortedList[tuple[int, str]] = SortedList()
        self._active: dict[str, Job] = {}
        self._aside: set[str] = set()
        for job in jobs:
            self.put(None, job)

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
    def expiring(self) -> Iterator[tuple[int, Job]]:
        """Yield finished jobs with the expiry of each in nanoseconds, the earliest first."""
        for expiry, uid in self._expiring:
            yield expiry, self._jobs[uid]

    def find_next_expiry(self, after: int) -> int | None:
        """Return the earliest expiry of a finished job later than ``after`` nanoseconds."""
        index = self._expiring.bisect_left((after + 1, ""))
        return self._expiring[index][0] if index < len(self._expiring) else None

    def put(self, old: Job | None, new: Job | None) -> None:
        """Replace what was known of one job by what is known now; ``None``: not there."""
        if old is not None:
            self._drop(old)
            if new is None or not new.is_pending:
                self._aside.discard(old.uid)
        if new is None:
            return
        self._jobs[new.uid] = new
        if new.is_active:
            self._active[new.uid] = new
        elif new.is_pending:
            if new.uid not in self._aside:
                self._untried.add(new)
        elif (expiry := find_expiry(new, self._policy)) is not None:
            self._expiring.add((expiry, new.uid))

    def set_aside(self, uid: str) -> None:
        """Take a pending job out of the untried: the ledger knows when its turn is."""
        job = self._jobs.get(uid)
        if job is not None and job.is_pending and uid not in self._aside:
            self._untried.remove(job)
            self._aside.add(uid)

    def _drop(self, old: Job) -> None:
        del self._jobs[old.uid]
        self._active.pop(old.uid, None)
        if old.is_pending:
            if old.uid not in self._aside:
                self._untried.remove(old)
        elif (expiry := find_expiry(old, self._policy)) is not None:
            self._expiring.remove((expiry, old.uid))
