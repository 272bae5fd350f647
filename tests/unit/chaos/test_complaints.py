"""What the suite takes for a fault of the process in its log, and what it lets pass."""

import json

from tests.chaos.complaints import find_complaints, find_losses
from tests.chaos.history import Entry
from tests.chaos.story import SECOND


def line(level: str, event: str) -> str:
    return json.dumps({"level": level, "event": event})


def test_an_error_and_a_traceback_are_complaints() -> None:
    error = line("error", "a pass failed")
    stray = "Task exception was never retrieved\nTraceback (most recent call last):\nValueError: 1"
    log = "\n".join([line("info", "serving"), stray, line("warning", "slow"), error])
    assert list(find_complaints(log)) == [stray, error]


def test_a_traceback_at_the_very_end_is_one() -> None:
    assert list(find_complaints(line("info", "serving") + "\nKilled\n")) == ["Killed"]


def test_warnings_and_lines_that_a_kill_cut_short_are_none() -> None:
    log = "\n".join([line("warning", "start not done"), '{"level": "err', line("info", "serving")])
    assert list(find_complaints(log)) == []


def test_a_job_given_up_is_told_with_the_time_at_which_it_was() -> None:
    told = {"event": "job lost: it was removed before it ran", "job": "aa", "id": "1"}
    told |= {"level": "warning", "timestamp": "1970-01-01T00:00:02.500000Z"}
    losses = list(find_losses("\n".join([line("info", "serving"), json.dumps(told), '{"eve'])))
    assert losses == [Entry(5 * SECOND // 2, "lost", {"id": "1", "name": "aa"})]
