"""A log that is cut anywhere, and read on: no line lost, none doubled, no byte changed."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.client.connection import Connection, Query
from api.client.errors import ClientError, LostError, RefusedError, UnreadableError
from api.client.log_stream import LogEnd, LogLine, LogPlace, LogReader, advance
from api.client.settings import Settings
from api.client.sse import Event, EventParser
from tests.support.command import Clock

LINES = (
    b"one\n",
    b"\xff\xfe\n",
    "größer\n".encode(),
    b"\n",
    b"cut in two\n",
    b"\x1b[31m\r",
    b"end",
)


def spell(number: int, data: bytes, *, is_cut: bool = False) -> bytes:
    text = data.removesuffix(b"\n")
    item: dict[str, object] = {"t": f"2026-01-01T00:00:0{number}Z", "stream": "stdout"}
    item["line"] = text.decode(errors="replace")
    if item["line"].encode() != text:  # type: ignore[attr-defined]
        item["base64"] = b64encode(text).decode()
    if is_cut:
        item["cut"] = True
    elif text == data:
        item["open"] = True
    return f"id: {number}-1\ndata: {json.dumps(item)}\n\n".encode()


def serve(place: LogPlace) -> bytes:
    """Answer as the server does: what follows the place, with comments between, then the end."""
    known = 0 if place.id is None else int(place.id.partition("-")[0]) + 1
    told = [spell(number, line) for number, line in enumerate(LINES)]
    return b":\n\n".join(told[known:]) + b'data: {"end": {"id": "job-1"}}\n\n'


def read(
    place: LogPlace, sent: bytes, pieces: Sequence[int]
) -> tuple[LogPlace, list[LogLine], bool]:
    parser, lines, begin = EventParser(), list[LogLine](), 0
    for end in (*pieces, len(sent)):
        for event in parser.take(sent[begin:end]):
            place, told = advance(place, event)
            if isinstance(told, LogEnd):
                return place, lines, True
            if told is not None:
                lines.append(told)
        begin = max(begin, end)
    return place, lines, False


@given(st.lists(st.integers(0, 900), max_size=8), st.lists(st.integers(0, 900), max_size=4))
def test_no_line_is_lost_or_doubled_wherever_it_is_cut(cuts: list[int], pieces: list[int]) -> None:
    place, lines, has_ended = LogPlace(()), list[LogLine](), False
    for cut in (*cuts, None):
        if has_ended:
            break
        place, more, has_ended = read(place, serve(place)[:cut], sorted(pieces))
        lines += more
    assert has_ended
    assert b"".join(line.data for line in lines) == b"".join(LINES)


def test_a_line_that_is_cut_goes_on_without_a_newline_and_begins_once() -> None:
    place, parser = LogPlace(()), EventParser()
    sent = spell(0, b"long", is_cut=True) + spell(1, b" line\n") + spell(2, b"next\n")
    told = []
    for event in parser.take(sent):
        place, line = advance(place, event)
        assert isinstance(line, LogLine)
        told.append((line.data, line.begins))
    assert told == [(b"long", True), (b" line\n", False), (b"next\n", True)]
    assert place.headers == {"Accept": "text/event-stream", "Last-Event-ID": "2-1"}


def test_what_was_rotated_away_is_told_with_the_line_behind_it_and_the_end() -> None:
    item = {"t": "T", "stream": "stderr", "line": "x", "lost": True}
    _, line = advance(LogPlace(()), Event(json.dumps(item).encode()))
    assert line == LogLine("T", is_error=True, data=b"x\n", follows_gap=True)
    _, end = advance(LogPlace(()), Event(b'{"end": {"id": "a"}, "lost": true}'))
    assert end == LogEnd({"id": "a"}, has_gap=True)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("EngineUnavailable", UnreadableError),
        ("ShuttingDown", LostError),
        ("NoLog", RefusedError),
    ],
)
def test_an_error_in_the_log_is_passing_or_final(reason: str, kind: type[ClientError]) -> None:
    body = {"error": {"code": 502, "reason": reason, "message": "why"}}
    with pytest.raises(kind, match="why") as caught:
        advance(LogPlace(()), Event(json.dumps(body).encode()))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b"<html>", b'{"t": 1, "stream": "stdout", "line": 2}']
)
def test_what_is_no_log_is_refused(data: bytes) -> None:
    with pytest.raises(ClientError, match="DJD_URL"):
        advance(LogPlace(()), Event(data))


def test_an_event_without_an_end_does_not_fill_the_memory() -> None:
    parser, sent = EventParser(), b"x" * (1 << 20)
    for _ in range(16):
        assert not [*parser.take(sent)]
    with pytest.raises(ClientError, match="without an end"):
        [*parser.take(sent)]


class ScriptedConnection(Connection):
    """Yields one stream after the other: bytes, and seconds that pass without any."""

    def __init__(self, streams: Sequence[Sequence[bytes | float]]) -> None:
        self._streams = iter(streams)
        self.places: list[str | None] = []
        self._time = Clock()
        super().__init__(Settings(patience=60), clock=self._time.read, sleep=self._time.sleep)

    @contextmanager
    def open(
        self, path: str, query: Query, headers: Mapping[str, str], *, patience: float
    ) -> Iterator[Iterator[bytes]]:
        """Open the next."""
        assert (path, query, patience) == ("/job/a/log", (), 60)
        self.places.append(headers.get("Last-Event-ID"))
        yield self._play(next(self._streams))

    def _play(self, stream: Sequence[bytes | float]) -> Iterator[bytes]:
        for part in stream:
            if isinstance(part, bytes):
                yield part
            else:
                self._time.sleep(part)


BEAT = (15.0, b":\n\n")
FAILED = b'data: {"error": {"code": 502, "reason": "EngineFailed", "message": "why"}}\n\n'
END = b'data: {"end": {"id": "job-1"}}\n\n'


def test_a_line_that_may_go_on_is_written_when_the_log_ends() -> None:
    begun = spell(1, b"beg").partition(b"\n")[2]
    connection = ScriptedConnection([[spell(0, b"one\n") + begun], [begun + END]])
    lines = [line.data for line in LogReader(connection, "a", ()).read()]
    assert lines == [b"one\n", b"beg"]
    assert connection.places == [None, "0-1"]


@pytest.mark.parametrize(
    "stream", [(), BEAT, (spell(0, b"x\n"), 59.0, FAILED), (*BEAT * 5, FAILED), (*BEAT * 5,)]
)
def test_a_log_that_goes_on_is_followed_over_any_number_of_breaks(
    stream: Sequence[bytes | float],
) -> None:
    """A proxy may cut a quiet log every half minute; an engine may fail now and then."""
    streams = [stream] * (4 if not stream else 40)
    reader = LogReader(ScriptedConnection([*streams, [END]]), "a", ())
    lines = sum(1 for _ in reader.read())
    assert reader.job == {"id": "job-1"}
    assert lines == (40 if len(stream) == 3 else 0)


@pytest.mark.parametrize("before", [(), BEAT])
def test_a_log_that_the_server_never_can_read_is_given_up(before: Sequence[bytes | float]) -> None:
    reader = LogReader(ScriptedConnection([[*before, FAILED]] * 100 + [[END]]), "a", ())
    with pytest.raises(UnreadableError, match=r"why \(EngineFailed\)"):
        [*reader.read()]


def test_an_id_alone_is_a_place_and_no_line() -> None:
    events = list(EventParser().take(b":\n\nid: 7-0-0\n\ndata: {}\n\n"))
    assert events == [Event(None), Event(None, "7-0-0"), Event(b"{}")]
    place, told = advance(LogPlace(()), events[1])
    assert (place.id, told) == ("7-0-0", None)
    assert advance(place, events[0]) == (place, None)
