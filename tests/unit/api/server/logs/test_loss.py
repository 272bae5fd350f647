"""A log that may have lost its beginning is told from one that is whole."""

from api.engine.interface import LogFrame, LogStream
from api.server.logs.loss import Beginning, measure


def make(time: int, data: bytes) -> LogFrame:
    return LogFrame(time, LogStream.STDOUT, data)


def test_a_log_of_less_than_is_kept_in_any_case_is_whole() -> None:
    line = b"x" * 100 + b"\n"
    frames = [make(time, line) for time in range(10)]
    assert not Beginning(10 * measure(line) + 1, 10).note(frames)
    assert not Beginning(None, 10).note(frames)
    beginning = Beginning(10 * measure(line), 10)
    assert [beginning.note([frame]) for frame in frames] == [False] * 9 + [True]
    assert not beginning.note(frames), "it is told once"


def test_what_was_written_after_it_was_opened_counts_no_more() -> None:
    line = b"x" * 1000 + b"\n"
    beginning = Beginning(5000, 3)
    assert not beginning.note([make(3, line), make(4, line)])
    assert not beginning.note([make(3, line)] * 100)


def test_an_entry_is_measured_as_the_driver_writes_it_at_most() -> None:
    for data, shown in (
        (b"plain text\n", rb"plain text\n"),
        (b'<a href="x&y">\\\n', rb"\u003ca href=\"x\u0026y\"\u003e\\\n"),
        (b"\x1b[31mred\x1b[0m\r\n", rb"\u001b[31mred\u001b[0m\r\n"),
    ):
        time = b"2026-01-02T03:04:05.123456789Z"
        entry = b'{"log":"' + shown + b'","stream":"stdout","time":"' + time + b'"}\n'
        assert len(entry) <= measure(data) <= len(entry) + 80
