"""Entries are joined into the lines that were written, and a line too long says that it is cut."""

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from api.engine.interface import LogFrame, LogStream
from api.server.logs.lines import LONGEST, Line, LineJoiner

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
PIECE = 1 << 14


def cut(time: int, stream: LogStream, line: bytes) -> list[LogFrame]:
    """Return a line as the engine logs it."""
    whole = len(line) // PIECE * PIECE
    pieces = [line[begin : begin + PIECE] for begin in range(0, whole, PIECE)]
    return [LogFrame(time, stream, piece) for piece in (*pieces, line[whole:] + b"\n")]


def join(frames: list[LogFrame]) -> list[Line]:
    joiner = LineJoiner()
    return [*joiner.take(frames), *joiner.finish()]


sizes = st.integers(0, 30) | st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 10 << 20])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(LogStream), sizes), max_size=6), st.randoms())
def test_lines_are_as_they_were_written(lines: list[tuple[LogStream, int]], random: object) -> None:
    written = {
        stream: [
            (time, bytes([97 + time]) * size)
            for time, (of, size) in enumerate(lines)
            if of is stream
        ]
        for stream in LogStream
    }
    queues = {
        stream: [frame for time, line in written[stream] for frame in cut(time, stream, line)]
        for stream in LogStream
    }
    frames = []
    while any(queues.values()):
        stream = random.choice([s for s in LogStream if queues[s]])  # type: ignore[attr-defined]
        frames.append(queues[stream].pop(0))
    joined = join(frames)
    for stream in LogStream:
        mine = [line for line in joined if line.stream is stream]
        whole = [
            (t, b"".join(p.data for p in parts)) for t, parts in groupby(mine, lambda x: x.time)
        ]
        assert whole == written[stream]
        for _, parts in groupby(mine, key=lambda line: line.time):
            *begun, last = parts
            assert all(part.is_cut and len(part.data) == LONGEST for part in begun)
            assert not last.is_cut
            assert len(last.data) <= LONGEST


def test_a_line_is_not_cut_within_a_character() -> None:
    line = b"x" + "ä".encode() * (LONGEST // 2 + 9)
    first, last = join(cut(1, OUT, line))
    assert first.is_cut
    assert len(first.data) == LONGEST - 1
    assert first.data.decode() + last.data.decode() == line.decode()


def test_what_is_no_text_is_cut_all_the_same() -> None:
    line = b"\x80" * (LONGEST + 5)
    assert [len(part.data) for part in join(cut(1, OUT, line))] == [LONGEST, 5]


def test_a_line_of_exactly_the_longest_is_whole() -> None:
    [line] = join(cut(1, OUT, b"x" * LONGEST))
    assert not line.is_cut


def test_what_a_run_left_without_a_newline_is_a_line_before_the_next_run() -> None:
    frames = [LogFrame(1, OUT, b"left"), LogFrame(2, ERR, b"e\n"), LogFrame(3, OUT, b"again\n")]
    assert [line.data for line in join(frames)] == [b"e", b"left", b"again"]


def test_the_oldest_line_that_goes_on_is_known() -> None:
    joiner = LineJoiner()
    frames = [LogFrame(1, OUT, b"x" * PIECE), LogFrame(2, ERR, b"e\n"), LogFrame(1, OUT, b"\n")]
    seen = [(len([*joiner.take([frame])]), joiner.oldest) for frame in frames]
    assert seen == [(0, 1), (1, 1), (1, None)]
