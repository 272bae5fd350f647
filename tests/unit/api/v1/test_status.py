"""The STATUS text is the one ``docker ps -a`` prints, at every edge of its rounding."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.job import Job, Status
from api.v1.status import describe_duration, describe_status
from api.v1.times import SECOND
from tests.support.jobs import make_job

NOW = 1_700_000_000 * SECOND
MINUTE, HOUR, DAY = 60, 3600, 86_400
SEEN = make_job("a", Status.CREATED, NOW - DAY * SECOND, detailed=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0, "Less than a second"),
        (0.999, "Less than a second"),
        (1, "1 second"),
        (1.999, "1 second"),
        (2, "2 seconds"),
        (59.999, "59 seconds"),
        (60, "About a minute"),
        (119.9, "About a minute"),
        (120, "2 minutes"),
        (59 * MINUTE + 59.9, "59 minutes"),
        (HOUR, "About an hour"),
        (89 * MINUTE + 59, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (150 * MINUTE - 1, "2 hours"),
        (150 * MINUTE, "3 hours"),
        (47.5 * HOUR - 1, "47 hours"),
        (47.5 * HOUR, "2 days"),
        (71.5 * HOUR - 1, "2 days"),
        (71.5 * HOUR, "3 days"),
        (14 * DAY - HOUR / 2 - 1, "13 days"),
        (14 * DAY - HOUR / 2, "2 weeks"),
        (21 * DAY, "3 weeks"),
        (60 * DAY - HOUR / 2 - 1, "8 weeks"),
        (60 * DAY - HOUR / 2, "2 months"),
        (90 * DAY, "3 months"),
        (730 * DAY - HOUR / 2 - 1, "24 months"),
        (730 * DAY, "2 years"),
        (1094 * DAY, "2 years"),
        (1095 * DAY, "3 years"),
    ],
)
def test_a_duration_is_worded_as_the_command_line_does(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text


def test_the_half_hour_before_two_years_rounds_down_to_one() -> None:
    """The engine rounds hours for the choice of the unit, but not for the number of years."""
    assert describe_duration(730 * DAY - HOUR / 2) == "1 years"


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (SEEN, "Created"),
        (replace(SEEN, error="exec: no such file"), "Created"),
        (
            replace(SEEN, status=Status.EXITED, text="Exited (0) 2 days ago"),
            "Exited (0) 2 days ago",
        ),
        (replace(SEEN, status=Status.RUNNING, started_at=NOW - 5 * SECOND), "Up 5 seconds"),
        (
            replace(SEEN, status=Status.RUNNING, started_at=NOW - 90 * SECOND, health="healthy"),
            "Up About a minute (healthy)",
        ),
        (
            replace(SEEN, status=Status.RUNNING, started_at=NOW, health="unhealthy"),
            "Up Less than a second (unhealthy)",
        ),
        (
            replace(SEEN, status=Status.RUNNING, started_at=NOW, health="starting"),
            "Up Less than a second (health: starting)",
        ),
        (
            replace(SEEN, status=Status.PAUSED, started_at=NOW - 7200 * SECOND, health="healthy"),
            "Up 2 hours (Paused)",
        ),
        (
            replace(
                SEEN,
                status=Status.RESTARTING,
                started_at=NOW - 9 * SECOND,
                finished_at=NOW - 2 * SECOND,
                exit_code=3,
            ),
            "Restarting (3) 2 seconds ago",
        ),
        (
            replace(
                SEEN,
                status=Status.EXITED,
                started_at=NOW - 9 * SECOND,
                finished_at=NOW - 3 * 86_400 * SECOND,
                exit_code=137,
            ),
            "Exited (137) 3 days ago",
        ),
        (replace(SEEN, status=Status.STARTING), "Starting"),
        (
            replace(
                SEEN,
                status=Status.EXITED,
                started_at=NOW - 9 * SECOND,
                finished_at=NOW - 3 * SECOND,
                lost=True,
            ),
            "Lost 3 seconds ago",
        ),
        (replace(SEEN, status=Status.EXITED, started_at=NOW), ""),
        (replace(SEEN, status=Status.EXITED), "Created"),
        (replace(SEEN, status=Status.REMOVING, started_at=NOW), "Removal In Progress"),
        (replace(SEEN, status=Status.DEAD, started_at=NOW), "Dead"),
        (replace(SEEN, status=Status.RUNNING), "Up 292 years"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.status,
)
def test_every_state_has_its_text(seen: Job, text: str) -> None:
    assert describe_status(seen, NOW) == text


def test_a_clock_behind_the_start_says_less_than_a_second() -> None:
    seen = replace(SEEN, status=Status.RUNNING, started_at=NOW + 60 * SECOND)
    assert describe_status(seen, NOW) == "Up Less than a second"


@given(st.floats(min_value=-1e6, max_value=1e10))
def test_every_duration_has_words(seconds: float) -> None:
    text = describe_duration(seconds)
    assert text
    number = text.split()[0]
    assert number in {"Less", "About"} or int(number) >= 1
