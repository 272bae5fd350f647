"""Phases follow from what the engine shows."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.job import (
    ACTIVE,
    FINISHED,
    LEAVING,
    Condition,
    Job,
    Phase,
    Reason,
    Status,
    derive_condition,
    is_loss,
)
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
    assert (condition.phase is Phase.PENDING) == (seen.status is Status.CREATED)
    assert (condition.phase is Phase.RUNNING) == (seen.status in ACTIVE)
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
