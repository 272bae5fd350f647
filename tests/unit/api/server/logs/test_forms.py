"""A line that may go on is told anew to whoever comes again; one that may not has its place."""

import json
from dataclasses import replace

from api.engine.interface import LogFrame, LogStream
from api.server.logs.forms import make_writer
from api.server.logs.query import LogForm, LogQuery
from api.server.logs.resume import read_point

OUT = LogStream.STDOUT
AT = 1_700_000_000_000_000_000
PIECE = b"x" * 16_384


def tell(frames: list[LogFrame], place: str | None, *, is_over: bool) -> list[tuple[str, str]]:
    """Return the id and the line of each event from a place on."""
    point, query = read_point(place), LogQuery()
    if point is not None:
        query = replace(query, since=point.since, skip=point.count, skip_until=point.last)
    writer = make_writer(LogForm.EVENTS, query)
    text = writer.write([f for f in frames if f.time >= (query.since or 0)])
    events = []
    for part in (text + writer.finish(is_over=is_over)).decode().split("\n\n")[:-1]:
        head, _, data = part.rpartition("data: ")
        events.append((head.removeprefix("id: ").strip(), json.loads(data)["line"]))
    return events


def test_the_rest_of_a_line_that_was_read_while_it_was_written_is_told() -> None:
    frames = [LogFrame(AT, OUT, b"one\n"), LogFrame(AT + 5, OUT, PIECE)]
    (place, first), (nothing, begun) = tell(frames, None, is_over=False)
    assert (first, begun, nothing) == ("one", PIECE.decode(), "")
    frames.append(LogFrame(AT + 5, OUT, b"end\n"))
    [(_, whole)] = tell(frames, place, is_over=False)
    assert whole == PIECE.decode() + "end"


def test_who_has_no_line_of_a_tail_yet_is_told_since_when_all_is_new() -> None:
    writer = make_writer(LogForm.EVENTS, LogQuery(tail=0))
    assert writer.begin(AT) == f"id: {AT}-0-0\n\n".encode()
    assert writer.begin(AT + 1) == b""
    [frame] = frames = [LogFrame(AT + 5, OUT, b"one\n")]
    assert writer.write(frames).startswith(f"id: {AT}-1-{AT + 5}\n".encode())
    assert [line for _, line in tell(frames, f"{AT}-0-0", is_over=False)] == ["one"]
    begun = make_writer(LogForm.EVENTS, LogQuery(tail=1))
    assert begun.write([replace(frame, data=b"not whole yet")]) == b""
    assert begun.begin(AT + 9) == f"id: {AT + 5}-0-0\n\n".encode()
    for query, form in (
        (LogQuery(), LogForm.EVENTS),
        (LogQuery(tail=0), LogForm.LINES),
        (LogQuery(tail=0), LogForm.TEXT),
    ):
        assert make_writer(form, query).begin(AT) == b""
    told = make_writer(LogForm.EVENTS, LogQuery(tail=1))
    assert told.write(frames)
    assert told.begin(AT + 9) == b""


def test_a_line_without_a_newline_that_is_over_is_told_once() -> None:
    frames = [LogFrame(AT, OUT, b"one\n"), LogFrame(AT + 5, OUT, b"end")]
    *_, (place, _) = tell(frames, None, is_over=True)
    assert tell(frames, place, is_over=True) == []
