"""What this process remembers of its own actions: the attempts that failed, the calls in flight."""

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from sortedcontainers import SortedKeyList

from api.v1.wishes import DEFAULT_QUEUE
from controller.plan import ActionKind

_DOUBTFUL: Final = 3
_MOST_KINDS: Final = 1000
_NO_TURNS: Final[Mapping[str, float]] = {}
_Likeness = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last failed action of one kind on one container.

    ``number`` counts failures from 1; ``due`` is the steady time of the next attempt in seconds;
    ``message`` says what went wrong; ``engine_died``: the engine was lost during the action;
    ``is_unmade``: the engine was still creating the container, and nothing has failed. ``queue`` is
    the job's.
    """

    uid: str
    number: int
    due: float
    message: str
    engine_died: bool = False
    is_unmade: bool = False
    queue: str = DEFAULT_QUEUE

    @property
    def keeps_place(self) -> bool:
        """Whether the job goes on waiting in its own place: it may be innocent.

        That holds for the first death of the engine: others were in flight then.
        """
        return self.is_unmade or (self.engine_died and self.number == 1)


@dataclass(frozen=True, slots=True)
class InFlight:
    """An action that was sent at ``since`` (steady seconds) and is not over yet."""

    since: float
    is_retry: bool


def _order_by_due(attempt: Attempt) -> tuple[float, str]:
    return (attempt.due, attempt.uid)


class Attempts:
    """Failed actions of one kind, by container id and by the time of the next attempt."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Attempt] = {}
        self._by_due: dict[str, SortedKeyList[Attempt, tuple[float, str]]] = {}
        """By queue: what one queue has no room for is not looked at."""
        self.deaths: dict[str, Attempt] = {}
        """Those during which the engine died, by container id."""

    def __len__(self) -> int:
        return len(self._by_uid)

    def __contains__(self, uid: str) -> bool:
        return uid in self._by_uid

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts, the earliest due first."""
        return heapq.merge(*self._by_due.values(), key=_order_by_due)

    def get(self, uid: str) -> Attempt | None:
        """Return the last failure on ``uid``, if there was one."""
        return self._by_uid.get(uid)

    def find_due(self, now: float, has_room: Callable[[str], bool]) -> Iterator[Attempt]:
        """Yield what is due at ``now`` of the queues that have room, the earliest due first."""
        lines = (line for queue, line in self._by_due.items() if has_room(queue))
        return takewhile(lambda attempt: attempt.due <= now, heapq.merge(*lines, key=_order_by_due))

    def find_next_due(self, after: float) -> float | None:
        """Return the earliest due time later than ``after`` (steady seconds)."""
        found = (_find_later(line, after) for line in self._by_due.values())
        return min((due for due in found if due is not None), default=None)

    def put(self, attempt: Attempt) -> None:
        """Note a failure in place of an earlier one."""
        self.forget(attempt.uid)
        self._by_uid[attempt.uid] = attempt
        line = self._by_due.get(attempt.queue)
        if line is None:
            line = self._by_due[attempt.queue] = SortedKeyList(key=_order_by_due)
        line.add(attempt)
        if attempt.engine_died:
            self.deaths[attempt.uid] = attempt

    def forget(self, uid: str) -> None:
        """Drop the failures on ``uid``."""
        attempt = self._by_uid.pop(uid, None)
        self.deaths.pop(uid, None)
        if attempt is not None:
            line = self._by_due[attempt.queue]
            line.remove(attempt)
            if not line:
                del self._by_due[attempt.queue]


def _find_later(line: SortedKeyList[Attempt, tuple[float, str]], after: float) -> float | None:
    index = line.bisect_key_left((after, "\U0010ffff"))
    return line[index].due if index < len(line) else None


class FairClock:
    """Gives queues their turns by weight: start-time fair queueing, with a start as the unit.

    Each start of a queue takes its clock on by one for its weight. A queue that had nothing to
    start begins at the present time: what it did not use is not saved up for it.
    """

    def __init__(self, now: float = 0.0, by_queue: Mapping[str, float] = _NO_TURNS) -> None:
        self._now = now
        self._by_queue = dict(by_queue)

    def copy(self) -> "FairClock":
        """Return a clock of its own that shows the same."""
        return FairClock(self._now, self._by_queue)

    def get(self, queue: str) -> float:
        """Return when the next turn of a queue is."""
        return max(self._now, self._by_queue.get(queue, 0.0))

    def note(self, queue: str, weight: int) -> None:
        """Note a start of a queue."""
        self._now = self.get(queue)
        self._by_queue[queue] = self._now + 1 / weight
        if len(self._by_queue) > _MOST_KINDS:
            ahead = ((name, at) for name, at in self._by_queue.items() if at > self._now)
            self._by_queue = dict(ahead)


class Failures:
    """How many starts have failed by the likeness of the jobs; each that worked takes one off.

    Jobs are doubted after three that failed of jobs like them, and those of which none is known to
    have started after three of jobs unlike each other: they no longer go ahead of other jobs.
    """

    def __init__(self) -> None:
        self._by_likeness: dict[_Likeness, int] = {}
        """The likeness of the newest start is the last."""
        self._unlike = 0

    def note(self, likeness: _Likeness, *, has_failed: bool) -> None:
        """Note how a start has ended."""
        own = self._by_likeness.pop(likeness, 0)
        if has_failed:
            self._unlike += own == 0
        else:
            self._unlike = _take_off(self._unlike)
        self._by_likeness[likeness] = own + 1 if has_failed else _take_off(own)
        if len(self._by_likeness) > _MOST_KINDS:
            del self._by_likeness[next(iter(self._by_likeness))]

    def count(self, likeness: _Likeness) -> int:
        """Return the number of jobs like these."""
        return self._by_likeness.get(likeness, 0)

    def find_doubts(self, likenesses: Collection[_Likeness]) -> dict[_Likeness, str]:
        """Return which are doubted, and why: what was not started for the longest first."""
        if max((self._unlike, *self._by_likeness.values())) < _DOUBTFUL:
            return {}
        known = [likeness for likeness in self._by_likeness if likeness in likenesses]
        new = [likeness for likeness in likenesses if likeness not in self._by_likeness]
        causes = ((likeness, self._find_cause(likeness)) for likeness in (*new, *known))
        return {likeness: cause for likeness, cause in causes if cause}

    def _find_cause(self, likeness: _Likeness) -> str:
        own = self._by_likeness.get(likeness)
        if own is not None and own >= _DOUBTFUL:
            return f"{own} starts of jobs like it have failed"
        if own != 0 and self._unlike >= _DOUBTFUL:
            return f"starts of {self._unlike} kinds of jobs have failed"
        return ""


def _take_off(failures: int) -> int:
    """Return what is left after a start that worked: soon nothing, and not at once."""
    return max(min(failures, _DOUBTFUL) - 1, 0)


class Ledger:
    """Memory of this process alone: after a restart every job is looked at afresh.

    ``attempts`` holds the failed actions by kind, ``in_flight`` the calls that are not over, by
    kind and container id. A start in flight holds a slot.
    """

    def __init__(self) -> None:
        self.attempts: Mapping[ActionKind, Attempts] = {kind: Attempts() for kind in ActionKind}
        self._in_flight: Mapping[ActionKind, dict[str, InFlight]] = {
            kind: {} for kind in ActionKind
        }
        self.has_engine_died = False
        """Whether the engine died during a start, and none was sent since."""
        self.has_retried = False
        """Whether the newest start was a retry."""
        self.retries = 0
        """How many starts were retries."""
        self.failures = Failures()
        self.turns = FairClock()
        """Which queue's turn is next."""
        self.uncertain_starts: set[str] = set()
        """Ids of jobs that may run by a start, ours or a predecessor's, whose result is unknown."""

    @property
    def in_flight(self) -> Mapping[ActionKind, Mapping[str, InFlight]]:
        """Calls in flight, by kind and container id."""
        return self._in_flight

    def begin(self, kind: ActionKind, uid: str, now: float, *, is_retry: bool = False) -> None:
        """Note that an action is in flight since ``now`` (steady seconds).

        An action on what has failed before is a retry in any case.
        """
        is_retry = is_retry or uid in self.attempts[kind]
        self._in_flight[kind][uid] = InFlight(now, is_retry)
        if kind is ActionKind.START:
            self.has_retried, self.has_engine_died = is_retry, False
            self.retries += is_retry

    def end(self, kind: ActionKind, uid: str) -> None:
        """Note that an action is over, whatever its result."""
        self._in_flight[kind].pop(uid, None)

    def charge(self, kind: ActionKind, attempt: Attempt) -> None:
        """Note a failure; after one during which the engine died, an untried job goes first."""
        self.attempts[kind].put(attempt)
        self.has_engine_died |= attempt.engine_died

    def has_tried_to_start(self, uid: str) -> bool:
        """Tell whether a start of ours, or of our predecessor, may have made a container run."""
        return (
            uid in self._in_flight[ActionKind.START]
            or uid in self.attempts[ActionKind.START]
            or uid in self.uncertain_starts
        )

    def forget(self, uid: str) -> None:
        """Drop the failures on a container that is gone."""
        for attempts in self.attempts.values():
            attempts.forget(uid)
        self.uncertain_starts.discard(uid)

    def forget_start(self, uid: str) -> None:
        """Drop the failed starts of a container that has started."""
        self.attempts[ActionKind.START].forget(uid)
        self.uncertain_starts.discard(uid)

    def call_off(self, uid: str) -> None:
        """Drop the failed starts of a container that is not to be started any more."""
        if uid in self.attempts[ActionKind.START]:
            self.attempts[ActionKind.START].forget(uid)
            # one of them may have had an effect that nobody has seen yet
            self.uncertain_starts.add(uid)

    def forget_stop(self, uid: str) -> None:
        """Drop the failed stops of a container that has ended."""
        self.attempts[ActionKind.STOP].forget(uid)
