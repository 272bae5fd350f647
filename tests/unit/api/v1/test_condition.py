"""Phases follow from what the engine shows."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api.v1.condition import (
    KILL_SLACK,
    START_SLACK,
    Condition,
    derive_condition,
    find_change,
    find_end,
    find_expiry,
    is_loss,
)
from api.v1.job import ACTIVE, FINISHED, LEAVING, Job, Phase, Reason, Status
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from tests.support.jobs import make_job

SEEN = make_job("a", Status.CREATED, detailed=True)
RAN = replace(SEEN, started=True, started_at=2, finished_at=3, exit_code=0)


@pytest.mark.parametrize(
    ("seen", "condition"),
    [
        (
            SEEN,
            Condition(Phase.PENDING, Reason.QUEUED, "waits for a slot or for a controller"),
        ),
        (
            replace(SEEN, error="no such file"),
            Condition(Phase.PENDING, Reason.START_ERROR, "no such file"),
        ),
        (
            replace(SEEN, status=Status.STARTING),
            Condition(Phase.PENDING, Reason.SCHEDULING, "waits for a node to start it"),
        ),
        (
            replace(SEEN, status=Status.STARTING, error="no suitable node"),
            Condition(Phase.PENDING, Reason.SCHEDULING, "no suitable node"),
        ),
        (
            replace(SEEN, lost=True, rerun=1, error="node b was lost"),
            Condition(Phase.PENDING, Reason.NODE_LOST, "node b was lost"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=None, lost=True, error="node b was lost"),
            Condition(Phase.FAILED, Reason.NODE_LOST, "node b was lost"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=None, lost=True),
            Condition(Phase.FAILED, Reason.NODE_LOST, "its node was lost while it ran"),
        ),
        (replace(SEEN, status=Status.RUNNING, started=True), Condition(Phase.RUNNING)),
        (
            replace(SEEN, status=Status.PAUSED, started=True),
            Condition(Phase.RUNNING, Reason.PAUSED, "all processes are suspended"),
        ),
        (
            replace(RAN, status=Status.RESTARTING, exit_code=3),
            Condition(Phase.RUNNING, Reason.RESTARTING, "exited 3, the engine restarts it"),
        ),
        (replace(RAN, status=Status.EXITED), Condition(Phase.SUCCEEDED)),
        (
            replace(RAN, status=Status.EXITED, exit_code=3),
            Condition(Phase.FAILED, Reason.ERROR, "exited 3"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=128, error="mount failed"),
            Condition(Phase.FAILED, Reason.ERROR, "exited 128, mount failed"),
        ),
        (
            replace(RAN, status=Status.EXITED, error="lost"),
            Condition(Phase.SUCCEEDED, None, "lost"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=137, oom_killed=True),
            Condition(Phase.FAILED, Reason.OOM_KILLED, "ran out of memory, exited 137"),
        ),
        (
            replace(RAN, status=Status.EXITED, oom_killed=True),
            Condition(Phase.SUCCEEDED, None, "a process ran out of memory"),
        ),
        (
            replace(RAN, status=Status.DEAD, error="busy"),
            Condition(Phase.SUCCEEDED, None, "the engine could not remove it, busy"),
        ),
        (
            replace(RAN, status=Status.DEAD, exit_code=3),
            Condition(Phase.FAILED, Reason.ERROR, "exited 3, the engine could not remove it"),
        ),
        (
            replace(RAN, status=Status.DEAD, exit_code=137, oom_killed=True),
            Condition(
                Phase.FAILED,
                Reason.OOM_KILLED,
                "ran out of memory, exited 137, the engine could not remove it",
            ),
        ),
        (
            replace(SEEN, status=Status.REMOVING),
            Condition(Phase.FAILED, Reason.DEAD, "it was removed before it ran"),
        ),
        (
            replace(SEEN, status=Status.DEAD, error="no such file", exit_code=127),
            Condition(Phase.FAILED, Reason.DEAD, "it was removed before it ran"),
        ),
        (
            replace(SEEN, status=Status.DEAD, detailed=False),
            Condition(Phase.UNKNOWN, None, "a list does not show how it ended"),
        ),
        (replace(RAN, status=Status.REMOVING), Condition(Phase.SUCCEEDED)),
        (
            replace(RAN, status=Status.REMOVING, exit_code=None, detailed=False),
            Condition(Phase.UNKNOWN, None, "a list does not show how it ended"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=255),
            Condition(
                Phase.FAILED,
                Reason.ERROR,
                "exited 255, usually an exec format error (the command is for another kind of"
                " processor, or a script without #!) or a task that the engine lost",
            ),
        ),
        (replace(RAN, status=Status.RUNNING, ended=True), Condition(Phase.RUNNING)),
        (
            replace(RAN, status=Status.REMOVING, exit_code=1),
            Condition(Phase.FAILED, Reason.ERROR, "exited 1"),
        ),
    ],
)
def test_a_state_is_a_phase_with_a_reason(seen: Job, condition: Condition) -> None:
    assert derive_condition(seen) == condition


@given(
    st.builds(
        replace,
        st.just(SEEN),
        status=st.sampled_from(Status),
        started=st.booleans(),
        error=st.sampled_from(["", "broken"]),
        exit_code=st.integers(0, 255),
        oom_killed=st.booleans(),
    )
)
def test_every_state_has_a_phase_and_every_failure_a_reason(seen: Job) -> None:
    condition = derive_condition(seen)
    may_start = {Status.CREATED, Status.STARTING}
    assert (condition.phase is Phase.PENDING) == (seen.status in may_start)
    assert (condition.phase is Phase.RUNNING) == (seen.status in ACTIVE - may_start)
    if condition.phase in {Phase.SUCCEEDED, Phase.FAILED}:
        may_have_run = seen.started or seen.status is Status.EXITED
        succeeded = may_have_run and seen.exit_code == 0
        assert (condition.phase is Phase.SUCCEEDED) == succeeded
    if condition.phase in {Phase.PENDING, Phase.FAILED}:
        assert condition.reason
        assert condition.message
    assert condition.phase is not Phase.UNKNOWN


def test_a_job_that_the_engine_does_not_answer_for_is_unknown_whatever_was_seen() -> None:
    condition = derive_condition(replace(RAN, status=Status.EXITED), is_silent=True)
    assert (condition.phase, condition.reason) == (Phase.UNKNOWN, Reason.ENGINE_SILENT)
    assert condition.message.endswith("a list says exited")


def test_active_and_finished_states_are_apart() -> None:
    assert not ACTIVE & FINISHED
    assert Status.CREATED not in ACTIVE | FINISHED


def test_a_job_holds_a_slot_from_its_start_to_its_end() -> None:
    for status in ACTIVE:
        running = replace(RAN, status=status)
        assert running.is_active
        assert not replace(running, ended=True).is_active
    assert not any(replace(RAN, status=status).is_active for status in {*Status} - ACTIVE)


def test_only_a_job_that_never_started_waits() -> None:
    assert SEEN.is_pending
    assert replace(SEEN, error="no such file").is_pending
    assert not replace(SEEN, started=True).is_pending
    assert not any(
        replace(SEEN, status=status).is_pending for status in Status if status != "created"
    )


def test_only_a_job_that_is_gone_before_it_ran_is_lost() -> None:
    assert is_loss(SEEN, None)
    assert all(is_loss(SEEN, replace(SEEN, status=status)) for status in LEAVING)
    assert not any(is_loss(replace(SEEN, status=status), None) for status in LEAVING)
    assert not any(is_loss(SEEN, replace(RAN, status=status)) for status in LEAVING)
    assert not is_loss(SEEN, RAN)
    assert not is_loss(None, SEEN)
    assert not is_loss(RAN, None)


# Cancels and deadlines --------------------------------------------------------------------------

CREATED, BEGAN, ENDED = 100 * SECOND, 110 * SECOND, 120 * SECOND
WAITS = make_job("a", Status.CREATED, CREATED, detailed=True)
RUNS = replace(WAITS, status=Status.RUNNING, started=True, started_at=BEGAN)
OVER = replace(RUNS, status=Status.EXITED, finished_at=ENDED, exit_code=137)


times = st.integers(0, 300).map(lambda seconds: seconds * SECOND)


def cancel(at: int, **fields: Any) -> Mark:
    return Mark("m", "a", at, **fields)


def wish(job: Job, **wishes: Any) -> Job:
    return replace(job, spec=JobSpec(wishes=Wishes(**wishes)))


def judge(job: Job, mark: Mark | None, now: int) -> tuple[Phase, Reason | None, str]:
    condition = derive_condition(replace(job, mark=mark), now)
    return condition.phase, condition.reason, condition.message


def test_a_cancelled_job_that_waits_has_ended_when_its_cancel_was_asked_for() -> None:
    mark = cancel(105 * SECOND, why="typo")
    now = 200 * SECOND
    assert judge(WAITS, mark, now) == (Phase.CANCELLED, None, "cancelled (typo)")
    failed = replace(WAITS, error="no such file")
    assert judge(failed, mark, now) == (Phase.CANCELLED, None, "cancelled (typo), no such file")
    assert find_end(replace(WAITS, mark=mark), now) == 105 * SECOND
    assert find_end(WAITS, now) is None


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_a_cancelled_job_that_holds_a_slot_is_stopping(status: Status) -> None:
    active = replace(RUNS, status=status, exit_code=3)
    phase = Phase.PENDING if status is Status.STARTING else Phase.RUNNING
    expected = (phase, Reason.STOPPING, "cancelled, is to be stopped")
    assert judge(active, cancel(115 * SECOND), 115 * SECOND) == expected


def test_a_job_whose_end_fell_before_its_cancel_keeps_it() -> None:
    assert judge(OVER, cancel(ENDED + 1), 999 * SECOND)[:2] == (Phase.FAILED, Reason.ERROR)
    done = replace(OVER, exit_code=0)
    assert judge(done, cancel(ENDED + 1), 999 * SECOND)[0] is Phase.SUCCEEDED


def test_exit_code_and_memory_stay_visible_after_a_cancel() -> None:
    over = replace(OVER, oom_killed=True)
    expected = (Phase.CANCELLED, None, "cancelled, ran out of memory, exited 137")
    assert judge(over, cancel(ENDED), 999 * SECOND) == expected
    # one that heeds the stop signal is cancelled all the same
    assert judge(replace(OVER, exit_code=0), cancel(ENDED), 999 * SECOND)[0] is Phase.CANCELLED


@pytest.mark.parametrize("status", sorted(LEAVING))
def test_a_cancelled_job_that_is_removed_before_it_ran_is_cancelled(status: Status) -> None:
    leaving = replace(WAITS, status=status)
    assert derive_condition(leaving).reason is Reason.DEAD
    assert judge(leaving, cancel(105 * SECOND), 200 * SECOND)[0] is Phase.CANCELLED


@pytest.mark.parametrize(
    ("job", "mark", "kill"),
    [
        (RUNS, cancel(115 * SECOND), 125),  # the engine's ten seconds
        (RUNS, cancel(115 * SECOND, grace=3), 118),
        (RUNS, cancel(115 * SECOND, grace=0), 115),
        (replace(RUNS, stop_timeout=30), cancel(115 * SECOND), 145),
        (replace(RUNS, stop_timeout=30), cancel(115 * SECOND, grace=3), 118),
        (replace(RUNS, detailed=False), cancel(115 * SECOND, grace=3), 118),
        # a start that was in flight when it was cancelled
        (RUNS, cancel(105 * SECOND, grace=3), 113),
        (wish(replace(RUNS, stop_timeout=30), run_for=5 * SECOND), None, 145),
    ],
)
def test_what_runs_ten_seconds_after_its_kill_cannot_be_killed(
    job: Job, mark: Mark | None, kill: int
) -> None:
    late = kill * SECOND + KILL_SLACK
    assert judge(job, mark, late - 1)[1] is Reason.STOPPING
    phase, reason, message = judge(job, mark, late)
    assert (phase, reason) == (Phase.RUNNING, Reason.UNKILLABLE)
    assert "10 s after it should have been killed" in message


@pytest.mark.parametrize(
    "job",
    [
        replace(RUNS, stop_timeout=-1),  # to be waited for without end
        replace(RUNS, detailed=False),  # how long it may take is not known yet
        replace(RUNS, ended=True),
    ],
)
def test_what_may_take_its_time_is_stopping(job: Job) -> None:
    assert judge(job, cancel(115 * SECOND), 10**6 * SECOND)[1] is Reason.STOPPING


def test_a_job_that_is_not_started_in_time_has_failed() -> None:
    job = wish(WAITS, start_by=60 * SECOND)
    last = CREATED + 60 * SECOND + START_SLACK
    assert judge(job, None, last - 1)[1] is Reason.QUEUED
    failed = (Phase.FAILED, Reason.START_DEADLINE_EXCEEDED, "was not started within 60 s")
    assert judge(job, None, last) == failed
    assert find_end(job, last) == last
    broken = replace(job, error="no such file")
    assert judge(broken, None, last)[2] == "was not started within 60 s, no such file"
    # until it has really started, its time counts
    starting = replace(job, status=Status.STARTING, detailed=False)
    assert judge(starting, None, last - 1)[1] is Reason.SCHEDULING
    stopping = (Phase.PENDING, Reason.STOPPING, "was not started within 60 s, is to be stopped")
    assert judge(starting, None, last) == stopping
    assert find_change(starting, last - 1) == last
    assert find_change(replace(starting, mark=cancel(last)), last - 1) is None
    # whoever starts it later has a job that runs
    assert judge(wish(RUNS, start_by=SECOND), None, last)[0] is Phase.RUNNING


def test_the_first_of_cancel_and_deadline_decides() -> None:
    late = cancel(105 * SECOND)
    assert judge(wish(WAITS, start_by=SECOND), late, 200 * SECOND)[0] is Phase.FAILED
    assert judge(wish(WAITS, start_by=9 * SECOND), late, 200 * SECOND)[0] is Phase.CANCELLED
    assert judge(wish(OVER, run_for=5 * SECOND), cancel(116 * SECOND), 200 * SECOND)[1] is (
        Reason.DEADLINE_EXCEEDED
    )
    assert judge(wish(OVER, run_for=5 * SECOND), cancel(114 * SECOND), 200 * SECOND)[0] is (
        Phase.CANCELLED
    )


def test_a_run_has_its_time_and_no_more() -> None:
    job = wish(RUNS, run_for=5 * SECOND)
    assert judge(job, None, 115 * SECOND - 1) == (Phase.RUNNING, None, "")
    stopping = (Phase.RUNNING, Reason.STOPPING, "ran for more than 5 s, is to be stopped")
    assert judge(job, None, 115 * SECOND) == stopping
    failed = (Phase.FAILED, Reason.DEADLINE_EXCEEDED, "ran for more than 5 s, exited 137")
    assert judge(wish(OVER, run_for=5 * SECOND), None, 200 * SECOND) == failed
    assert judge(wish(OVER, run_for=11 * SECOND), None, 200 * SECOND)[1] is Reason.ERROR
    # between two runs none is too long
    pause = replace(wish(OVER, run_for=11 * SECOND), status=Status.RESTARTING)
    assert judge(pause, None, 999 * SECOND)[1] is Reason.RESTARTING
    assert find_change(pause, 0) is None


def test_an_end_without_a_time_counts_for_a_cancel_and_not_for_a_deadline() -> None:
    row = replace(OVER, finished_at=None, detailed=False)
    assert judge(row, cancel(115 * SECOND), 200 * SECOND)[0] is Phase.CANCELLED
    assert judge(wish(row, run_for=5 * SECOND), None, 200 * SECOND)[1] is Reason.ERROR


def test_a_job_is_kept_as_it_wishes_and_a_purged_one_not_at_all() -> None:
    now = 200 * SECOND
    assert find_expiry(OVER, now) is None
    assert find_expiry(OVER, now, keep=7) == ENDED + 7
    wished = wish(OVER, keep_for=9)
    assert find_expiry(wished, now) == find_expiry(wished, now, keep=7) == ENDED + 9
    assert find_expiry(wish(OVER, keep_for=0), now, keep=7) == ENDED
    assert find_expiry(replace(wished, mark=cancel(130 * SECOND, purge=True)), now) == 130 * SECOND
    assert find_expiry(replace(WAITS, mark=cancel(105 * SECOND, purge=True)), now) == 105 * SECOND
    assert find_expiry(replace(WAITS, mark=cancel(105 * SECOND)), now, keep=7) == 105 * SECOND + 7
    assert find_expiry(replace(RUNS, mark=cancel(115 * SECOND, purge=True)), now, keep=7) is None
    assert find_expiry(replace(OVER, finished_at=None), now, keep=7) is None


def test_a_job_that_counts_as_ended_is_not_lost() -> None:
    assert is_loss(WAITS, None, 200 * SECOND)
    assert not is_loss(replace(WAITS, mark=cancel(105 * SECOND)), None)
    in_time = wish(WAITS, start_by=200 * SECOND)
    assert is_loss(in_time, None, 200 * SECOND)
    assert not is_loss(in_time, None, 400 * SECOND)


@given(
    st.builds(
        replace,
        st.sampled_from([WAITS, RUNS, OVER]),
        status=st.sampled_from(Status),
        detailed=st.booleans(),
        finished_at=st.none() | st.integers(0, 300).map(lambda s: s * SECOND),
        exit_code=st.none() | st.integers(0, 255),
        spec=st.builds(
            JobSpec,
            wishes=st.builds(Wishes, **dict.fromkeys(("start_by", "run_for"), st.none() | times)),
        ),
    ),
    st.none() | times.map(cancel),
    times,
)
def test_only_time_and_its_mark_move_a_job_on(job: Job, mark: Mark | None, now: int) -> None:
    """What is over stays over, whatever the time; a job without a cancel is never Cancelled."""
    # a start makes the two differ, and nothing else
    assume(not job.is_active or job.started is (job.status is not Status.STARTING))
    is_over = {Phase.CANCELLED, Phase.SUCCEEDED, Phase.FAILED}
    phase = judge(job, mark, now)[0]
    later = judge(job, mark, now + 1000 * SECOND)[0]
    assert phase not in is_over or later in is_over
    assert mark is not None or phase is not Phase.CANCELLED
    change = find_change(replace(job, mark=mark), now)
    if change is not None:
        before, after = judge(job, mark, change - 1), judge(job, mark, change)
        assert before[:2] == judge(job, mark, now)[:2]
        assert after[:2] != before[:2] or Reason.STOPPING in {before[1], after[1]}
    is_starting = job.status is Status.STARTING
    assert job.is_active <= (phase is (Phase.PENDING if is_starting else Phase.RUNNING))
