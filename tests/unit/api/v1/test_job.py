"""Phases follow from what the engine shows."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.job import (
    ACTIVE,
    FINISHED,
    Condition,
    Container,
    Phase,
    Reason,
    Status,
    derive_condition,
)

SEEN = Container("id", "name", {}, "image", 1, Status.CREATED)
RAN = replace(SEEN, started_at=2, finished_at=3)
LARGEST = 253_402_300_799_999_999_999  # the last nanosecond of the year 9999


@pytest.mark.parametrize(
    ("seen", "condition"),
    [
        (
            SEEN,
            Condition(Phase.PENDING, Reason.QUEUED, "waits for a slot or for a controller"),
        ),
        (
            replace(SEEN, error="no such file", exit_code=127),
            Condition(Phase.PENDING, Reason.START_ERROR, "no such file"),
        ),
        (replace(SEEN, status=Status.RUNNING, started_at=2), Condition(Phase.RUNNING)),
        (
            replace(SEEN, status=Status.PAUSED, started_at=2),
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
            Condition(Phase.FAILED, Reason.ERROR, "mount failed"),
        ),
        (
            replace(RAN, status=Status.EXITED, error="lost"),
            Condition(Phase.FAILED, Reason.ERROR, "lost"),
        ),
        (
            replace(RAN, status=Status.EXITED, exit_code=137, oom_killed=True),
            Condition(Phase.FAILED, Reason.OOM_KILLED, "ran out of memory, exited 137"),
        ),
        (
            replace(RAN, status=Status.DEAD),
            Condition(Phase.FAILED, Reason.DEAD, "the engine could not remove it"),
        ),
        (replace(RAN, status=Status.REMOVING), Condition(Phase.SUCCEEDED)),
        (
            replace(RAN, status=Status.REMOVING, exit_code=1),
            Condition(Phase.FAILED, Reason.ERROR, "exited 1"),
        ),
    ],
)
def test_a_state_is_a_phase_with_a_reason(seen: Container, condition: Condition) -> None:
    assert derive_condition(seen) == condition


@given(
    st.builds(
        replace,
        st.just(SEEN),
        status=st.sampled_from(Status),
        error=st.sampled_from(["", "broken"]),
        exit_code=st.integers(0, 255),
        oom_killed=st.booleans(),
        started_at=st.none() | st.integers(1, LARGEST),
        finished_at=st.none() | st.integers(1, LARGEST),
    )
)
def test_every_state_has_a_phase_and_every_failure_a_reason(seen: Container) -> None:
    condition = derive_condition(seen)
    assert (condition.phase is Phase.PENDING) == (seen.status is Status.CREATED)
    assert (condition.phase is Phase.RUNNING) == (seen.status in ACTIVE)
    assert not (condition.phase is Phase.SUCCEEDED and seen.exit_code)
    if condition.phase in {Phase.PENDING, Phase.FAILED}:
        assert condition.reason
        assert condition.message
    assert condition.phase is not Phase.UNKNOWN


def test_active_and_finished_states_are_apart() -> None:
    assert not ACTIVE & FINISHED
    assert Status.CREATED not in ACTIVE | FINISHED


def test_only_a_container_that_never_started_is_startable() -> None:
    assert SEEN.is_startable
    assert replace(SEEN, error="no such file").is_startable
    assert not replace(SEEN, started_at=2).is_startable
    assert not any(
        replace(SEEN, status=status).is_startable for status in Status if status != "created"
    )
