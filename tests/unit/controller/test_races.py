"""What happens when the loop, its informer and the engine cross each other's way."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from api.engine.errors import (
    EngineInterruptedError,
    NotFoundError,
    OverloadedError,
)
from api.v1.job import Job, Status
from controller.leadership import Role
from controller.outcome import Result
from controller.policy import FIRST_DELAY, Policy
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.unit.controller.rig import Bench, pass_time, until


@pytest.mark.parametrize("turns", range(8))
async def test_ends_when_told_even_if_woken_at_that_moment(
    make: Callable[..., Bench], turns: int
) -> None:
    bench = make()
    task = asyncio.create_task(bench.reconciler.run())
    await until(lambda: bench.reconciler.role is Role.ACTIVE)
    await pass_time(0.02)
    bench.reconciler.on_resync()
    bench.reconciler.informer.suspect("nobody")
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    _, unfinished = await asyncio.wait({task}, timeout=5)
    task.cancel()
    assert not unfinished


async def test_a_container_that_answers_again_is_started_without_a_tick(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    bench.add("first")
    async with bench.running():
        await until(lambda: bench.status("first") is Status.RUNNING)
        wedged = bench.add("wedged")
        await until(lambda: wedged in bench.reconciler.index.jobs)
        bench.engine.hang("inspect", ref=wedged)
        bench.engine.finish("first")
        await until(lambda: wedged in bench.failed_starts)
        # its next attempt falls due while it is silent
        attempt = bench.failed_starts.get(wedged)
        assert attempt is not None
        bench.failed_starts.put(replace(attempt, due=0.0))
        asked = bench.engine.calls["inspect"]
        await until(lambda: bench.engine.calls["inspect"] > asked + 1)
        bench.engine.heal()
        await until(lambda: bench.status("wedged") is Status.RUNNING)


async def test_a_job_that_was_heard_to_start_holds_its_slot_before_it_is_read(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    """Somebody has started it, and its shim is stuck: the engine answers no inspect of it."""
    bench = make(Policy(max_concurrent=1), make_engine(timeout=120), tick=3600.0)
    bench.add("first")
    async with bench.running():
        await until(lambda: bench.status("first") is Status.RUNNING)
        heard = bench.add("heard")
        bench.add("next")
        await until(lambda: heard in bench.reconciler.index.jobs)
        bench.engine.hang("inspect", ref=heard)
        bench.engine.run(heard)
        await pass_time(0.1)
        bench.engine.finish("first")
        await pass_time(60.0)
        assert bench.status("next") is Status.CREATED
        assert heard in bench.reconciler.index.active
        bench.engine.heal()
        bench.engine.finish("heard")
        await until(lambda: bench.status("next") is Status.RUNNING)


async def test_a_standby_remembers_no_slots_that_others_have_freed(
    make: Callable[..., Bench],
) -> None:
    first = make()
    second = make(engine=first.engine)
    async with first.running():
        await until(lambda: first.reconciler.role is Role.ACTIVE)
        async with second.running():
            await until(lambda: second.reconciler.role is Role.STANDBY)
            for i in range(3):
                first.add(f"job{i}", Script(seconds=0.01))
            await until(lambda: len(second.reconciler.index.jobs) == 3)
            await until(lambda: all(j.is_finished for j in second.reconciler.index.jobs.values()))
            assert len(second.reconciler._handover._free_since) == 0


@pytest.mark.parametrize("call", ["inspect", "start"])
@pytest.mark.parametrize("error", [OverloadedError(503, "no swarm"), EngineInterruptedError("cut")])
async def test_trouble_with_one_container_alone_stops_no_other(
    make: Callable[..., Bench], call: str, error: Exception
) -> None:
    bench = make(Policy(max_concurrent=1), tick=0.1)
    bad = bench.add("bad")
    bench.engine.fail(call, error, ref=bad, times=None)  # type: ignore[arg-type] # both are
    bench.add("good", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("good") is Status.EXITED)
        await pass_time(0.2)
        assert bench.reconciler.informer.engine_status.is_up
        lists = bench.engine.calls["list"]
        assert lists < 60, "the engine is asked over and over"
        bench.engine.heal()
        await until(lambda: bench.status("bad") is Status.RUNNING)


async def test_a_removal_that_is_always_cut_stops_nobody(make: Callable[..., Bench]) -> None:
    bench = make(Policy(keep_exited_for=0), tick=0.1)
    stuck = bench.add("stuck", Script(seconds=0.0))
    bench.engine.fail("remove", EngineInterruptedError("cut"), ref=stuck, times=None)
    bench.add("other", Script(seconds=0.0))
    async with bench.running():
        await until(lambda: bench.engine.names() == ("stuck",))
        await pass_time(0.2)
        assert bench.engine.calls["remove"] < 10, "it is removed over and over"
        bench.engine.heal()
        await until(lambda: bench.engine.names() == ())


async def test_serves_the_engine_that_took_the_place_of_another(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    """No call failed in between: only the stream of events has ended."""
    first = make()
    holder = make(engine=make_engine())
    other = replace(first.engine.facts, id="other", cpus=64)
    holder.engine.facts = other
    async with first.running(), holder.running():
        await until(lambda: holder.reconciler.role is Role.ACTIVE)
        await until(lambda: first.reconciler.role is Role.ACTIVE)
        first.engine.facts = other
        first.engine.end_streams()
        await until(lambda: first.reconciler.role is Role.STANDBY)


async def test_takes_up_the_pace_of_another_engine(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.engine.facts = replace(bench.engine.facts, cpus=1)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        before = bench.reconciler.policy.parallel_starts
        bench.engine.facts = replace(bench.engine.facts, id="other", cpus=64)
        bench.engine.end_streams()
        await until(lambda: bench.reconciler.policy.parallel_starts > before)
        await until(lambda: bench.reconciler.role is Role.ACTIVE)


async def test_an_own_start_whose_answer_an_outage_took_is_no_foreign_one(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    job = bench.add("cut-off")
    bench.engine.fail("start", EngineInterruptedError("cut"), takes_effect=True)
    bench.go_down_with_starts()
    async with bench.running():
        await until(lambda: bench.engine.is_down)
        await until(lambda: not bench.starting)
        bench.engine.heal()
        await until(lambda: job in bench.reconciler.index.active)
    assert bench.seen.foreign == 0
    assert bench.runs("cut-off") == 1


async def test_an_outage_while_the_lead_is_taken_leaves_it_to_be_taken(
    make: Callable[..., Bench],
) -> None:
    """A predecessor's start may be in flight: it must be waited for once the engine is back."""
    bench = make(Policy(max_concurrent=1))
    bench.add("in-flight")
    real_inspect = bench.engine.inspect

    async def go_down(ref: str) -> Job | None:
        bench.engine.inspect = real_inspect  # type: ignore[method-assign]
        bench.engine.go_down()
        return await real_inspect(ref)

    bench.engine.inspect = go_down  # type: ignore[method-assign]
    async with bench.running():
        await until(lambda: bench.engine.is_down)
        await until(lambda: bench.engine.calls["info"] > 2)
        assert bench.reconciler.role is Role.SEEKING
        bench.engine.heal()
        await until(lambda: bench.status("in-flight") is Status.RUNNING)


