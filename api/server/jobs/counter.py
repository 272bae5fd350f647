"""Counts what happened to jobs: once each, whatever events are lost, repeated or late.

What counts are the states that the informer has read. Events are used only for what no state
shows: the exit codes of runs after which the engine restarted the job, and the life of a job that
was gone before anybody could look.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from api.engine.interface import Event, EventKind
from api.server.metrics import CREATE, DIE, START
from api.v1.condition import is_loss
from api.v1.job import LEAVING, Job, Status

Count = Callable[[str, str], None]
"""Takes an action, ``create``, ``start`` or ``die``, and the status of a ``die``, else ``""``."""

UNKNOWN: Final = "unknown"
"""Status of a ``die`` whose exit code nobody saw."""

_REMEMBERED: Final = 10_000
_MARKS: Final = 256  # of one job; the engine repeats events only right after they came
_PATIENCE: Final = 30.0
"""Seconds that the last events of a job that is gone may be late: a stream can be down."""
_RUNNING: Final = frozenset({Status.RUNNING, Status.PAUSED})
_CANNOT_RUN: Final = frozenset({126, 127, 128, 137})
"""Exit codes of a start that failed, which some engines tell as a ``die`` without a start.

137 where the process was killed between its creation and its start: "cannot start a stopped
process" (26.1).
"""
_HIGHEST_CODE: Final = 255
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Life:
    """What has been counted of one job, and what was heard of it."""

    seen: Job | None = None
    starts: int = 0
    dies: int = 0
    base: int = 0  # starts before the engine last reset its restart count
    heard: set[tuple[EventKind, int]] = field(default_factory=set)
    heard_starts: int = 0
    heard_dies: int = 0
    codes: deque[int | None] = field(default_factory=deque)
    has_lies: bool = False  # a label of it overwrites the exit code in all its events
    destroyed: bool = False  # as an event told: no other comes after it
    gone_at: float | None = None  # when nothing was there any more to look at
    lost: Job | None = None  # as it was when it went, if nothing has shown yet that it ran


class JobCounter:
    """Listens to the informer and reports every create, start and die of its jobs.

    ``count`` is told of each, ``count_loss`` of each job that someone else removed before it ran.
    ``now`` is the engine's clock (ns): it tells whether a job's time for a start was up.
    Both the lives and the losses are in memory only.
    """

    def __init__(
        self,
        count: Count,
        count_loss: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        self._count = count
        self._count_loss = count_loss
        self._clock = clock
        self._now = now
        self._lost: OrderedDict[str, None] = OrderedDict()
        self._lives: dict[str, _Life] = {}
        self._leaving: set[str] = set()
        self._gone: OrderedDict[str, None] = OrderedDict()

    def on_event(self, event: Event) -> None:
        """Count what an event tells; one that comes twice counts once."""
        life = self._lives.get(event.uid)
        if life is None:
            # Of a job from before this process only what the engine still holds counts.
            is_new = event.kind is EventKind.CREATED and event.uid not in self._gone
            if not is_new or not event.is_job:
                return
            life = self._begin(event.uid)
        mark = (event.kind, event.time)
        if mark in life.heard:
            return
        if len(life.heard) >= _MARKS:
            life.heard.clear()
        life.heard.add(mark)
        life.has_lies |= event.kind is not EventKind.ENDED and event.exit_code is not None
        if event.kind is EventKind.STARTED:
            life.heard_starts += 1
        elif event.kind is EventKind.ENDED and not _has_failed(life, event):
            life.heard_dies += 1
            # of deaths that a state has told of already it says nothing new
            if life.heard_dies > life.dies:
                life.codes.append(None if life.has_lies else event.exit_code)
        elif event.kind is EventKind.REMOVED:
            life.destroyed = True
            if life.seen is None or event.uid in self._leaving:
                self._end(event.uid, life)

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Count what a change of one job shows."""
        job = old or new
        assert job is not None
        life = self._lives.get(job.uid)
        # a short job may have run although nobody has seen it run
        is_lost = is_loss(old, new, self._now()) and not (
            life and max(life.starts, life.heard_starts)
        )
        if is_lost:
            self._remember_loss(job.id)
        if new is None and life is not None:
            life.lost = job if is_lost else None
            self._leave(job.uid, life)
        elif is_lost:
            self._lose(job)
        if new is None:
            return
        if new.status not in LEAVING:
            self._lost.pop(new.id, None)
        if new.uid in self._gone or new.uid in self._leaving:
            # from a list that was sent before the end
            return
        self._follow(life or self._begin(new.uid), new)

    def on_resync(self) -> None:
        """Give up waiting for events that must have been lost."""
        oldest = self._clock() - _PATIENCE
        for uid in sorted(self._leaving):
            life = self._lives[uid]
            if life.gone_at is not None and life.gone_at <= oldest:
                self._end(uid, life)

    def has_lost(self, job_id: str) -> bool:
        """Tell whether the job of this id was removed before it ran, and is not there again.

        So it seems until an event that is late tells of a start.
        """
        return job_id in self._lost

    def _remember_loss(self, job_id: str) -> None:
        self._lost[job_id] = None
        if len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)

    def _lose(self, job: Job) -> None:
        self._count_loss()
        _log.warning("job lost: it was removed before it ran", job=job.id, id=job.uid)

    def _begin(self, uid: str) -> _Life:
        life = self._lives[uid] = _Life()
        self._count(CREATE, "")
        return life

    def _follow(self, life: _Life, new: Job) -> None:
        # A list shows every container that is being removed alike, whether it has run or not.
        if new.started and (new.detailed or new.status not in LEAVING):
            if life.seen is not None and _has_reset(life.seen, new):
                life.base = life.starts
            # One that is about to run again has its next start in the count already.
            begun = _count_repeats(new) + (new.status is not Status.RESTARTING)
            least = life.base + begun if new.detailed else 1
            # A list does not show how often it ran; what was heard of it is no more than true.
            self._raise_starts(life, max(least, life.starts, life.heard_starts))
            final = None if new.status in _RUNNING else new.exit_code
            dies = life.starts - (new.status in _RUNNING)
            self._raise_dies(life, dies, final)
        if new.detailed or life.seen is None:
            life.seen = new

    def _leave(self, uid: str, life: _Life) -> None:
        """End the life of a job that is gone, once events have told what no state showed."""
        starts = max(life.starts, life.heard_starts)
        is_told = bool(starts) and len(life.codes) >= starts - life.dies
        if is_told or life.destroyed:
            self._end(uid, life)
        elif uid not in self._leaving:
            self._leaving.add(uid)
            life.gone_at = self._clock()

    def _end(self, uid: str, life: _Life) -> None:
        """Count what is left of a job that is gone: it does not run any more."""
        self._raise_starts(life, max(life.starts, life.heard_starts, life.heard_dies))
        self._raise_dies(life, life.starts, None)
        if life.lost is not None and life.starts:
            self._lost.pop(life.lost.id, None)
        elif life.lost is not None:
            self._lose(life.lost)
        del self._lives[uid]
        self._leaving.discard(uid)
        self._gone[uid] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    def _raise_starts(self, life: _Life, starts: int) -> None:
        for _ in range(starts - life.starts):
            self._count(START, "")
        life.starts = max(starts, life.starts)

    def _raise_dies(self, life: _Life, dies: int, final: int | None) -> None:
        """Count deaths up to ``dies``; ``final`` is the exit code of the last, if it is known."""
        while life.dies < dies:
            life.dies += 1
            code = life.codes.popleft() if life.codes else None
            if life.dies == dies and final is not None:
                code = final
            is_code = code is not None and 0 <= code <= _HIGHEST_CODE
            self._count(DIE, str(code) if is_code else UNKNOWN)


def _has_reset(old: Job, new: Job) -> bool:
    """Tell whether the engine started a container afresh: that resets its restart count."""
    if not (old.detailed and new.detailed and old.started_at is not None):
        return False
    if new.started_at == old.started_at:
        return False
    if old.status is Status.RESTARTING is not new.status:
        return _count_repeats(new) < _count_repeats(old)
    return _count_repeats(new) <= _count_repeats(old)


def _count_repeats(job: Job) -> int:
    """Return how many runs there were before this one, as far as the engine counts them."""
    return job.restarts + job.rerun


def _has_failed(life: _Life, event: Event) -> bool:
    """Tell whether an end is that of a start that failed, and of no run."""
    has_begun = life.starts > life.dies or life.heard_starts > life.heard_dies
    return event.exit_code in _CANNOT_RUN and not has_begun
