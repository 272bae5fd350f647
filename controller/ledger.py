"""What this process remembers of its own actions: the attempts that failed, the calls in flight."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sortedcontainers import SortedKeyList

from controller.plan import ActionKind

_DOUBTFUL: Final = 3
_MOST_KINDS: Final = 1000
_Likeness = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last failed action of one kind on one container.

    ``number`` counts failures from 1; ``due`` is the steady time of the next attempt in seconds;
    ``message`` says what went wrong; ``engine_died``: the engine was lost during the action;
    ``is_unmade``: the engine was still creating the container, and nothing has failed.
    """

    uid: str
    number: int
    due: float
    message: str
    engine_died: bool = False
    is_unmade: bool = False

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
        self._by_due: SortedKeyList[Attempt, tuple[float, str]] = SortedKeyList(key=_order_by_due)
        self.deaths: dict[str, Attempt] = {}
        """Those during which the engine died, by container id."""

    def __len__(self) -> int:
        return len(self._by_uid)

    def __contains__(self, uid: str) -> bool:
        return uid in self._by_uid

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts, the earliest due first."""
        return iter(self._by_due)

    def get(self, uid: str) -> Attempt | None:
        """Return the last failure on ``uid``, if there was one."""
        return self._by_uid.get(uid)

    def find_next_due(self, after: float) -> float | None:
        """Return the earliest due time later than ``after`` (steady seconds)."""
        index = self._by_due.bisect_key_left((after, "\U0010ffff"))
        return self._by_due[index].due if index < len(self._by_due) else None

    def put(self, attempt: Attempt) -> None:
        """Note a failure in place of an earlier one."""
        self.forget(attempt.uid)
        self._by_uid[attempt.uid] = attempt
        self._by_due.add(attempt)
        if attempt.engine_died:
            self.deaths[attempt.uid] = attempt

    def forget(self, uid: str) -> None:
        """Drop the failures on ``uid``."""
        attempt = self._by_uid.pop(uid, None)
        self.deaths.pop(uid, None)
        if attempt is not None:
            self._by_due.remove(attempt)


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
