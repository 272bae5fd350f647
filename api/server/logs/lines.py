"""Joins the entries of a log into lines.

No I/O. The engine cuts a line after 16 KiB; such pieces have one time, so that what a process has
left without a newline is not joined to what its next run writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from api.engine.interface import LogFrame, LogStream

LONGEST: Final = 1 << 20
"""Bytes of a line; what follows comes as lines of its own."""
_PIECE: Final = 1 << 14
_CONTINUES: Final = range(0x80, 0xC0)
"""The bytes of UTF-8 that no character begins with."""
_LONGEST_CHARACTER: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its newline.

    ``is_cut``: it goes on in the next line of its stream; ``is_open``: it has no newline.
    """

    time: int
    stream: LogStream
    data: bytes
    is_cut: bool = False
    is_open: bool = False


@dataclass(slots=True)
class _Open:
    time: int
    last: int
    data: bytearray


class LineJoiner:
    """Takes entries in order and gives the lines that they complete."""

    def __init__(self) -> None:
        self._open: dict[LogStream, _Open] = {}

    def take(self, frames: Sequence[LogFrame]) -> Iterator[Line]:
        """Yield every line that is complete, or as long as one may be."""
        for frame in frames:
            line = self._open.get(frame.stream)
            if line is not None and line.time != frame.time and line.last < _PIECE:
                yield self._close(frame.stream, is_open=True)
                line = None
            if line is None:
                line = self._open[frame.stream] = _Open(frame.time, 0, bytearray())
            is_whole = frame.data.endswith(b"\n")
            line.data += frame.data[:-1] if is_whole else frame.data
            line.last = len(frame.data)
            while len(line.data) > LONGEST:
                end = find_cut(line.data)
                yield Line(line.time, frame.stream, bytes(line.data[:end]), is_cut=True)
                del line.data[:end]
            if is_whole:
                yield self._close(frame.stream)

    @property
    def oldest(self) -> int | None:
        """The time of the oldest line that is not complete."""
        return min((line.time for line in self._open.values()), default=None)

    def finish(self) -> Iterator[Line]:
        """Yield what has no newline."""
        for stream in [*self._open]:
            yield self._close(stream, is_open=True)

    def _close(self, stream: LogStream, *, is_open: bool = False) -> Line:
        line = self._open.pop(stream)
        return Line(line.time, stream, bytes(line.data), is_open=is_open)


def find_cut(data: bytearray) -> int:
    """Return where to cut what is too long: not within a character."""
    for end in range(LONGEST, LONGEST - _LONGEST_CHARACTER, -1):
        if data[end] not in _CONTINUES:
            return end
    return LONGEST
