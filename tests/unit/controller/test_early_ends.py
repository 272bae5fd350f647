"""A ``die`` event frees a slot at once: how the job ended is read later."""

from collections.abc import Callable

import pytest

from api.v1.job import Status
from api.v1.labels import NAMESPACE
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE
from tests.unit.controller.rig import Bench, pass_time, until

HOUR = 3600 * 1_000_000_000


def add_with_policy(bench: Bench, name: str, policy: str) -> str:
    host = {"RestartPolicy": {"Name": policy, "MaximumRetryCount": 1}}
    body = {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "ns"}, "HostConfig": host}
    return bench.engine.add(name, body)


async def until_started(bench: Bench, name: str) -> None:
    """Wait until a job runs and the controller has heard that it does."""
    await until(lambda: bench.status(name) is Status.RUNNING)
    await until(lambda: not bench.starting)


@pytest.mark.parametrize("policy", ["", "no"])
async def test_the_next_job_does_not_wait_until_the_end_of_the_last_was_read(
    make: Callable[..., Bench], policy: str
) -> None:
    bench = make(Policy(max_concurrent=1, keep_exited_for=HOUR), tick=3600.0)
    first = add_with_policy(bench, "first", policy)
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish("first", 3)
        await until(lambda: bench.status("second") is Status.RUNNING)
        assert bench.reconciler.index.jobs[first].exit_code == 3
        assert bench.reconciler.index.jobs[first].is_finished
    assert len(bench.seen.handovers) == 1


async def test_an_end_that_is_told_before_its_start_is_confirmed_counts_as_well(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1, keep_exited_for=HOUR), tick=3600.0)
    first = bench.add("first")
    bench.add("second")
    real_start = bench.engine.start

    async def end_before_the_answer(container_id: str) -> Status:
        bench.engine.start = real_start  # type: ignore[method-assign]
        status = await real_start(container_id)
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish(container_id)
        await until(lambda: container_id in bench.reconciler._handover._ended)
        return status

    bench.engine.start = end_before_the_answer  # type: ignore[method-assign]
    async with bench.running():
        await until(lambda: bench.status("second") is Status.RUNNING)
        assert not bench.reconciler.index.jobs[first].is_active


async def test_one_that_the_engine_may_run_again_keeps_its_slot_until_it_was_read(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = add_with_policy(bench, "first", "on-failure")
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish("first", 3)
        await until(lambda: bench.runs("first") == 2)
        await pass_time(0.2)
        assert bench.status("second") is Status.CREATED
        bench.engine.heal()
        bench.engine.finish("first", 0)
        await until(lambda: bench.status("second") is Status.RUNNING)


async def test_one_that_was_given_a_restart_policy_while_it_ran_keeps_its_slot(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = bench.add("first")
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.update("first", "always")
        await until(lambda: bench.reconciler.index.jobs[first].lingers)
        bench.engine.finish("first")
        await until(lambda: bench.runs("first") == 2)
        assert bench.status("second") is Status.CREATED


async def test_an_end_that_is_told_again_frees_no_slot(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = bench.add("first")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.finish("first")
        bench.engine.run("first")  # as someone else may
        await until(lambda: bench.reconciler.index.jobs[first].is_active)
        bench.add("second")
        streams = bench.engine.calls["events"]
        bench.engine.cut_streams()  # the next one begins with the last second
        await until(lambda: bench.engine.calls["events"] > streams)
        await until(lambda: bench.reconciler.index.pending == 1)
        await pass_time(60.0)
        assert bench.status("second") is Status.CREATED
        bench.engine.finish("first")
        await until(lambda: bench.status("second") is Status.RUNNING)


async def test_a_job_is_collected_by_the_event_of_its_end_and_looked_at_once_for_that(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(keep_exited_for=5 * 1_000_000_000), tick=3600.0)
    first = bench.add("first")
    async with bench.running():
        await until_started(bench, "first")
        asked = bench.engine.calls.copy()
        bench.engine.finish("first")
        await pass_time(4.9)
        assert bench.engine.calls == asked
        await until(lambda: first not in bench.reconciler.index.jobs)
        assert bench.engine.calls["inspect"] == asked["inspect"] + 1


async def test_an_end_that_the_engine_notes_later_than_it_told_counts_from_then(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(keep_exited_for=5 * 1_000_000_000), tick=3600.0)
    first = bench.add("first")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.finish("first")
        finished = bench.engine.get("first").finished_at
        assert finished is not None
        bench.engine.edit("first", finished_at=finished + 2 * 1_000_000_000)
        await pass_time(6.9)
        assert first in bench.reconciler.index.jobs
        await until(lambda: first not in bench.reconciler.index.jobs)
