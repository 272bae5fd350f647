"""Which jobs held a slot lately, and from when until when: what the page draws over time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sortedcontainers import SortedList

from api.server.jobs.collected import Collected
from api.v1.job import Job
from api.v1.times import SECOND

WINDOW: Final = 3600 * SECOND
"""Nanoseconds for which a hold is remembered after its end."""
MOST: Final = 2000
"""Most that are remembered; beyond, the one that ended first is dropped."""


@dataclass(slots=True)
class Hold:
    """A job, as last known, and its time in a slot; times are the engine's (ns).

    Where the start was not seen, ``started`` is when the job was first seen to run, until an
    inspect tells; a job that its restart policy runs again holds its slot from its first run on.
    ``after``: the end of a run before this one.
    """

    job: Job
    started: int
    ended: int | None = None
    after: int = 0

    def refine(self, job: Job) -> None:
        """Take in what is known now."""
        self.job = job
        if job.started_at is not None and job.started_at > self.after:
            self.started = min(self.started, job.started_at)

    def end(self, job: Job, seen: int) -> int:
        """Return when it ended: as the job tells, or when that was ``seen``."""
        self.refine(job)
        told = job.finished_at
        self.ended = max(self.started, seen if told is None or told < self.started else told)
        return self.ended


class Slots:
    """A listener of the informer's, told after ``collected``; ``now`` is the engine's clock (ns).

    In memory only, ``MOST`` holds for ``WINDOW`` after their ends. Of several runs of a job that
    somebody else started again, the last.
    """

    def __init__(self, collected: Collected, now: Callable[[], int]) -> None:
        self._collected = collected
        self._now = now
        self._active: dict[str, Hold] = {}
        self._ended: dict[str, Hold] = {}
        self._order: SortedList[tuple[int, str]] = SortedList()
        """When each ended, and its uid: ends may be learnt in any order."""
        self._dropped = 0

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Note whether a job holds a slot; of one that is gone, how it ended."""
        if new is not None:
            self._note(new, is_active=new.is_active)
        elif old is not None:
            gone = self._collected.find(old.uid)
            self._note(old if gone is None else gone.job, is_active=False)

    def on_resync(self) -> None:
        """Nothing: only a job's change gives or takes a slot."""

    def list_holds(self) -> list[Hold]:
        """Return the holds of the last ``WINDOW``, in order of their starts."""
        self._trim(self._now())
        holds = [*self._ended.values(), *self._active.values()]
        return sorted(holds, key=lambda hold: (hold.started, hold.job.uid))

    def find_beginning(self, now: int) -> int:
        """Return the time since when ``list_holds`` leaves out nothing that was seen."""
        return max(now - WINDOW, self._dropped)

    def _note(self, job: Job, *, is_active: bool) -> None:
        hold, before = self._active.get(job.uid), self._ended.get(job.uid)
        is_known = hold is not None or before is not None
        if is_active or is_known:
            job = self._complete(job, is_active=is_active)
        if is_active:
            if hold is None:
                self._begin(job, before)
            else:
                hold.refine(job)
        elif hold is not None:
            del self._active[job.uid]
            self._end(job, hold)
        elif before is not None:
            self._forget(job.uid)
            self._end(job, before)
        elif job.started_at is not None and job.finished_at is not None:
            # begun and ended between two looks, or before this process was there
            self._end(job, Hold(job, job.started_at))

    def _complete(self, job: Job, *, is_active: bool) -> Job:
        """Return a job with the times that only events have told of it."""
        heard = self._collected.find_heard(job.uid)
        if heard is None:
            return job
        started_at, finished_at = job.started_at or heard.started_at, job.finished_at
        if not is_active and finished_at is None:
            finished_at = heard.ended_at
        if (started_at, finished_at) == (job.started_at, job.finished_at):
            return job
        return replace(job, started_at=started_at, finished_at=finished_at)

    def _begin(self, job: Job, before: Hold | None) -> None:
        hold = Hold(job, self._now(), after=0 if before is None else before.ended or 0)
        hold.refine(job)
        self._forget(job.uid)
        self._active[job.uid] = hold
        self._trim(self._now())

    def _end(self, job: Job, hold: Hold) -> None:
        now = self._now()
        ended = hold.end(job, now if hold.ended is None else hold.ended)
        if ended > self.find_beginning(now):
            self._ended[job.uid] = hold
            self._order.add((ended, job.uid))
            self._trim(now)

    def _forget(self, uid: str) -> None:
        hold = self._ended.pop(uid, None)
        if hold is not None:
            self._order.remove((hold.ended or 0, uid))

    def _trim(self, now: int) -> None:
        while self._order:
            ended, uid = self._order[0]
            if ended > now - WINDOW:
                if len(self._ended) + len(self._active) <= MOST:
                    return
                self._dropped = max(self._dropped, ended)
            self._forget(uid)
        while len(self._active) > MOST:
            del self._active[next(iter(self._active))]
