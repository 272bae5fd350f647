"""What happened to jobs is counted once each, whatever is lost, repeated or late."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.engine.interface import Event, EventKind
from api.server.jobs.counter import JobCounter
from api.v1.job import Job, Status
from tests.support.jobs import make_job

CREATED = make_job("1", Status.CREATED, id="job", detailed=True)
RUNNING = replace(CREATED, status=Status.RUNNING, started=True, started_at=10)


def exited(code: int, *, restarts: int = 0, started_at: int = 10) -> Job:
    return replace(
        RUNNING,
        status=Status.EXITED,
        started_at=started_at,
        finished_at=started_at + 5,
        exit_code=code,
        restarts=restarts,
    )


def event(kind: EventKind, time: int, code: int | None = None) -> Event:
    return Event(kind, "1", time, code, is_job=True)


class Book:
    """A counter and what it has counted."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.time = 0.0
        self.losses = 0
        self.counter = JobCounter(self._count, self._lose, clock=lambda: self.time)
        self._last: Job | None = None

    def _count(self, action: str, status: str) -> None:
        self.counts[action, status] += 1

    def _lose(self) -> None:
        self.losses += 1

    def see(self, new: Job | None) -> None:
        self.counter.on_change(self._last, new)
        self._last = new

    @property
    def running(self) -> int:
        starts = sum(n for (action, _), n in self.counts.items() if action == "start")
        return starts - sum(n for (action, _), n in self.counts.items() if action == "die")


def test_a_run_on_a_node_that_was_lost_has_ended_however_it_did() -> None:
    book = Book()
    waits = replace(CREATED, rerun=1, lost=True)
    again = replace(RUNNING, started_at=20, rerun=1)
    for seen in (CREATED, replace(CREATED, status=Status.STARTING), RUNNING, waits, again):
        book.see(seen)
    assert book.running == 1
    book.see(replace(again, status=Status.EXITED, lost=True, finished_at=30))
    assert book.counts == {("create", ""): 1, ("start", ""): 2, ("die", "unknown"): 2}


def test_a_run_after_a_lost_one_counts_although_nobody_saw_it_wait() -> None:
    book = Book()
    for seen in (CREATED, RUNNING, replace(RUNNING, started_at=20, rerun=1)):
        book.see(seen)
    assert book.counts == {("create", ""): 1, ("start", ""): 2, ("die", "unknown"): 1}


def test_a_life_seen_in_every_state() -> None:
    book = Book()
    for state in (CREATED, RUNNING, exited(3), None):
        book.see(state)
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "3"): 1}


def test_a_life_seen_at_its_end_only() -> None:
    book = Book()
    book.see(exited(0))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "0"): 1}


def test_events_that_come_twice_or_late_change_nothing() -> None:
    book = Book()
    for _ in range(2):
        book.counter.on_event(event(EventKind.CREATED, 1))
    book.see(CREATED)
    book.counter.on_event(event(EventKind.STARTED, 10))
    book.see(exited(0))
    for _ in range(2):
        book.counter.on_event(event(EventKind.STARTED, 10))
        book.counter.on_event(event(EventKind.ENDED, 15, 0))
    book.see(None)
    book.counter.on_event(event(EventKind.REMOVED, 20))
    book.counter.on_event(event(EventKind.ENDED, 15, 0))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "0"): 1}


def test_a_job_gone_before_anybody_looked_is_known_from_its_events() -> None:
    book = Book()
    for heard in (
        event(EventKind.CREATED, 1),
        event(EventKind.STARTED, 2),
        event(EventKind.ENDED, 3, 7),
        event(EventKind.REMOVED, 4),
    ):
        book.counter.on_event(heard)
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "7"): 1}


def test_the_last_moments_of_a_job_from_before_are_not_counted() -> None:
    """The stream begins with a second of the past."""
    book = Book()
    for heard in (event(EventKind.ENDED, 3, 7), event(EventKind.REMOVED, 4)):
        book.counter.on_event(heard)
    assert not book.counts


