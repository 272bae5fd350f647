"""The schedule of faults holds what a full run promises, whatever the seed."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.schedule import (
    WAITS_ENGINE_FAULTS,
    WAITS_PROCESS_FAULTS,
    Schedule,
    make_schedule,
)
from tests.chaos.workload import Task, wish_jobs


def count(schedule: Schedule) -> Counter[str]:
    return Counter(step.what for step in (*schedule.engine, *schedule.processes))


@pytest.mark.parametrize("seed", range(20))
def test_a_full_run_has_at_least_what_is_promised(seed: int) -> None:
    schedule = make_schedule(seed, 600, call_timeout=4)
    counts = count(schedule)
    assert schedule.jobs >= 500
    assert counts["kill-api"] >= 20
    assert counts["kill-controller"] >= 20
    assert counts["kill-engine"] >= 5
    assert counts["restart-engine"] >= 5
    assert counts["freeze-containerd"] >= 3
    assert counts["freeze-engine"] >= 3
    assert counts["cut-streams"] >= 10
    assert sum(step.pause + step.seconds for step in schedule.engine) < 600
    assert any(step.seconds > 4 for step in schedule.engine if step.what.startswith("freeze"))


@pytest.mark.parametrize("seed", range(20))
def test_a_short_run_has_each_of_the_main_faults(seed: int) -> None:
    counts = count(make_schedule(seed, 25, call_timeout=4))
    assert {"kill-api", "kill-controller", "kill-engine", "cut-streams"} <= counts.keys()
    assert {"freeze-containerd", "freeze-engine"} <= counts.keys()


@pytest.mark.parametrize("seconds", [60, 600])
def test_a_run_of_waits_has_its_own_faults_and_no_others(seconds: float) -> None:
    schedule = make_schedule(
        7, seconds, 4, engine=WAITS_ENGINE_FAULTS, processes=WAITS_PROCESS_FAULTS
    )
    counts = count(schedule)
    assert counts.keys() == {"kill-api", "kill-controller", "kill-engine", "restart-engine"}


def test_a_seed_means_the_same_run_again() -> None:
    assert make_schedule(7, 300, 4) == make_schedule(7, 300, 4) != make_schedule(8, 300, 4)
    folder = Path("/jobs")
    assert list(islice(wish_jobs(7, folder), 50)) == list(islice(wish_jobs(7, folder), 50))


def test_a_short_run_has_jobs_of_every_kind() -> None:
    wishes = islice(wish_jobs(3, Path("/jobs")), len(Task))
    assert {wish.task for wish in wishes} == set(Task)
