"""Starts that fail, hang or get no answer: who is charged, and who is not kept waiting."""

from collections.abc import Callable

import pytest

from api.engine.errors import (
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    NotFoundError,
)
from api.v1.job import Status
from controller.outcome import Result
from controller.policy import Policy
from tests.fakes.engine.engine import Script
from tests.unit.controller.rig import NOPE, Bench, until


async def test_jobs_that_cannot_start_delay_nobody(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=2))
    for i in range(3):
        bench.add(f"bad{i}", Script(refusal=NOPE))
    for i in range(5):
        bench.add(f"good{i}", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: all(bench.status(f"good{i}") is Status.EXITED for i in range(5)))
    assert all(bench.status(f"bad{i}") is Status.CREATED for i in range(3))


async def test_a_job_that_could_not_start_runs_once_it_can(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.add("healing", Script(refusal=NOPE, leaves_error=False))
    async with bench.running():
        await until(lambda: Result.REFUSED in bench.seen.starts)
        bench.engine.script("healing", Script(seconds=0.01))
        await until(lambda: bench.status("healing") is Status.EXITED)
    assert bench.runs("healing") == 1


async def test_the_error_of_a_failed_attempt_ends_with_the_start(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    job = bench.add("healing", Script(refusal=NOPE))
    async with bench.running():
        await until(lambda: Result.REFUSED in bench.seen.starts)
        assert bench.reconciler.index.jobs[job].error
        bench.engine.script("healing", Script())
        await until(lambda: job in bench.reconciler.index.active)
        assert bench.reconciler.index.jobs[job].error == ""


async def test_an_earlier_failure_counts_as_one_attempt_after_a_restart(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1))
    bad = bench.add("bad", Script(refusal=NOPE))
    with pytest.raises(EngineRefusedError):
        bench.engine.run(bad)
    bench.add("good", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("good") is Status.EXITED)
    assert bench.seen.starts[0] is Result.TRIED


async def test_a_start_whose_answer_is_lost_is_not_sent_again(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.engine.fail("start", EngineTimeoutError("lost"), takes_effect=True)
    bench.add("once", Script(seconds=0.05))
    async with bench.running():
        await until(lambda: bench.status("once") is Status.EXITED)
    assert bench.runs("once") == 1
    assert bench.engine.calls["start"] == 1


async def test_a_start_cut_before_it_took_effect_is_sent_again(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.engine.fail("start", EngineInterruptedError("cut"))
    bench.add("once", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("once") is Status.EXITED)
    assert bench.runs("once") == 1


async def test_a_404_on_start_is_no_proof_that_the_job_is_gone(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.engine.fail("start", NotFoundError(404, "network gone not found"))
    bench.add("patient", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("patient") is Status.EXITED)
    assert bench.seen.starts == [Result.REFUSED, Result.DONE]


async def test_one_silent_container_holds_up_no_other(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=1), tick=0.1)
    wedged = bench.add("wedged")
    bench.engine.hang("inspect", ref=wedged)
    bench.engine.hang("start", ref=wedged)
    bench.add("good", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("good") is Status.EXITED)
        bench.engine.script("wedged", Script(seconds=0.01))
        bench.engine.heal()
        await until(lambda: bench.status("wedged") is Status.EXITED)
    assert bench.runs("wedged") == 1


async def test_an_outage_charges_no_job_and_ends_nothing(make: Callable[..., Bench]) -> None:
    bench = make(tick=0.05)
    bench.add("before", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: bench.status("before") is Status.EXITED)
        bench.engine.go_down()
        await until(lambda: not bench.reconciler.informer.engine_status.is_up)
        bench.engine.heal()
        bench.add("after", Script(seconds=0.01))
        await until(lambda: bench.status("after") is Status.EXITED)
    assert len(bench.failed_starts) == 0
