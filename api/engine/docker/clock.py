"""The engine's clock, estimated from the ``Date`` header of its replies.

Ages (keep-exited-for, the status text) compare the engine's own times, so they need the engine's
present, not this host's. ``Date`` has whole seconds: while this host's clock agrees with it, that
clock is used, because it is finer. Between replies a monotonic clock counts on, so that a jump of
this host's clock cannot make a job look old before the engine has answered again.
"""

import time
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from api.v1.times import SECOND

_SLACK: Final = SECOND // 2


class EngineClock:
    """This host's clock at the last reply, counted on, plus the offset that the replies show."""

    def __init__(self) -> None:
        self._offset = 0
        self._anchor = _anchor()

    def now(self) -> int:
        """Return the engine's time in nanoseconds since the epoch."""
        return self._anchor + time.monotonic_ns() + self._offset

    def observe(self, date: str | None, sent: int, received: int) -> None:
        """Adjust to a reply's ``Date``; ``sent`` and ``received`` are this host's wall times (ns).

        The engine wrote the header between the two, at some moment of that whole second.
        """
        self._anchor = _anchor()
        try:
            stamp = _read(date or "")
        except ValueError:
            return
        lowest = stamp - received - _SLACK
        highest = stamp + SECOND - sent + _SLACK
        if not lowest <= self._offset <= highest:
            self._offset = 0 if lowest <= 0 <= highest else (lowest + highest) // 2


@lru_cache(maxsize=1)
def _read(date: str) -> int:
    """Return a ``Date`` in nanoseconds; replies of one second have the same."""
    return int(parsedate_to_datetime(date).timestamp()) * SECOND


def _anchor() -> int:
    """Return how far the wall clock is ahead of the monotonic one, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()
