"""The last that was known of jobs that are gone, and what events told of their ends."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from api.engine.interface import Event, EventKind
from api.informer.store import JobStore
from api.v1.job import LEAVING, Job, Status

_REMEMBERED: Final = 10_000
_STRANGERS: Final = 1000
_CANNOT_RUN: Final = frozenset({126, 127, 128})
"""Exit codes of a start that failed, which some engines tell as an end without a start."""


@dataclass(slots=True)
class Heard:
    """The newest events of one job; times are the engine's (ns)."""

    started_at: int | None = None
    ended_at: int | None = None
    exit_code: int | None = None
    has_lies: bool = False  # a label of it overwrites the exit code in all its events
    removed: bool = False

    def note(self, event: Event) -> None:
        """Take in an event, which may come twice or late."""
        self.has_lies |= event.kind is not EventKind.ENDED and event.exit_code is not None
        match event.kind:
            case EventKind.STARTED:
                self.started_at = max(self.started_at or 0, event.time)
            case EventKind.ENDED if event.time >= (self.ended_at or 0):
                self.ended_at, self.exit_code = event.time, event.exit_code
            case EventKind.REMOVED:
                self.removed = True


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that is gone, as last known; ``is_settled``: nothing that is under way tells more."""

    job: Job
    is_settled: bool


class Collected:
    """Listens to the informer; remembers a bounded number of jobs, in memory only."""

    def __init__(self) -> None:
        self._store: JobStore | None = None
        self._heard: dict[str, Heard] = {}
        self._gone: OrderedDict[str, tuple[Job, Heard]] = OrderedDict()
        self._uids: dict[str, str] = {}

    def attach(self, store: JobStore) -> None:
        """Remember the jobs of ``store``."""
        self._store = store

    @property
    def _known(self) -> Mapping[str, Job]:
        assert self._store is not None
        return self._store.known

    def on_event(self, event: Event) -> None:
        """Note what an event tells of an end: often it is all that is ever seen of it."""
        gone = self._gone.get(event.uid)
        if gone is not None:
            gone[1].note(event)
        elif event.uid in self._known or _may_be_of_job(event):
            self._heard.setdefault(event.uid, Heard()).note(event)
        elif event.kind is EventKind.REMOVED:
            self._heard.pop(event.uid, None)
        elif event.uid in self._heard:
            self._heard[event.uid].note(event)

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Remember a job that is gone."""
        if new is not None:
            if new.is_finished and new.detailed:
                # an inspect has told all; a run to come has events of its own
                self._heard.pop(new.uid, None)
            return
        assert old is not None
        self._gone[old.uid] = old, self._heard.pop(old.uid, Heard())
        self._uids[old.id] = old.uid
        if len(self._gone) > _REMEMBERED:
            uid, (job, _) = self._gone.popitem(last=False)
            if self._uids.get(job.id) == uid:
                del self._uids[job.id]

    def on_resync(self) -> None:
        """Forget the events of what never became a job."""
        if len(self._heard) > len(self._known) + _STRANGERS:
            self._heard = {u: heard for u, heard in self._heard.items() if u in self._known}

    def find_heard(self, uid: str) -> Heard | None:
        """Return what events told of a job that no inspect has shown since."""
        return self._heard.get(uid)

    def find(self, ref: str) -> Gone | None:
        """Return the job of this id or uid that is gone; of several of an id, the last."""
        found = self._gone.get(self._uids.get(ref, ref))
        if found is None:
            return None
        job, heard = found
        is_settled = heard.removed or (job.is_finished and job.detailed)
        return Gone(conclude(job, heard), is_settled)


def _may_be_of_job(event: Event) -> bool:
    """Tell whether an event may be of a job that no list has shown yet.

    A subscription begins with events that are older than the first list.
    """
    if event.kind is EventKind.CREATED:
        return event.is_job
    return event.kind in {EventKind.STARTED, EventKind.ENDED}


def conclude(last: Job, heard: Heard) -> Job:
    """Return how a job that is gone ended, as far as that was seen or told."""
    if last.is_finished and last.detailed:
        return last
    code = None if heard.has_lies else heard.exit_code
    if last.is_finished and last.exit_code is not None:
        code = last.exit_code
    has_begun = last.started or heard.started_at is not None
    has_ended = heard.ended_at is not None and heard.ended_at >= (heard.started_at or 0)
    if has_ended and (has_begun or code not in _CANNOT_RUN):
        return replace(
            last,
            status=Status.EXITED,
            started=True,
            started_at=last.started_at or heard.started_at,
            finished_at=heard.ended_at,
            exit_code=code,
            ended=False,
            text="",
        )
    # a list that shows a removal does not tell whether the job has run
    may_have_run = last.status in LEAVING and not last.detailed
    if heard.removed and not has_begun and not may_have_run:
        return replace(last, status=Status.DEAD, detailed=True, text="")
    if (last.status in LEAVING and last.detailed) or (
        last.is_finished and last.exit_code is not None
    ):
        return last
    return replace(last, status=Status.EXITED, detailed=False, exit_code=None, ended=False, text="")
