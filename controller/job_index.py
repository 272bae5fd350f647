"""The jobs as last observed, indexed so that a plan reads only the heads of its lists."""

from collections.abc import Iterable, Iterator, Mapping

from sortedcontainers import SortedKeyList

from api.informer.merge import Observed
from api.v1.job import Status

_Place = tuple[int, str]


def _place_pending(job: Observed) -> _Place:
    return (job.order, job.id)


def _place_finished(job: Observed) -> _Place:
    return (_find_end(job) or 0, job.id)


def _find_end(job: Observed) -> int | None:
    """Return from when on a job is old, in nanoseconds, or ``None`` if that is not known.

    A dead container that never started has no time of its end: someone wanted it removed.
    """
    if job.finished_at is not None:
        return job.finished_at
    return job.order if job.status is Status.DEAD and not job.started else None


class JobIndex:
    """All known jobs of a namespace. Changed only by ``put`` and ``set_aside``."""

    def __init__(self, jobs: Iterable[Observed] = ()) -> None:
        self._jobs: dict[str, Observed] = {}
        self._fresh: SortedKeyList[Observed, _Place] = SortedKeyList(key=_place_pending)
        self._finished: SortedKeyList[Observed, _Place] = SortedKeyList(key=_place_finished)
        self._active: dict[str, Observed] = {}
        self._aside: set[str] = set()
        for job in jobs:
            self.put(None, job)

    @property
    def jobs(self) -> Mapping[str, Observed]:
        """Every job by container id."""
        return self._jobs

    @property
    def active(self) -> Mapping[str, Observed]:
        """The jobs that hold a slot, by container id."""
        return self._active

    @property
    def pending(self) -> int:
        """How many jobs wait for their first start, those that failed to start included."""
        return len(self._fresh) + len(self._aside)

    @property
    def untried(self) -> Iterator[Observed]:
        """Yield pending jobs never tried yet, the oldest first."""
        return iter(self._fresh)

    @property
    def finished(self) -> Iterator[tuple[int, Observed]]:
        """Yield finished jobs with the end of each in nanoseconds, the longest finished first."""
        for job in self._finished:
            end = _find_end(job)
            assert end is not None
            yield end, job

    def find_next_end(self, after: int) -> int | None:
        """Return the earliest end of a finished job later than ``after`` nanoseconds."""
        index = self._finished.bisect_key_left((after + 1, ""))
        return _find_end(self._finished[index]) if index < len(self._finished) else None

    def put(self, old: Observed | None, new: Observed | None) -> None:
        """Replace what was known of one job by what is known now; ``None``: not there."""
        if old is not None:
            self._drop(old)
            if new is None or not new.is_pending:
                self._aside.discard(old.id)
        if new is None:
            return
        self._jobs[new.id] = new
        if new.is_active:
            self._active[new.id] = new
        elif new.is_pending:
            if new.id not in self._aside:
                self._fresh.add(new)
        elif new.is_finished and _find_end(new) is not None:
            self._finished.add(new)

    def set_aside(self, container_id: str) -> None:
        """Take a pending job out of the untried: the ledger knows when its turn is."""
        job = self._jobs.get(container_id)
        if job is not None and job.is_pending and container_id not in self._aside:
            self._fresh.remove(job)
            self._aside.add(container_id)

    def _drop(self, old: Observed) -> None:
        del self._jobs[old.id]
        self._active.pop(old.id, None)
        if old.is_pending:
            if old.id not in self._aside:
                self._fresh.remove(old)
        elif old.is_finished and _find_end(old) is not None:
            self._finished.remove(old)
