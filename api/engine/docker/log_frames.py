"""Cuts what the engine sends of a log into entries: 8-byte headers, or a terminal's raw text.

No I/O. Every entry begins with its time, because it is always asked for.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from api.engine.errors import EngineInterruptedError, EngineRefusedError
from api.engine.interface import LogFrame, LogStream
from api.v1.times import parse_time

_HEADER: Final = 8
_LONGEST: Final = 1 << 24
"""Bytes: no driver has entries half as long, so a header that says more is none."""
_STAMP: Final = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ", re.ASCII
)
_STAMP_SIZE: Final = len("2006-01-02T15:04:05.000000000+00:00 ")
_PIECE: Final = 1 << 14
"""Bytes after which the engine cuts a line (moby's ``defaultBufSize``)."""
_ERROR: Final = 3
_STREAMS: Final[Mapping[int, LogStream]] = {
    0: LogStream.STDOUT,  # podman's and the oldest engines' stdin
    1: LogStream.STDOUT,
    2: LogStream.STDERR,
}


class Cutter(Protocol):
    """Takes bytes as they arrive and gives the entries that are complete."""

    def feed(self, data: bytes, *, is_first: bool) -> Iterator[LogFrame]:
        """Yield what ``data`` completes; ``is_first``: a chunk of the answer begins with it."""
        ...

    def finish(self) -> Iterator[LogFrame]:
        """Yield what the end of the answer completes."""
        ...


class FrameCutter:
    """Cuts the frames of a job without a terminal.

    A header has the stream, three zeros, and the length in four bytes, the highest first. Type 3 is
    an error of the engine's: ``EngineRefusedError``. Raises ``EngineInterruptedError`` for what is
    no frame, and for one that breaks off.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes, *, is_first: bool) -> Iterator[LogFrame]:
        """Yield every frame that is complete."""
        del is_first
        self._rest += data
        begin = 0
        try:
            while (end := self._find_end(begin)) is not None:
                kind, content = self._rest[begin], bytes(self._rest[begin + _HEADER : end])
                begin = end
                if kind == _ERROR:
                    raise EngineRefusedError(500, content.decode(errors="replace").strip())
                yield make_frame(content, _STREAMS[kind])
        finally:
            del self._rest[:begin]

    def finish(self) -> Iterator[LogFrame]:
        """Refuse half a frame."""
        if self._rest:
            raise EngineInterruptedError("the log broke off within an entry")
        yield from ()

    def _find_end(self, begin: int) -> int | None:
        if len(self._rest) < begin + _HEADER:
            return None
        length = int.from_bytes(self._rest[begin + 4 : begin + _HEADER])
        is_known = self._rest[begin] in {*_STREAMS, _ERROR}
        if not is_known or any(self._rest[begin + 1 : begin + 4]) or length > _LONGEST:
            raise EngineInterruptedError("what the engine sent is no frame of a log")
        end = begin + _HEADER + length
        return end if len(self._rest) >= end else None


class TerminalCutter:
    """Cuts the raw text of a job with a terminal, where only the times tell entries apart.

    One begins after a newline, after the 16 KiB at which the engine cuts a line, and where a time
    begins a chunk of the answer: the engine sends each entry as a chunk, also after a last line
    without a newline of an earlier run.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        """Bytes of it in which its first entry is known not to end."""
        self._chunks: deque[int] = deque()
        """Where in it a chunk of the answer begins."""

    def feed(self, data: bytes, *, is_first: bool) -> Iterator[LogFrame]:
        """Yield every entry after which another begins, and every line."""
        if is_first and self._rest:
            self._chunks.append(len(self._rest))
        self._rest += data
        yield from self._cut(is_end=False)

    def finish(self) -> Iterator[LogFrame]:
        """Yield what is left: a last line without a newline."""
        yield from self._cut(is_end=True)

    def _cut(self, *, is_end: bool) -> Iterator[LogFrame]:
        while self._rest and (end := self._find_end(is_end=is_end)) is not None:
            entry = bytes(self._rest[:end])
            del self._rest[:end]
            self._searched = 0
            self._chunks = deque(place - end for place in self._chunks if place > end)
            yield make_frame(entry, LogStream.STDOUT)

    def _find_end(self, *, is_end: bool) -> int | None:
        size = len(self._rest)
        stamp = _STAMP.match(self._rest)
        content = stamp.end() if stamp else 0
        longest = content + _PIECE
        chunk = self._find_chunk(content, is_end=is_end)
        limit = min(size, longest, longest if chunk is None else chunk)
        newline = self._rest.find(b"\n", max(content, self._searched), limit)
        self._searched = limit
        if newline >= 0:
            return newline + 1
        if chunk is not None and chunk <= longest:
            # a time that has not come whole yet will tell
            return chunk if _STAMP.match(self._rest, chunk) else None
        if size >= longest + _STAMP_SIZE or (is_end and size > longest):
            return longest
        return size if is_end else None

    def _find_chunk(self, content: int, *, is_end: bool) -> int | None:
        """Return where the next chunk begins that begins with a time, or may do so yet."""
        while self._chunks:
            place = self._chunks[0]
            may_come = not is_end and len(self._rest) < place + _STAMP_SIZE
            if place >= max(content, 1) and (_STAMP.match(self._rest, place) or may_come):
                return place
            self._chunks.popleft()
        return None


def make_frame(content: bytes, stream: LogStream) -> LogFrame:
    """Return an entry without its time. Raises ``EngineInterruptedError`` if it has none."""
    stamp = _STAMP.match(content)
    time = None if stamp is None else parse_time(stamp[0][:-1].decode())
    if stamp is None or time is None:
        raise EngineInterruptedError("an entry of the log has no time")
    return LogFrame(time, stream, content[stamp.end() :])