async def test_a_job_that_the_engine_is_still_creating_is_not_taken_for_lost(
    make: Callable[..., Bench],
) -> None:
    """A list shows it already, while every other call answers 404."""
    bench = make(tick=0.1)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.is_mute = True
        job = bench.add("unmade", Script(seconds=0.01))
        bench.engine.fail("inspect", NotFoundError(404, "No such container"), ref=job)
        await until(lambda: bench.status("unmade") is Status.EXITED)
    assert bench.seen.starts == [Result.GONE, Result.DONE]
    assert bench.seen.lost == 0


async def test_a_listed_job_that_is_gone_is_found_lost_by_the_next_full_list(
    make: Callable[..., Bench],
) -> None:
    bench = make(tick=0.1)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.is_mute = True
        job = bench.add("listed")
        error = NotFoundError(404, "No such container")
        bench.engine.fail("inspect", error, ref=job, times=None)
        await until(lambda: bench.seen.starts == [Result.GONE])
        assert bench.seen.lost == 0
        bench.engine.destroy(job)
        await until(lambda: bench.seen.lost == 1)
    assert bench.reconciler.index.pending == 0


async def test_a_creation_that_takes_long_is_looked_for_at_an_even_pace(
    make: Callable[..., Bench],
) -> None:
    """It fails at nothing: once it is over, the job must not wait for a backoff."""
    bench = make(tick=0.1)
    waits: list[float] = []
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.is_mute = True
        job = bench.add("unmade")
        error = NotFoundError(404, "No such container")
        bench.engine.fail("inspect", error, ref=job, times=None)
        while len(waits) < 4:
            await until(lambda: len(bench.seen.starts) > len(waits))
            attempt = bench.failed_starts.get(job)
            assert attempt is not None
            waits.append(attempt.due - time.monotonic())
            # its next attempt falls due
            bench.failed_starts.put(replace(attempt, due=0.0))
    assert max(waits) < 2 * FIRST_DELAY


@pytest.mark.parametrize("is_held", [False, True])
async def test_once_it_is_created_a_job_starts_without_a_wait(
    make: Callable[..., Bench], *, is_held: bool
) -> None:
    """The event of its creation may come while it is being tried to start, or afterwards."""
    bench = make(tick=0.1)
    real_inspect = bench.engine.inspect

    async def inspect(ref: str) -> Job | None:
        bench.engine.inspect = real_inspect  # type: ignore[method-assign]
        if is_held:
            bench.engine.announce(ref)
            await pass_time(0.01)
        raise NotFoundError(404, "No such container")

    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.inspect = inspect  # type: ignore[method-assign]
        bench.engine.is_mute = True
        job = bench.add("unmade")
        bench.engine.is_mute = False
        await until(lambda: bench.seen.starts[:1] == [Result.GONE])
        began = time.monotonic()
        if not is_held:
            bench.engine.announce(job)
        await until(lambda: bench.runs("unmade") == 1)
        assert time.monotonic() - began < FIRST_DELAY / 2
        assert bench.reconciler.ledger.retries == 0


async def test_a_start_by_hand_is_seen_after_an_ambiguous_start_that_has_ended(
    make: Callable[..., Bench],
) -> None:
    """The event of our own start may never come: the next one must not be taken for it."""
    bench = make(tick=3600.0)
    job = bench.add("short")
    real_start = bench.engine.start

    async def end_and_cut(container_id: str) -> Status:
        await real_start(container_id)
        bench.engine.finish(container_id)
        raise EngineInterruptedError("cut")

    bench.engine.start = end_and_cut  # type: ignore[method-assign]
    bench.engine.is_mute = True
    async with bench.running():
        await until(lambda: bench.seen.starts == [Result.DONE])
        assert bench.reconciler.index.jobs[job].is_finished
        bench.engine.is_mute = False
        bench.engine.run("short")
        await until(lambda: job in bench.reconciler.index.active)
