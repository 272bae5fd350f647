"""The logs of the in-memory engine: entries cut as the engine cuts them, and their readers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from api.engine.errors import EngineError
from api.engine.interface import LogFrame, LogStream

_PIECE: Final = 1 << 14
_BATCH: Final = 256


class MemoryLog:
    """One container's log; ``most`` entries are kept, as a rotation keeps them.

    With a terminal there is one stream. ``is_deaf``: follows are told of nothing, as after a
    rotation that the engine overlooks; ``is_exact`` is what they say of themselves, ``room`` how
    many bytes are kept in any case. A follow that is more than ``ahead`` entries behind skips some.
    """

    def __init__(self, *, has_terminal: bool) -> None:
        self._has_terminal = has_terminal
        self._open: dict[LogStream, bytes] = {}
        self._times: dict[LogStream, int] = {}
        self.frames: list[LogFrame] = []
        self.dropped = 0
        self.most: int | None = None
        self.readings: set[MemoryReading] = set()
        self.is_exact = True
        self.room: int | None = None
        self.ahead: int | None = None

    def write(self, stream: LogStream, data: bytes, tick: Callable[[], int]) -> None:
        """Log what a process writes: whole lines, and pieces of one longer than 16 KiB."""
        if self._has_terminal:
            stream, data = LogStream.STDOUT, data.replace(b"\n", b"\r\n")
        *lines, rest = (self._open.pop(stream, b"") + data).split(b"\n")
        for line in lines:
            self._add_pieces(stream, line, tick)
            self._add(stream, line[len(line) // _PIECE * _PIECE :] + b"\n", tick)
            self._times.pop(stream, None)
        self._add_pieces(stream, rest, tick)
        self._open[stream] = rest[len(rest) // _PIECE * _PIECE :]

    def end(self, tick: Callable[[], int]) -> None:
        """Log what is left without a newline, and end all follows: the process has ended."""
        for stream, rest in self._open.items():
            if rest:
                self._add(stream, rest, tick)
        self._open.clear()
        self._times.clear()
        for reading in self.readings:
            reading.end()

    def select(self, since: int | None, until: int | None, tail: int | None) -> list[LogFrame]:
        """Return the last ``tail`` entries, of them those of the times between."""
        frames = self.frames if tail is None else self.frames[max(0, len(self.frames) - tail) :]
        return [frame for frame in frames if is_between(frame, since, until)]

    def _add_pieces(self, stream: LogStream, line: bytes, tick: Callable[[], int]) -> None:
        for begin in range(0, len(line) // _PIECE * _PIECE, _PIECE):
            self._add(stream, line[begin : begin + _PIECE], tick)

    def _add(self, stream: LogStream, data: bytes, tick: Callable[[], int]) -> None:
        time = self._times.setdefault(stream, 0) or tick()
        self._times[stream] = time
        frame = LogFrame(time, stream, data)
        self.frames.append(frame)
        if self.most is not None and len(self.frames) > self.most:
            self.dropped += len(self.frames) - self.most
            del self.frames[: -self.most]
        for reading in self.readings:
            reading.put(frame)


class MemoryReading:
    """One open log; see the Engine interface. ``is_deaf``: it gets nothing, and does not notice.

    What is followed is doubled and left out by turns where it is not exact.
    """

    def __init__(
        self,
        frames: Sequence[LogFrame],
        since: int | None,
        until: int | None,
        *,
        follow: bool,
        log: MemoryLog,
    ) -> None:
        self._ready = [*frames]
        self._since = since
        self._until = until
        self._news = asyncio.Event()
        self._has_ended = not follow
        self._error: EngineError | None = None
        self._is_exact, self._log = log.is_exact, log
        self._count = 0
        self.is_deaf = False

    @property
    def is_exact(self) -> bool:
        return self._is_exact

    @property
    def room(self) -> int | None:
        return self._log.room

    def put(self, frame: LogFrame) -> None:
        """Have it read one entry more."""
        if self.is_deaf or self._has_ended or not is_between(frame, self._since, self._until):
            return
        self._count += 1
        self._ready += [frame] * (1 if self._is_exact else self._count % 3)
        if self._log.ahead is not None:
            del self._ready[: -self._log.ahead]
        self._news.set()

    def end(self, error: EngineError | None = None) -> None:
        """End it, in good order or by an error."""
        self._has_ended, self._error = True, error
        self._news.set()

    async def read(self) -> Sequence[LogFrame]:
        while not self._ready and not self._has_ended:
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error
        batch, self._ready = self._ready[:_BATCH], self._ready[_BATCH:]
        return batch


def is_between(frame: LogFrame, since: int | None, until: int | None) -> bool:
    """Tell whether an entry is of the times between, both included."""
    return (since is None or frame.time >= since) and (until is None or frame.time <= until)
