"""Writes a log down: raw bytes, or lines as JSON or as server-sent events. No I/O."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from api.engine.interface import LogFrame, LogStream
from api.server.logs.lines import Line, LineJoiner
from api.server.logs.query import LogForm, LogQuery
from api.server.logs.resume import ResumePoint
from api.v1.times import format_time

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class Writer(Protocol):
    """One of the three forms. ``is_torn``: lines of its own may be missing."""

    is_torn: bool

    def begin(self, moment: int) -> bytes:
        """Return the place of who has no line yet; all entries to come are of ``moment`` or later.

        There is none after a first line, nor where a log was asked for from its begin.
        """
        ...

    def write(self, frames: Sequence[LogFrame], *, has_gap: bool = False) -> bytes:
        """Return the text of entries; ``has_gap``: others may be missing before them."""
        ...

    def finish(self, *, is_over: bool) -> bytes:
        """Return the text of what was held back; ``is_over``: nothing will be added to it."""
        ...

    def write_last(self, body: Mapping[str, object]) -> bytes:
        """Return the text of the last item: ``{"end": Job}`` or ``{"error": …}``, and ``lost``."""
        ...


class RawWriter:
    """The bytes of all streams as they come; with ``timestamps``, a time before each line."""

    def __init__(self, query: LogQuery) -> None:
        self.is_torn = False
        self._timestamps = query.timestamps
        self._unfinished: set[LogStream] = set()

    def begin(self, moment: int) -> bytes:
        """Return nothing: a place cannot be told among bytes."""
        del moment
        return b""

    def write(self, frames: Sequence[LogFrame], *, has_gap: bool = False) -> bytes:
        """Return the bytes of entries: a gap cannot be told among them."""
        del has_gap
        if not self._timestamps:
            return b"".join([frame.data for frame in frames])
        return b"".join(part for frame in frames for part in self._stamp(frame))

    def finish(self, *, is_over: bool) -> bytes:
        """Return nothing: nothing is held back."""
        del is_over
        return b""

    def write_last(self, body: Mapping[str, object]) -> bytes:
        """Return nothing: a last item would be taken for output."""
        del body
        return b""

    def _stamp(self, frame: LogFrame) -> Iterator[bytes]:
        if frame.stream not in self._unfinished:
            yield f"{format_time(frame.time)} ".encode()
        yield frame.data
        if frame.data.endswith(b"\n"):
            self._unfinished.discard(frame.stream)
        else:
            self._unfinished.add(frame.stream)


class LineWriter:
    """Lines as ``{"t", "stream", "line"}``.

    What is no UTF-8 has its bytes in ``base64`` beside it; a line without a newline is ``open``.

    As ``is_events`` each is an event, whose id a browser names when it comes again
    (``Last-Event-ID``): the first ``query.skip`` lines are those that it has. A line before which
    others may be missing says ``lost``. A line that may go on has no id: whoever comes again is
    told it anew, whole.
    """

    def __init__(self, query: LogQuery, *, is_events: bool) -> None:
        self._joiner = LineJoiner()
        is_tail = query.tail is not None
        self._point = ResumePoint(query.since or 0, is_tail=is_tail) if is_events else None
        self._skip = query.skip
        self._skip_until = query.skip_until
        self._has_gap = self.is_torn = False

    def begin(self, moment: int) -> bytes:
        """Return an id without an event: who asks for a tail again would miss what came since."""
        if self._point is None or not self._point.is_tail:
            return b""
        oldest = self._joiner.oldest
        self._point = ResumePoint(moment if oldest is None else min(moment, oldest))
        return f"id: {self._point.text}\n\n".encode()

    def write(self, frames: Sequence[LogFrame], *, has_gap: bool = False) -> bytes:
        """Return the lines that entries complete."""
        before = self.finish(is_over=True) if has_gap else b""
        self._has_gap |= has_gap
        return before + b"".join(map(self._write_line, self._joiner.take(frames)))

    def finish(self, *, is_over: bool) -> bytes:
        """Return lines without a newline."""
        lines = self._joiner.finish()
        return b"".join(self._write_line(line, may_go_on=not is_over) for line in lines)

    def write_last(self, body: Mapping[str, object]) -> bytes:
        """Return the last item."""
        text = _encode(body)
        return (f"{text}\n" if self._point is None else f"data: {text}\n\n").encode()

    def _write_line(self, line: Line, *, may_go_on: bool = False) -> bytes:
        if self._point is not None and not may_go_on:
            self._point.note(line.time, self._joiner.oldest)
        if self._skip and line.time <= self._skip_until:
            self._skip -= 1
            return b""
        # what the reader has is not all there any more, nor perhaps what followed
        self._has_gap |= bool(self._skip)
        self._skip = 0
        item: dict[str, object] = {"t": format_time(line.time), "stream": line.stream}
        try:
            item["line"] = line.data.decode()
        except UnicodeDecodeError:
            item["line"] = line.data.decode(errors="replace")
            item["base64"] = b64encode(line.data).decode()
        if line.is_cut:
            item["cut"] = True
        if line.is_open:
            item["open"] = True
        if self._has_gap:
            item["lost"] = self.is_torn = True
            self._has_gap = False
        text = _encode(item)
        if self._point is None:
            return f"{text}\n".encode()
        if may_go_on:
            return f"data: {text}\n\n".encode()
        return f"id: {self._point.text}\ndata: {text}\n\n".encode()


def make_writer(form: LogForm, query: LogQuery) -> Writer:
    """Return what writes a log in ``form``."""
    if form is LogForm.TEXT:
        return RawWriter(query)
    return LineWriter(query, is_events=form is LogForm.EVENTS)
