"""A hand-over is timed from hearing of an end to the start that takes the slot, and no longer."""

import pytest

from controller.handover import HandoverStopwatch


@pytest.fixture
def stopwatch() -> HandoverStopwatch:
    return HandoverStopwatch()


def test_runs_from_the_end_that_was_heard(stopwatch: HandoverStopwatch) -> None:
    stopwatch.note_end("a", 10.0)
    stopwatch.free("a", 12.0, counts=True)
    assert stopwatch.fill(1, 13.0) == [3.0]


def test_runs_from_now_if_no_end_was_heard(stopwatch: HandoverStopwatch) -> None:
    stopwatch.note_end("a", 10.0)
    stopwatch.forget("a")
    stopwatch.free("a", 12.0, counts=True)
    assert stopwatch.fill(1, 13.0) == [1.0]


def test_the_slot_that_was_free_the_longest_is_filled_first(stopwatch: HandoverStopwatch) -> None:
    for number in range(3):
        stopwatch.free(f"j{number}", float(number), counts=True)
    assert stopwatch.fill(2, 10.0) == [10.0, 9.0]
    assert stopwatch.fill(5, 11.0) == [9.0]


def test_a_slot_that_no_job_wants_is_not_timed(stopwatch: HandoverStopwatch) -> None:
    stopwatch.free("a", 1.0, counts=True)
    assert stopwatch.fill(0, 2.0) == []
    assert stopwatch.fill(1, 100.0) == []


def test_a_slot_that_does_not_count_is_not_timed(stopwatch: HandoverStopwatch) -> None:
    stopwatch.free("a", 1.0, counts=False)
    assert stopwatch.fill(1, 2.0) == []
