"""Where a log was left, so that another reading goes on there without doubling or losing an entry.

No I/O. What holds is the order of a log. Times need not ascend: two streams that are written at
once may differ by microseconds the wrong way round, all pieces of a long line have the time of the
first, and a clock may be set back. So the place is the last entry that was read, and what comes
after it in another reading is new. It is told by its stream, its time, and how many had both.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from api.engine.interface import LogFrame, LogStream
from api.v1.times import SECOND

_SLACK: Final = 32
"""Entries that a reading asks for beyond those that it must have: new ones, as a rule."""
_GROWTH: Final = 8
_MOST: Final = 1 << 24
"""Entries; who needs more reads the whole log."""
_DISORDER: Final = SECOND // 10
"""Nanoseconds by which the times of two streams may be the wrong way round."""

_Key = tuple[LogStream, int]


@dataclass(slots=True)
class _Run:
    """The last entries of one stream that have one time.

    ``number`` is the place of the first among all entries.
    """

    time: int
    number: int
    count: int = 0


class Cursor:
    """The place up to which a log has been read."""

    def __init__(self) -> None:
        self._runs: dict[LogStream, _Run] = {}
        self._last: LogStream | None = None
        self._number = 0
        self._highest = 0
        self._recent: deque[tuple[_Key, int]] = deque(maxlen=2 * _SLACK)
        """Stream, time and number of the last entries that end a line."""

    @property
    def is_at_start(self) -> bool:
        """Whether nothing has been read yet."""
        return self._last is None

    def note(self, frames: Iterable[LogFrame]) -> None:
        """Go on over entries that were read."""
        for frame in frames:
            time, stream = frame.time, frame.stream
            run = self._runs.get(stream)
            if run is None or run.time != time:
                run = self._runs[stream] = _Run(time, self._number)
            run.count += 1
            if frame.data.endswith(b"\n"):
                self._recent.append(((stream, time), self._number))
            self._last = stream
            self._number += 1
            self._highest = max(self._highest, time)

    def begin(self) -> "Overlap":
        """Return what leaves out of another reading what was read already."""
        assert self._last is not None
        run = self._runs[self._last]
        return Overlap((self._last, run.time), run.count, self._highest)

    def choose_tail(self, attempt: int, expected: int = 0) -> int | None:
        """Return how many entries to ask for in attempt number ``attempt``, from 0; None: all."""
        assert self._last is not None
        needed = self._number - self._runs[self._last].number + expected
        tail = (needed + _SLACK) * _GROWTH**attempt
        return tail if tail <= _MOST else None

    def is_before(self, frame: LogFrame) -> bool:
        """Tell whether a reading that begins with ``frame`` certainly has the last entry.

        It must have every entry of that one's stream and time, too, because they are counted.
        """
        assert self._last is not None
        run = self._runs[self._last]
        if frame.time == self._runs.get(frame.stream, run).time:
            # others of the same stream and time may follow
            return False
        key = (frame.stream, frame.time)
        is_known = any(key == known and number < run.number for known, number in self._recent)
        return is_known or frame.time < run.time - _DISORDER


class Overlap:
    """The entries of another reading, without those up to the last that was read: ``key``.

    ``count`` entries had that stream and time. One of a time above ``highest`` is new in any case:
    then the log does not have the last any more.
    """

    def __init__(self, key: _Key, count: int, highest: int) -> None:
        self._key = key
        self._left = count
        self._highest = highest
        self.has_gap = False
        """Whether the log had no longer all that was read: what followed that may be gone, too."""

    def take_new(self, frames: Sequence[LogFrame]) -> Sequence[LogFrame]:
        """Return those of the next entries that are new."""
        for place, frame in enumerate(frames):
            if not self._left:
                return frames[place:]
            if frame.time > self._highest:
                self._left, self.has_gap = 0, True
                return frames[place:]
            if (frame.stream, frame.time) == self._key:
                self._left -= 1
        return ()
