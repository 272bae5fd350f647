"""What this process remembers of its own actions: the attempts that failed, the calls in flight."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sortedcontainers import SortedKeyList

from controller.plan import ActionKind


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last failed action of one kind on one container.

    ``number`` counts failures from 1; ``due`` is the steady time of the next attempt in seconds;
    ``message`` says what went wrong; ``engine_died``: the engine was lost during the action.
    """

    uid: str
    number: int
    due: float
    message: str
    engine_died: bool = False


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
        self.failures: dict[str, int] = {}
        """How many starts of an image's jobs have failed since one of them started, by image."""
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

    def end(self, kind: ActionKind, uid: str) -> None:
        """Note that an action is over, whatever its result."""
        self._in_flight[kind].pop(uid, None)

    def note_start(self, image: str, *, has_failed: bool) -> None:
        """Note how the start of a job of ``image`` ended."""
        if has_failed:
            self.failures[image] = self.failures.get(image, 0) + 1
        else:
            self.failures.pop(image, None)

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
