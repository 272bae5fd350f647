"""Moments at which time alone changes something of a job, the earliest first."""

from collections.abc import Iterator

from sortedcontainers import SortedList

from controller.policy import Moment

_LAST_UID = "\U0010ffff"


class Deadlines:
    """By uid a moment of the steady clock.

    It is told by the engine's clock once and stays as it is until another moment is told: no jump
    of that clock moves a deadline.
    """

    def __init__(self) -> None:
        self._order: SortedList[tuple[float, str]] = SortedList()
        self._fixed: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        """Return how many are in force."""
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Yield every deadline in force with its uid."""
        return iter(self._order)

    def put(self, uid: str, moment: int | None, now: Moment) -> None:
        """Have a deadline at ``moment`` (ns of the engine's clock); ``None`` for none."""
        if moment is None:
            return
        known = self._fixed.get(uid)
        if known is None or known[0] != moment:
            known = self._fixed[uid] = (moment, now.find_steady(moment))
        self._order.add((known[1], uid))

    def take(self, uid: str) -> None:
        """Have the deadline of a job be in force no more; that it may be again is remembered."""
        if uid in self._fixed:
            self._order.discard((self._fixed[uid][1], uid))

    def forget(self, uid: str) -> None:
        """Drop a job that is gone."""
        self.take(uid)
        self._fixed.pop(uid, None)

    def find_due(self, now: float) -> Iterator[tuple[float, str]]:
        """Yield what is due at ``now`` (steady seconds), the earliest first."""
        for due, uid in self._order:
            if now < due:
                return
            yield due, uid

    def find_next(self, after: float) -> float | None:
        """Return the earliest deadline later than ``after`` (steady seconds)."""
        index = self._order.bisect_right((after, _LAST_UID))
        return self._order[index][0] if index < len(self._order) else None
