"""Decides what a tick reads again, so that looking costs the engine a bounded share of time."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

_SMOOTHING: Final = 0.5


class Reading(Enum):
    """How much is read at once."""

    NOTHING = "nothing"
    CHEAP = "cheap"  # the active jobs, and what is newer than the newest known
    FULL = "full"  # every container of the namespace
    NEW = "new"  # what a burst of creates has added, between two ticks
    INSPECT = "inspect"  # one container that an event or an act of ours has touched


@dataclass(slots=True)
class Budget:
    """Past readings and what they cost; all times are seconds of a monotonic clock.

    The cheap reading may take ``cheap_share`` of the time, the full one ``full_share``, or more
    where ``longest`` seconds have passed: on a small host every tick reads everything, on a big
    one the cheap part.
    """

    cheap_share: float = 0.003
    full_share: float = 0.005
    longest: float = 60.0

    cheap_cost: float = 0.0
    full_cost: float = 0.0
    last_cheap: float = float("-inf")
    last_full: float = float("-inf")

    def choose(self, now: float) -> Reading:
        """Return what a tick at ``now`` should read."""
        since_full = now - self.last_full
        if since_full >= min(self.longest, self.full_cost / self.full_share):
            return Reading.FULL
        if now - self.last_cheap >= self.cheap_cost / self.cheap_share:
            return Reading.CHEAP
        return Reading.NOTHING

    def record(self, reading: Reading, started: float, ended: float) -> None:
        """Take in one reading that succeeded."""
        cost = ended - started
        if reading is Reading.FULL:
            self.full_cost += (cost - self.full_cost) * (_SMOOTHING if self.full_cost else 1)
            self.last_full = started
        elif reading is Reading.CHEAP:
            self.cheap_cost += (cost - self.cheap_cost) * (_SMOOTHING if self.cheap_cost else 1)
            self.last_cheap = started
