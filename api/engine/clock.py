"""The engine's clock, estimated from the ``Date`` header of its replies.

Ages (keep-exited-for, the status text) compare the engine's own times, so they need the engine's
present, not this host's. ``Date`` has whole seconds: as long as this host's clock fits what the
replies say, it is used as it is, with its better resolution.
"""

import time
from email.utils import parsedate_to_datetime
from typing import Final

_SECOND: Final = 1_000_000_000
_SLACK: Final = _SECOND // 2


class EngineClock:
    """This host's wall clock plus the offset that the engine's replies ask for."""

    def __init__(self) -> None:
        self._offset = 0

    def now(self) -> int:
        """Return the engine's time in nanoseconds since the epoch."""
        return time.time_ns() + self._offset

    def observe(self, date: str | None, sent: int, received: int) -> None:
        """Take in one reply's ``Date``, with this host's wall times (ns) around the call.

        The engine wrote the header between the two, at some moment of that whole second.
        """
        try:
            stamp = int(parsedate_to_datetime(date or "").timestamp()) * _SECOND
        except ValueError:
            return
        lowest = stamp - received - _SLACK
        highest = stamp + _SECOND - sent + _SLACK
        if not lowest <= self._offset <= highest:
            self._offset = 0 if lowest <= 0 <= highest else (lowest + highest) // 2
