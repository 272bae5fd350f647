"""Decides what a tick reads again, so that reading takes a bounded share of the engine's time."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final

_SMOOTHING: Final = 0.5
_UNWATCHED: Final = 10.0
_MOST_OFTEN: Final = 0.01
_LONG: Final = 60.0  # seconds after which a job that holds a slot is inspected again
_APART: Final = 0.5  # seconds for each such job: an inspect takes a millisecond


class ReadKind(Enum):
    """How much is read at once."""

    NOTHING = "nothing"
    CHEAP = "cheap"  # the active jobs, and what is newer than the newest known
    FULL = "full"  # every job
    NEW = "new"  # what a burst of creates has added, between two ticks
    SOME = "some"  # what events have touched in a while, by one list
    INSPECT = "inspect"  # one job that an event or an act of ours has touched


@dataclass(slots=True)
class ResyncBudget:
    """Past readings and what they cost; all times are seconds of a monotonic clock.

    The cheap reading may take ``cheap_share`` of the time and the full one ``full_share``, or more
    if ``longest`` seconds have passed since it was read: on a small host every tick reads
    everything, on a big one the cheap part, and everything once in a minute or more. Of two
    consecutive readings the quicker one sets the cost, so that one that waited for a stalled engine
    does not postpone the next as a big host would. While jobs are active a cheap reading follows
    the last within ``cheap_longest`` seconds, or within a hundred times its cost if that is more:
    the ends of some may be told by nobody.
    """

    cheap_share: float = 0.002
    full_share: float = 0.005
    longest: float = 600.0
    cheap_longest: float = 10.0

    cheap_cost: float = 0.0
    full_cost: float = 0.0
    last_cheap: float = float("-inf")
    last_full: float = float("-inf")
    _cheap_latest: float = 0.0
    _full_latest: float = 0.0

    def choose(
        self, now: float, *, is_unwatched: bool = False, is_active: bool = False
    ) -> ReadKind:
        """Return what a tick at ``now`` should read.

        ``is_unwatched``: no event tells of an end, and readings may take ten times their share.
        ``is_active``: some jobs are, as far as is known.
        """
        more = _UNWATCHED if is_unwatched else 1.0
        full_pause = self.full_cost / (more * self.full_share)
        if now - self.last_full >= min(self.longest, full_pause):
            return ReadKind.FULL
        cheap_pause = self.cheap_cost / (more * self.cheap_share)
        if is_active:
            cheap_pause = min(cheap_pause, max(self.cheap_longest, self.cheap_cost / _MOST_OFTEN))
        if now - max(self.last_cheap, self.last_full) >= cheap_pause:
            return ReadKind.CHEAP
        return ReadKind.NOTHING

    def record(self, reading: ReadKind, started: float, ended: float) -> None:
        """Note the cost of one reading that succeeded."""
        cost = ended - started
        if reading is ReadKind.FULL:
            self.full_cost = _blend(self.full_cost, min(cost, self._full_latest or cost))
            self._full_latest, self.last_full = cost, started
        elif reading is ReadKind.CHEAP:
            self.cheap_cost = _blend(self.cheap_cost, min(cost, self._cheap_latest or cost))
            self._cheap_latest, self.last_cheap = cost, started


def _blend(known: float, cost: float) -> float:
    return known + (cost - known) * (_SMOOTHING if known else 1)


class LongRuns:
    """Jobs that hold a slot for long: a full disk leaves one that has ended running in all lists.

    Each is due once a minute, or less often where many are active.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def find_due(self, active: Collection[str], now: float) -> list[str]:
        """Return which of the ``active`` uids to inspect at ``now`` (monotonic seconds)."""
        later = now + max(_LONG, _APART * len(active))
        self._due = {uid: self._due.get(uid, later) for uid in active}
        due = [uid for uid, moment in self._due.items() if moment <= now]
        self._due |= dict.fromkeys(due, later)
        return due
