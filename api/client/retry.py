"""When something is tried again, and for how long; pure."""

from dataclasses import dataclass
from typing import Final

BRIEF: Final = 30.0
"""Seconds for which a request is repeated that a command does not go on without."""
_FIRST: Final = 0.1
_MOST: Final = 5.0
_LONGEST: Final = 30.0
"""Seconds that a server may ask for between two attempts."""

BUSY: Final = frozenset({429, 503})
"""Answers of a server, or of a proxy before it, that will do it later; nothing was done yet."""
OUTAGES: Final = frozenset({502, 504})
"""Answers while the engine, or the server behind a proxy, is away."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many have failed, and since when (seconds of any clock)."""

    failed: int
    since: float

    def fail(self) -> "Attempts":
        """Return these and one more."""
        return Attempts(self.failed + 1, self.since)


def choose_delay(
    attempts: Attempts, now: float, patience: float, asked: float | None
) -> float | None:
    """Return the seconds until the next attempt; None where patience is at its end.

    ``asked`` is what a server wants (``Retry-After``), which is believed within bounds.
    """
    if now - attempts.since >= patience:
        return None
    delay = _FIRST * 2 ** min(attempts.failed, 10) if asked is None else min(asked, _LONGEST)
    delay = max(delay, _FIRST) if asked is not None else min(delay, _MOST)
    return min(delay, max(_FIRST, attempts.since + patience - now))


def read_retry_after(text: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``; None for a date."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
