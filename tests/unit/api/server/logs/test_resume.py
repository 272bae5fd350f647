"""Whoever comes again with the last event's id gets the lines after it: none twice, none lost."""

from hypothesis import given

from api.engine.interface import LogFrame
from api.server.logs.lines import Line, LineJoiner
from api.server.logs.resume import Resumed, ResumePoint, read_point
from tests.unit.api.server.logs.test_cursor import logs


@given(logs)
def test_the_rest_of_the_lines_follows_from_every_point(frames: list[LogFrame]) -> None:
    joiner, point = LineJoiner(), ResumePoint()
    lines: list[Line] = []
    points: list[str] = []
    for frame in frames:
        for line in joiner.take([frame]):
            point.note(line.time, joiner.oldest)
            lines.append(line)
            points.append(point.text)
    lines += joiner.finish()
    for number, text in enumerate(points):
        found = read_point(text)
        assert found is not None
        again = LineJoiner()
        rest = [*again.take([f for f in frames if f.time >= found.since]), *again.finish()]
        assert rest[found.count :] == lines[number + 1 :]
        assert all(line.time <= found.last for line in rest[: found.count])


def test_only_our_own_points_are_read() -> None:
    assert read_point("1700000000000000000-3-9") == Resumed(1_700_000_000_000_000_000, 3, 9)
    odd = (None, "", "1-1", "1-1-", "-1-1", "a-1-1", "1-1-1\n", "\u0661-1-1", "9" * 30 + "-1-1")
    for text in odd:
        assert read_point(text) is None


def test_many_lines_of_one_moment_cost_bounded_memory() -> None:
    point = ResumePoint()
    for number in range(10_000):
        point.note(1_000_000_000 + number, None)
    assert point.text == f"{1_000_000_000 + 10_000 - 4096}-4096-{1_000_000_000 + 9_999}"


def test_many_lines_beside_one_that_is_not_whole_leave_its_begin_ahead() -> None:
    begin, point = 1_000_000_000, ResumePoint()
    for number in range(10_000):
        point.note(begin + 1 + number, begin)
    found = read_point(point.text)
    assert found is not None
    assert (found.since <= begin, found.count) == (True, 10_000)
    for number in range(10_000, 100_000):
        point.note(begin + 1 + number, begin)
    assert point.text.split("-")[1] == str(1 << 16)
