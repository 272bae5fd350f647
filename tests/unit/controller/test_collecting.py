"""What is collected, when, and what keeps a job from it."""

from collections.abc import Callable

import pytest

from api.engine.errors import (
    EngineRefusedError,
)
from api.v1.job import Status
from api.v1.times import SECOND
from controller.outcome import Result
from controller.plan import Action, Remove
from controller.policy import Policy
from tests.fakes.engine.engine import Script
from tests.unit.controller.rig import Bench, pass_time, until

LAG = 10  # nanoseconds at most between an end and its event


async def test_collects_by_the_time_of_the_end(make: Callable[..., Bench]) -> None:
    bench = make(Policy(keep_exited_for=SECOND // 10))
    bench.add("short", Script(seconds=0.01))
    bench.add("long", Script(seconds=None))
    async with bench.running():
        await until(lambda: "short" not in bench.engine.names())
        assert bench.status("long") is Status.RUNNING
    ended = next(e for e in bench.engine.history if e.action == "die")
    removed = next(e for e in bench.engine.history if e.action == "destroy")
    assert removed.time - ended.time >= SECOND // 10 - LAG


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_a_jump_of_the_engines_clock_collects_nothing_early(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    bench = make(Policy(keep_exited_for=10 * SECOND), tick=1.0)
    bench.add("before", Script(seconds=1.0))
    running = bench.add("running")
    async with bench.running():
        await until(lambda: bench.status("before") is Status.EXITED)
        clock = bench.engine._clock
        monkeypatch.setattr(bench.engine, "_clock", lambda: clock() + jump * SECOND)
        await pass_time(5)
        bench.engine.finish(running, 0)
        await pass_time(4.9)
        assert bench.engine.names() == ("before", "running")
        await pass_time(0.2)
        assert bench.engine.names() == ("running",)
        await pass_time(4.7)
        assert bench.engine.names() == ("running",)
        await until(lambda: not bench.engine.names(), patience=0.5)


async def test_a_removal_that_fails_holds_up_no_other(make: Callable[..., Bench]) -> None:
    bench = make(Policy(keep_exited_for=0))
    stuck = bench.add("stuck", Script(seconds=0.0))
    bench.engine.fail("remove", EngineRefusedError(500, "busy"), ref=stuck, times=1)
    bench.add("other", Script(seconds=0.0))
    async with bench.running():
        await until(lambda: bench.engine.names() == ("stuck",))
        await until(lambda: bench.engine.names() == ())


async def test_what_is_kept_for_no_time_and_runs_again_is_not_removed(
    make: Callable[..., Bench],
) -> None:
    """Nothing is looked at before such a removal: the engine refuses it."""
    bench = make(Policy(keep_exited_for=0))
    job = bench.add("again", Script(seconds=0.0))
    execute = bench.reconciler._executor.execute

    async def run_it_first(act: Action) -> object:
        if isinstance(act, Remove) and bench.runs("again") == 1:
            bench.engine.script("again", Script(seconds=10.0))
            bench.engine.run(job)
        return await execute(act)

    bench.reconciler._executor.execute = run_it_first  # type: ignore[method-assign,assignment]
    async with bench.running():
        await until(lambda: bench.runs("again") == 2)
        await pass_time(9.0)
        assert bench.status("again") is Status.RUNNING
        await until(lambda: not bench.engine.names())


async def test_no_exited_job_is_started_from_a_stale_picture(make: Callable[..., Bench]) -> None:
    """Between the list that showed it created and our act, someone ran the job to its end."""
    bench = make()
    job = bench.add("raced", Script(seconds=0.0))
    real_start = bench.reconciler._executor.execute

    async def run_it_first(act: object) -> object:
        bench.engine.run(job)
        await until(lambda: bench.status("raced") is Status.EXITED)
        return await real_start(act)  # type: ignore[arg-type] # passed on as it came

    bench.reconciler._executor.execute = run_it_first  # type: ignore[method-assign,assignment]
    async with bench.running():
        await until(lambda: bool(bench.seen.starts))
    assert bench.seen.starts == [Result.CHANGED]
    assert bench.runs("raced") == 1


async def test_a_job_that_ran_again_unnoticed_is_kept_from_its_new_end_on(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(keep_exited_for=2 * SECOND // 10))
    bench.add("rerun", Script(seconds=0.0))
    async with bench.running():
        await until(lambda: any(job.finished_at for job in bench.reconciler.index.jobs.values()))
        bench.engine.is_mute = True
        bench.engine.run("rerun")
        await until(lambda: bench.runs("rerun") == 2 and bench.status("rerun") is Status.EXITED)
        await until(lambda: "rerun" not in bench.engine.names())
    ended = [e.time for e in bench.engine.history if e.action == "die"][-1]
    removed = next(e for e in bench.engine.history if e.action == "destroy")
    assert removed.time - ended >= 2 * SECOND // 10 - LAG