def test_a_list_that_shows_a_second_run_counts_the_first_as_heard() -> None:
    book = Book()
    for heard in (
        event(EventKind.CREATED, 1),
        event(EventKind.STARTED, 2),
        event(EventKind.ENDED, 3, 7),
        event(EventKind.STARTED, 4),
    ):
        book.counter.on_event(heard)
    book.see(replace(RUNNING, detailed=False, started_at=None))
    expected = {("create", ""): 1, ("start", ""): 2, ("die", "7"): 1}
    assert (book.counts, book.running) == (expected, 1)


def test_the_codes_of_restarted_runs_come_from_events() -> None:
    book = Book()
    book.see(RUNNING)
    book.counter.on_event(event(EventKind.ENDED, 11, 1))
    book.see(replace(RUNNING, restarts=1, started_at=20))
    book.counter.on_event(event(EventKind.ENDED, 21, 2))
    book.see(exited(2, restarts=1, started_at=20))
    expected = {("create", ""): 1, ("start", ""): 2, ("die", "1"): 1, ("die", "2"): 1}
    assert book.counts == expected


def test_a_restart_that_no_event_reported_died_of_something_unknown() -> None:
    book = Book()
    book.see(RUNNING)
    book.see(exited(3, restarts=2, started_at=30))
    expected = {("create", ""): 1, ("start", ""): 3, ("die", "unknown"): 2, ("die", "3"): 1}
    assert book.counts == expected


def test_a_job_between_two_runs_has_as_many_starts_as_ends() -> None:
    """The engine counts the next run before it begins."""
    book = Book()
    book.see(RUNNING)
    for restarts, at in ((1, 10), (2, 20)):
        book.counter.on_event(event(EventKind.ENDED, at + 5, restarts))
        book.see(replace(exited(restarts, restarts=restarts), status=Status.RESTARTING))
        assert (book.counts["start", ""], book.running) == (restarts, 0)
        running = replace(RUNNING, restarts=restarts, started_at=at + 10)
        book.see(running)
        assert (book.counts["start", ""], book.running) == (restarts + 1, 1)
    book.see(exited(3, restarts=2, started_at=30))
    dies = {("die", "1"): 1, ("die", "2"): 1, ("die", "3"): 1}
    assert book.counts == {("create", ""): 1, ("start", ""): 3, **dies}


def test_a_reboot_between_two_runs_counts_as_a_start() -> None:
    book = Book()
    book.see(replace(exited(1, restarts=1), status=Status.RESTARTING))
    book.see(replace(RUNNING, restarts=0, started_at=99))
    assert (book.counts["start", ""], book.running) == (2, 1)


@pytest.mark.parametrize("code", [126, 127, 128, 137])
def test_a_failed_attempt_at_a_start_is_neither_a_start_nor_an_end(code: int) -> None:
    book = Book()
    book.see(CREATED)
    for time in (2, 3, 4):
        book.counter.on_event(event(EventKind.ENDED, time, code))
    book.see(None)
    assert book.counts == {("create", ""): 1}


@pytest.mark.parametrize("code", [126, 127, 128, 137])
def test_a_job_that_runs_after_failed_attempts_has_run_once(code: int) -> None:
    book = Book()
    book.see(CREATED)
    for time in (2, 3):
        book.counter.on_event(event(EventKind.ENDED, time, code))
    book.counter.on_event(event(EventKind.STARTED, 4))
    book.counter.on_event(event(EventKind.ENDED, 5, 0))
    book.see(exited(0))
    book.counter.on_event(event(EventKind.REMOVED, 6))
    book.see(None)
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "0"): 1}


def test_the_state_tells_the_code_of_an_end_that_failed_attempts_came_before() -> None:
    book = Book()
    book.see(CREATED)
    book.counter.on_event(event(EventKind.ENDED, 2, 128))
    book.counter.on_event(event(EventKind.ENDED, 3, 1))
    book.see(exited(0))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "0"): 1}


def test_a_pending_job_that_a_list_shows_going_has_not_run() -> None:
    book = Book()
    book.see(CREATED)
    book.see(replace(CREATED, status=Status.REMOVING, detailed=False))
    book.see(None)
    assert book.counts == {("create", ""): 1}


