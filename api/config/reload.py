"""Decides, from successive readings of a source, when a change of it is loaded."""

from dataclasses import dataclass, replace
from enum import Enum, auto


class Verdict(Enum):
    """What to do after a reading."""

    NOTHING = auto()
    LOAD = auto()
    SERVED = auto()
    """Nothing: the source is what is in service, perhaps again."""


@dataclass(frozen=True, slots=True)
class ChangeDetector:
    """What the readings so far have shown.

    A reading is the source's fingerprint, or a text that says why it failed. ``served`` is the
    one in service, ``bad`` one that was refused and reported, ``pending`` one seen once so far.
    """

    served: str
    bad: str | None = None
    pending: str | None = None

    def see(self, reading: str) -> tuple["ChangeDetector", Verdict]:
        """Return the next state and what to do: a change is loaded once two readings agree.

        The first of them may have come in the middle of a write.
        """
        if reading == self.served:
            return ChangeDetector(self.served), Verdict.SERVED
        if reading == self.bad:
            return replace(self, pending=None), Verdict.NOTHING
        if reading != self.pending:
            return replace(self, pending=reading), Verdict.NOTHING
        return replace(self, pending=None), Verdict.LOAD

    def serve(self, reading: str) -> "ChangeDetector":
        """Return the state after ``reading`` was put in service."""
        return ChangeDetector(reading)

    def reject(self, reading: str) -> "ChangeDetector":
        """Return the state after ``reading`` was refused and reported."""
        return ChangeDetector(self.served, bad=reading)
