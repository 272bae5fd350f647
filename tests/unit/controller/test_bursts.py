"""Many creates by another client of the namespace: events tell of the jobs, and few lists."""

from collections.abc import Callable
from typing import Final

import pytest

from api.engine.errors import NotFoundError
from api.v1.labels import NAMESPACE
from api.v1.spec import JobSpec, encode
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, Script
from tests.unit.controller.rig import NOPE, Bench, pass_time, until

AT_ONCE: Final = 25
PAUSE: Final = 0.05
TICK: Final = 3.0


def make_labels(name: str, *, is_original: bool) -> dict[str, str]:
    if is_original:
        return {NAMESPACE: "ns"}
    return encode(JobSpec(), namespace="ns", job_id=name, labels={})


@pytest.mark.parametrize(("is_original", "count"), [(False, 1500), (True, 500)])
async def test_a_burst_is_started_in_its_order_with_a_list_a_second_at_most(
    make: Callable[..., Bench], *, is_original: bool, count: int
) -> None:
    bench = make(Policy(max_concurrent=8, parallel_starts=8), tick=TICK)
    names = [f"job-{number:04}" for number in range(count)]
    async with bench.running():
        await pass_time(5.0)
        before = bench.engine.calls.copy()
        for number, name in enumerate(names):
            labels = make_labels(name, is_original=is_original)
            bench.engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
            bench.engine.script(name, Script(seconds=0.01))
            if number % AT_ONCE == 0:
                await pass_time(PAUSE)
        seconds = count / AT_ONCE * PAUSE
        assert bench.engine.calls["list"] - before["list"] <= seconds
        starts = bench.seen.starts
        await until(lambda: len(starts) == count, patience=600.0)
        assert bench.started() == names
        # each was looked at before its start; that of an unknown image, once more
        assert bench.engine.calls["inspect"] - before["inspect"] <= count + 2


@pytest.mark.parametrize("has_gone", [False, True])
async def test_those_whose_creations_overlap_are_put_in_the_order_in_which_they_began(
    make: Callable[..., Bench], *, has_gone: bool
) -> None:
    """An event tells when a creation was over: one that fills a volume takes long.

    The first list of what is new fails if the job to list from has just gone.
    """
    bench = make(Policy(max_concurrent=1, parallel_starts=1), tick=3600.0)
    async with bench.running():
        bench.add("first", Script(seconds=5.0))
        await until(lambda: bool(bench.reconciler.index.active))
        await pass_time(1.0)
        if has_gone:
            bench.engine.fail("list", NotFoundError(404, "No such container"), times=1)
        bench.engine.is_mute = True
        for name in ("slow", "quick"):
            bench.add(name, Script(seconds=0.1))
        bench.engine.is_mute = False
        for name in ("quick", "slow"):
            bench.engine.announce(name)
        await until(lambda: len(bench.started()) == 3)
        assert bench.started() == ["first", "slow", "quick"]


async def test_no_plan_is_made_of_a_job_that_comes_while_no_slot_is_free(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    async with bench.running():
        bench.add("first", Script(seconds=30.0))
        await until(lambda: bool(bench.reconciler.index.active))
        await pass_time(1.0)
        before = bench.seen.passes
        for number in range(20):
            add(bench, f"job-{number}", seconds=0.1)
            await pass_time(0.5)
        # lists that put jobs of one time in order lead to plans, and no job does
        assert bench.seen.passes - before < 10
        await until(lambda: len(bench.seen.starts) == 21, patience=60.0)
        assert bench.started()[1:] == [f"job-{number}" for number in range(20)]


async def test_of_what_starts_and_goes_at_once_nothing_is_read_but_before_a_start(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=8, keep_exited_for=0), tick=3600.0)
    async with bench.running():
        await run_at_once(bench, ["first"])  # shows what its image is
        before = bench.engine.calls.copy()
        await run_at_once(bench, [f"job-{number}" for number in range(8)])
        await pass_time(10.0)
        made = bench.engine.calls - before
        assert made == {"start": 8, "find_mark": 8, "remove": 8, "inspect": 8}


async def test_a_run_takes_a_plan_for_its_start_and_one_for_its_end(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=8), tick=3600.0)
    async with bench.running():
        await pass_time(10.0)
        before = bench.seen.passes
        add(bench, "job", seconds=60.0)
        await pass_time(100.0)
        assert len(bench.seen.starts) == 1
        assert not bench.reconciler.index.active
        assert bench.seen.passes - before == 2


async def test_a_start_that_is_over_makes_room_for_the_next_at_once(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=64, keep_exited_for=0), tick=3600.0)
    async with bench.running():
        await run_at_once(bench, ["first"])  # shows what its image is
        await pass_time(10.0)
        for number in range(64):
            add(bench, f"job-{number}", seconds=60.0)
        await pass_time(1.0)
        assert len(bench.reconciler.index.active) == 64


def add(bench: Bench, name: str, *, seconds: float) -> None:
    """Create a job of ours that runs so long."""
    labels = make_labels(name, is_original=False)
    bench.engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    bench.engine.script(name, Script(seconds=seconds))


async def run_at_once(bench: Bench, names: list[str]) -> None:
    """Have jobs created at one time, and wait until all have gone."""
    ends = len(bench.seen.starts) + len(names)
    for name in names:
        add(bench, name, seconds=0.1)
    await until(lambda: len(bench.seen.starts) == ends and not bench.reconciler.index.jobs)


async def test_what_fails_has_those_behind_it_read_for_what_they_are(
    make: Callable[..., Bench],
) -> None:
    """A job of which only an event has told is like no other: who doubts its kind must look."""
    bench = make(Policy(max_concurrent=1, parallel_starts=1), tick=3600.0)
    async with bench.running():
        bench.add("first", Script(seconds=10.0))
        await until(lambda: bool(bench.reconciler.index.active))
        await pass_time(1.0)
        for number in range(100):
            bench.add(f"poison-{number:02}", Script(refusal=NOPE))
        await pass_time(0.1)
        jobs = bench.reconciler.index.jobs
        assert sum(job.is_pending and not job.likeness for job in jobs.values()) == 100
        await pass_time(20.0)
        assert all(job.likeness for job in jobs.values())
