"""What this process remembers of its own acts: attempts that failed, and calls in flight."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sortedcontainers import SortedKeyList


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last failed act on one container.

    ``number`` counts failures from 1; ``due`` is the steady time of the next attempt in seconds;
    ``message`` says what went wrong.
    """

    id: str
    number: int
    due: float
    message: str


@dataclass(frozen=True, slots=True)
class InFlight:
    """A start that was sent at ``since`` (steady seconds) and is not over yet."""

    since: float
    is_retry: bool


def _place(attempt: Attempt) -> tuple[float, str]:
    return (attempt.due, attempt.id)


class Attempts:
    """Failed acts of one kind, by container id and by the time of the next attempt."""

    def __init__(self) -> None:
        self._by_id: dict[str, Attempt] = {}
        self._by_due: SortedKeyList[Attempt, tuple[float, str]] = SortedKeyList(key=_place)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._by_id

    def __iter__(self) -> Iterator[Attempt]:
        """Yield attempts, the earliest due first."""
        return iter(self._by_due)

    def get(self, container_id: str) -> Attempt | None:
        """Return what is known of ``container_id``."""
        return self._by_id.get(container_id)

    def count(self, container_id: str) -> int:
        """Return how often the act on ``container_id`` has failed."""
        attempt = self._by_id.get(container_id)
        return 0 if attempt is None else attempt.number

    def find_next_due(self, after: float) -> float | None:
        """Return the earliest due time later than ``after`` (steady seconds)."""
        index = self._by_due.bisect_key_left((after, "\U0010ffff"))
        return self._by_due[index].due if index < len(self._by_due) else None

    def put(self, attempt: Attempt) -> None:
        """Note a failure in place of an earlier one."""
        self.forget(attempt.id)
        self._by_id[attempt.id] = attempt
        self._by_due.add(attempt)

    def forget(self, container_id: str) -> None:
        """Drop what is known of ``container_id``."""
        attempt = self._by_id.pop(container_id, None)
        if attempt is not None:
            self._by_due.remove(attempt)


class Ledger:
    """Memory only: after a restart every job is looked at afresh.

    ``starting`` and ``removing`` hold the ids of calls in flight; a start that is in flight
    holds a slot. ``silent`` are containers that the engine does not answer for: they are left
    alone until it does.
    """

    def __init__(self) -> None:
        self.starts = Attempts()
        self.removals = Attempts()
        self._starting: dict[str, InFlight] = {}
        self._removing: set[str] = set()
        self.unresponsive: frozenset[str] | set[str] = frozenset()
        self.has_retried = False
        """Whether the newest start was a retry."""
        self.uncertain_starts: set[str] = set()
        """Ids of jobs that may run by an act, of ours or a predecessor's, whose end was hidden."""

    @property
    def starting(self) -> Mapping[str, InFlight]:
        """Starts in flight by container id."""
        return self._starting

    @property
    def removing(self) -> frozenset[str] | set[str]:
        """Removals in flight."""
        return self._removing

    def begin_start(self, container_id: str, now: float) -> None:
        """Note that a start is in flight since ``now`` (steady seconds)."""
        self.has_retried = container_id in self.starts
        self._starting[container_id] = InFlight(now, is_retry=self.has_retried)

    def end_start(self, container_id: str) -> None:
        """Note that a start is over, whatever came of it."""
        self._starting.pop(container_id, None)

    def has_tried(self, container_id: str) -> bool:
        """Tell whether a start of ours may be what made a container run."""
        return any(
            container_id in ids for ids in (self._starting, self.starts, self.uncertain_starts)
        )

    def begin_removal(self, container_id: str) -> None:
        """Note that a removal is in flight."""
        self._removing.add(container_id)

    def end_removal(self, container_id: str) -> None:
        """Note that a removal is over, whatever came of it."""
        self._removing.discard(container_id)

    def forget(self, container_id: str) -> None:
        """Drop the failures of a container that is gone."""
        self.forget_start(container_id)
        self.removals.forget(container_id)

    def forget_start(self, container_id: str) -> None:
        """Drop the starts of a container that has started."""
        self.starts.forget(container_id)
        self.uncertain_starts.discard(container_id)
