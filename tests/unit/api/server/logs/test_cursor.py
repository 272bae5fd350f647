"""Another reading of a log goes on behind the last entry, wherever it begins."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from api.engine.interface import LogFrame, LogStream
from api.server.logs.cursor import Cursor

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
MILLISECOND = 1_000_000


def build(steps: list[tuple[LogStream, int, int, bytes]]) -> list[LogFrame]:
    """Return a log: lines of two streams, long ones in pieces between which the other writes."""
    frames: list[LogFrame] = []
    times = {OUT: 1, ERR: 1}
    clock = 10
    unfinished: set[LogStream] = set()
    for stream, step, late, data in steps:
        clock += step
        if stream not in unfinished:
            # where both are written at once, one may be behind
            times[stream] = max(times[stream], clock - late)
        frames.append(LogFrame(times[stream], stream, data))
        (unfinished.discard if data.endswith(b"\n") else unfinished.add)(stream)
    return frames


logs = st.lists(
    st.tuples(
        st.sampled_from([OUT, OUT, ERR]),
        st.sampled_from([0, 0, 1, MILLISECOND, 1000 * MILLISECOND]),
        st.sampled_from([0, 0, 5]),
        st.sampled_from([b"x", b"x\n", b"y\n"]),
    ),
    min_size=1,
    max_size=40,
).map(build)


@given(logs, st.integers(0, 1000), st.integers(1, 8))
def test_what_is_read_again_is_left_out_and_nothing_else(
    frames: list[LogFrame], place: int, size: int
) -> None:
    place = 1 + place % len(frames)
    cursor = Cursor()
    assert cursor.is_at_start
    cursor.note(frames[:place])
    for begin, frame in enumerate(frames):
        if begin and not cursor.is_before(frame):
            continue
        assert begin < place
        overlap, found = cursor.begin(), list[LogFrame]()
        rest = frames[begin:]
        for number in range(0, len(rest), size):
            found += overlap.take_new(rest[number : number + size])
        assert found == frames[place:]
        assert not overlap.has_gap


@given(logs, st.integers(0, 40))
def test_a_tail_long_enough_is_asked_for_soon(frames: list[LogFrame], new: int) -> None:
    cursor = Cursor()
    cursor.note(frames)
    log = frames + [LogFrame(10**15 + number, OUT, b"new\n") for number in range(new)]
    for attempt in count():
        tail = cursor.choose_tail(attempt)
        first = log[max(0, len(log) - (tail or len(log)))]
        if tail is None or first is log[0] or cursor.is_before(first):
            break
    assert attempt <= 2


def test_where_the_last_entry_was_rotated_away_all_that_is_left_is_new() -> None:
    cursor = Cursor()
    cursor.note([LogFrame(5, OUT, b"a\n"), LogFrame(7, ERR, b"b\n"), LogFrame(6, OUT, b"c\n")])
    left = [LogFrame(8, ERR, b"d\n"), LogFrame(8, OUT, b"e\n")]
    overlap = cursor.begin()
    assert overlap.take_new(left) == left
    assert overlap.has_gap


def test_lines_of_one_time_are_counted() -> None:
    line = LogFrame(5, OUT, b"a\n")
    cursor = Cursor()
    cursor.note([LogFrame(1, OUT, b"\n"), line, line])
    assert not cursor.is_before(line)
    assert cursor.is_before(LogFrame(1, OUT, b"\n"))
    assert cursor.begin().take_new([line, line, line]) == [line]


def test_a_clock_that_was_set_back_hides_nothing() -> None:
    frames = [LogFrame(time, OUT, b"x\n") for time in (9_000, 9_001, 5, 6, 7)]
    cursor = Cursor()
    cursor.note(frames[:3])
    assert cursor.begin().take_new(frames) == frames[3:]
    assert cursor.begin().take_new(frames[2:]) == frames[3:]


def test_long_lines_are_asked_for_from_their_first_piece() -> None:
    cursor = Cursor()
    cursor.note([LogFrame(5, OUT, b"x")] * 700)
    tail = cursor.choose_tail(0)
    assert tail is not None
    assert tail > 700
    assert cursor.choose_tail(0, expected=10) == tail + 10
    assert cursor.choose_tail(20) is None
