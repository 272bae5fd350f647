"""When a change of the source counts: a pure judgement over what successive looks saw."""

from dataclasses import dataclass, replace
from enum import Enum, auto


class Verdict(Enum):
    """What to do after a look."""

    NOTHING = auto()
    LOAD = auto()
    SERVED = auto()
    """What is served is there, perhaps again."""


@dataclass(frozen=True, slots=True)
class ChangeDetector:
    """What the looks so far have shown; a look is a fingerprint, or a text for a failed one.

    ``served`` is the look that the present generation was made of, ``bad`` one that was
    judged and reported already, ``pending`` one that was seen once.
    """

    served: str
    bad: str | None = None
    pending: str | None = None

    def see(self, look: str) -> tuple["ChangeDetector", Verdict]:
        """Return the next state and what to do; a change counts once two looks agree."""
        if look == self.served:
            return ChangeDetector(self.served), Verdict.SERVED
        if look == self.bad:
            return replace(self, pending=None), Verdict.NOTHING
        if look != self.pending:
            return replace(self, pending=look), Verdict.NOTHING
        return replace(self, pending=None), Verdict.LOAD

    def serve(self, look: str) -> "ChangeDetector":
        """Return the state after ``look`` became the present generation."""
        return ChangeDetector(look)

    def reject(self, look: str) -> "ChangeDetector":
        """Return the state after ``look`` was found bad and reported."""
        return ChangeDetector(self.served, bad=look)
