"""Log lines: one each, whole, safe to show, and no louder than asked for."""

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from api.runtime import logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_where_no_terminal_is_attached_and_for_people_where_one_is() -> None:
    for stream, style, is_json in (
        (io.StringIO(), "auto", True),
        (Terminal(), "auto", False),
        (Terminal(), "json", True),
        (io.StringIO(), "console", False),
    ):
        logs.configure("info", style, stream)
        structlog.get_logger().info("starting", job="a", cause="slot free")
        text = stream.getvalue()
        assert text.startswith("{") == is_json
        assert "starting" in text
        assert "slot free" in text


def test_a_line_has_time_level_event_and_fields() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().warning("not done", job="a", attempt=2)
    (line,) = read(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "not done",
        "level": "warning",
        "job": "a",
        "attempt": 2,
        "request_id": "r1",
    }


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2Jb", "a\rb", "a\x00b", "a\x9bb", "a\x7fb"])
def test_what_a_client_sent_cannot_end_a_line_or_steer_a_terminal(style: str, text: str) -> None:
    stream = io.StringIO()
    logs.configure("info", style, stream)
    structlog.get_logger().info("request", path=text, more=[text], other={"key": text})
    shown = stream.getvalue()
    assert shown.count("\n") == 1
    assert not {"\x1b", "\r", "\x00", "\x9b", "\x7f"} & set(shown)
    assert f"\\x{ord(text[1]):02x}" in shown


def test_a_long_text_is_cut() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger().info("request", cause="x" * 100_000)
    (line,) = read(stream)
    assert len(line["cause"]) < 3000
    assert line["cause"].endswith("…")


def test_an_exception_is_one_line_with_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    try:
        int("why")
    except ValueError:
        structlog.get_logger().exception("a pass failed")
    (line,) = read(stream)
    assert line["level"] == "error"
    assert "test_logs.py" in line["exception"]
    assert "ValueError: invalid literal" in line["exception"]


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("error", ["error"]),
        ("warn", ["warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("debug", ["debug", "info", "warning", "error"]),
        ("trace", ["debug", "info", "warning", "error"]),
    ],
)
def test_a_level_hides_what_is_less(level: str, seen: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(level, "json", stream)
    for method in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), method)("event")
    assert [line["level"] for line in read(stream)] == seen


def test_a_library_is_heard_from_warnings_on_and_in_full_at_trace() -> None:
    for level, seen in (("debug", ["warning"]), ("trace", ["debug", "warning"])):
        stream = io.StringIO()
        logs.configure(level, "json", stream)
        logging.getLogger("some.library").debug("detail\x1b")
        logging.getLogger("some.library").warning("trouble")
        assert [line["level"] for line in read(stream)] == seen
        assert "\x1b" not in stream.getvalue()


def test_a_warning_of_a_library_passes_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio tells of every connection that it cannot accept, a hundred times a second."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    library = logging.getLogger("asyncio")
    for number in range(100):
        text = f"out of files\nsocket: <{number}>"
        library.error(text)
    library.error("another")
    assert [line["event"].partition("\\")[0] for line in read(stream)] == [
        "out of files",
        "another",
    ]
    now += 1.1
    library.error("out of files\nsocket: <x>")
    assert len(read(stream)) == 3
    structlog.get_logger().warning("ours")
    structlog.get_logger().warning("ours")
    assert len(read(stream)) == 5
