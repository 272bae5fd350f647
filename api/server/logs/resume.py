"""Where a reader of lines may go on: a time, how many lines from that time on it has, and to when.

No I/O. Lines of one time or later come in the same order again, so that number says which of them
are known, even where times do not ascend; a line later than all of those is new, for they may have
been rotated away meanwhile. The first time is no later than that of a line which is not
whole yet, and a moment before the last line's, because the other stream may be behind.
"""

import heapq
import re
from dataclasses import dataclass
from typing import Final

from api.v1.times import SECOND

_BEHIND: Final = SECOND // 10
"""Nanoseconds."""
_MOST: Final = 4096
_MOST_BESIDE: Final = 1 << 16
"""Lines that may be told beside one that is not whole: it has to be told again from its begin."""
_TEXT: Final = re.compile(
    r"(?P<time>[0-9]{1,19})-(?P<count>[0-9]{1,9})-(?P<last>[0-9]{1,19})", re.ASCII
)


class ResumePoint:
    """Goes on with each line; ``text`` names the point, for an event's id.

    The lines are those from ``since`` on, or, while it ``is_tail``, from the first on: who resumes
    may not be shown what was before.
    """

    def __init__(self, since: int = 0, *, is_tail: bool = False) -> None:
        self._since = since
        self.is_tail = is_tail
        self._highest = 0
        self._times: list[int] = []

    @property
    def text(self) -> str:
        """Return ``TIME-COUNT-LAST``, which ``read_point`` reads."""
        return f"{self._since}-{len(self._times)}-{self._highest}"

    def note(self, time: int, oldest: int | None) -> None:
        """Go on over a line of ``time``; ``oldest`` is the time of a line that is not whole."""
        if self.is_tail:
            self.is_tail, self._since = False, max(self._since, time)
        heapq.heappush(self._times, time)
        self._highest = max(self._highest, time)
        since = self._highest - _BEHIND if oldest is None else min(oldest, self._highest - _BEHIND)
        self._since = max(self._since, since)
        most = _MOST if oldest is None else _MOST_BESIDE
        while self._times and (self._times[0] < self._since or len(self._times) > most):
            self._since = max(self._since, heapq.heappop(self._times) + 1)


@dataclass(frozen=True, slots=True)
class Resumed:
    """What the sender of a point has: ``count`` lines from ``since`` to ``last`` (ns)."""

    since: int
    count: int
    last: int


def read_point(text: str | None) -> Resumed | None:
    """Return what a text says; None for what is no such text."""
    match = _TEXT.fullmatch(text or "")
    return None if match is None else Resumed(*map(int, match.groups()))