def test_a_job_that_goes_slowly_before_it_ran_is_lost_once() -> None:
    book = Book()
    book.see(CREATED)
    book.see(replace(CREATED, status=Status.REMOVING))
    book.see(replace(CREATED, status=Status.DEAD, error="device or resource busy"))
    assert (book.losses, book.counter.has_lost(CREATED.id)) == (1, True)
    book.see(None)
    assert (book.losses, book.counter.has_lost(CREATED.id)) == (1, True)
    assert book.counts == {("create", ""): 1}


def test_an_end_is_told_by_its_event_where_a_list_shows_the_job_going() -> None:
    book = Book()
    book.see(RUNNING)
    book.see(replace(RUNNING, status=Status.REMOVING, detailed=False))
    book.counter.on_event(event(EventKind.ENDED, 15, 4))
    book.see(None)
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "4"): 1}


def test_a_start_by_a_rebooted_engine_counts_though_it_resets_the_restart_count() -> None:
    book = Book()
    book.see(replace(RUNNING, restarts=2))
    book.see(replace(RUNNING, restarts=0, started_at=99))
    assert book.counts["start", ""] == 4
    assert book.running == 1


def test_a_running_job_that_vanishes_does_not_run_any_more() -> None:
    book = Book()
    book.see(RUNNING)
    book.see(None)
    book.counter.on_event(event(EventKind.REMOVED, 20))
    assert book.counts["die", "unknown"] == 1
    assert book.running == 0


def test_what_a_repeated_stream_tells_of_a_job_that_is_gone_counts() -> None:
    """After a break the list can be faster than the events that the break has swallowed."""
    for seen in (CREATED, RUNNING):
        book = Book()
        book.see(seen)
        book.see(None)
        book.counter.on_resync()
        for heard in (
            event(EventKind.STARTED, 10),
            event(EventKind.ENDED, 15, 7),
            event(EventKind.REMOVED, 20),
        ):
            book.counter.on_event(heard)
        assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "7"): 1}


def test_the_end_of_a_second_run_that_only_events_tell_is_waited_for() -> None:
    book = Book()
    book.see(RUNNING)
    for heard in (
        event(EventKind.STARTED, 10),
        event(EventKind.ENDED, 15, 1),
        event(EventKind.STARTED, 20),
    ):
        book.counter.on_event(heard)
    book.see(None)
    for heard in (event(EventKind.ENDED, 25, 0), event(EventKind.REMOVED, 30)):
        book.counter.on_event(heard)
    assert book.counts == {("create", ""): 1, ("start", ""): 2, ("die", "1"): 1, ("die", "0"): 1}


def test_events_that_never_come_are_not_waited_for_for_ever() -> None:
    book = Book()
    book.see(RUNNING)
    book.see(None)
    book.counter.on_resync()
    assert book.running == 1
    book.time = 31.0
    for _ in range(2):
        book.counter.on_resync()
    book.counter.on_event(event(EventKind.ENDED, 15, 7))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "unknown"): 1}


def test_an_old_list_between_detailed_looks_counts_nothing_twice() -> None:
    book = Book()
    book.see(replace(RUNNING, restarts=1))
    book.see(replace(RUNNING, detailed=False))
    book.see(exited(0, restarts=1))
    assert book.counts["start", ""] == 2
    assert book.running == 0


def test_a_job_that_is_removed_before_it_ran_is_lost_until_it_is_there_again() -> None:
    book = Book()
    book.see(CREATED)
    book.counter.on_event(event(EventKind.REMOVED, 20))
    book.see(None)
    assert (book.losses, book.counter.has_lost(CREATED.id)) == (1, True)
    book.see(replace(CREATED, uid="2"))
    assert (book.losses, book.counter.has_lost(CREATED.id)) == (1, False)


def test_a_life_too_short_for_a_second_look_is_no_loss() -> None:
    for seen in (CREATED, RUNNING):
        book = Book()
        book.see(seen)
        book.counter.on_event(event(EventKind.STARTED, 10))
        book.see(None)
        assert (book.losses, book.counter.has_lost(CREATED.id)) == (0, False)


def test_what_only_a_list_shows_gone_is_lost_unless_late_events_tell_of_a_start() -> None:
    """A deaf stream hides a whole life; the next one tells of it a moment later."""
    for late, losses in (
        ([EventKind.STARTED, EventKind.ENDED, EventKind.REMOVED], 0),
        ([EventKind.REMOVED], 1),
        ([], 1),
    ):
        book = Book()
        book.see(CREATED)
        book.see(None)
        assert (book.losses, book.counter.has_lost(CREATED.id)) == (0, True)
        for number, kind in enumerate(late):
            book.counter.on_event(event(kind, 10 + number, 0 if kind is EventKind.ENDED else None))
        book.time = 31.0
        book.counter.on_resync()
        assert (book.losses, book.counter.has_lost(CREATED.id)) == (losses, bool(losses))


def test_a_job_that_was_seen_to_run_is_no_loss() -> None:
    book = Book()
    for state in (CREATED, RUNNING, None):
        book.see(state)
    assert book.losses == 0


def test_of_many_losses_the_newest_are_remembered() -> None:
    book = Book()
    for number in range(10_001):
        job = replace(CREATED, uid=str(number), id=f"job-{number}")
        book.counter.on_change(None, job)
        book.counter.on_event(Event(EventKind.REMOVED, job.uid, 20, is_job=True))
        book.counter.on_change(job, None)
    assert book.losses == 10_001
    assert not book.counter.has_lost("job-0")
    assert book.counter.has_lost("job-1")


def test_what_may_be_a_stranger_is_not_counted_before_it_was_seen() -> None:
    book = Book()
    for kind in (EventKind.CREATED, EventKind.STARTED):
        book.counter.on_event(Event(kind, "1", 1, is_job=False))
    assert not book.counts
    book.see(CREATED)
    assert book.counts == {("create", ""): 1}


@st.composite
def make_story(draw: st.DrawFn) -> tuple[list[Event | Job | None], int]:
    """One job without restarts: its events and states, each lost, repeated or late at will."""
    code = draw(st.integers(0, 3))
    told = [
        event(EventKind.CREATED, 1),
        event(EventKind.STARTED, 10),
        event(EventKind.ENDED, 15, code),
        event(EventKind.REMOVED, 20),
    ]
    heard = [e for e in told for _ in range(draw(st.integers(0, 2)))]
    seen: list[Event | Job | None] = [state for state in (CREATED, RUNNING) if draw(st.booleans())]
    story: list[Event | Job | None] = [*seen, exited(code), None]
    for late in heard:
        # the stream keeps its order: nothing comes after the destroy but what was seen to end
        earliest = story.index(exited(code)) + 1 if late.kind is EventKind.REMOVED else 0
        story.insert(draw(st.integers(earliest, len(story))), late)
    return story, code


@given(make_story())
def test_lost_repeated_and_late_events_change_no_count(
    story: tuple[list[Event | Job | None], int],
) -> None:
    book = Book()
    steps, code = story
    gone = False
    for step in steps:
        if isinstance(step, Event):
            book.counter.on_event(step)
        else:
            book.see(step)
            gone = step is None
        assert book.running in {0, 1}
    assert gone
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", str(code)): 1}


@pytest.mark.parametrize("code", [-1, 256, 4_000_000_000])
def test_only_what_can_be_an_exit_code_makes_a_series(code: int) -> None:
    book = Book()
    book.see(CREATED)
    book.see(exited(code))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "unknown"): 1}


def test_a_label_that_overwrites_the_exit_code_in_events_is_not_believed() -> None:
    book = Book()
    book.counter.on_event(replace(event(EventKind.CREATED, 1, 77), is_job=True))
    for number, kind in enumerate((EventKind.STARTED, EventKind.ENDED, EventKind.REMOVED), 2):
        book.counter.on_event(event(kind, number, 77))
    assert book.counts == {("create", ""): 1, ("start", ""): 1, ("die", "unknown"): 1}
