"""The loop on the in-memory engine: what it converges to, and what it never does."""

import asyncio
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from api.engine.errors import (
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    NotFoundError,
)
from api.v1.job import Status
from api.v1.labels import NAMESPACE
from controller.executor import Result
from controller.leadership import Role
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.fakes.engine.store import Cell
from tests.unit.controller.rig import Bench, pass_time, until

SECOND = 1_000_000_000
LAG = 10  # nanoseconds at most between an end and its event
NOPE = EngineRefusedError(400, "no such command")


async def test_runs_everything_in_order_within_the_limit(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=2))
    ids = [bench.add(f"job{i}", Script(seconds=0.02)) for i in range(10)]
    async with bench.running():
        await until(lambda: all(bench.status(f"job{i}") is Status.EXITED for i in range(10)))
    assert [e.id for e in bench.engine.history if e.action == "start"] == ids
    active = most = 0
    for event in bench.engine.history:
        active += {"start": 1, "die": -1}.get(event.action, 0)
        most = max(most, active)
    assert most == 2


async def test_a_freed_slot_is_filled_without_waiting_for_a_tick(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    for name in ("first", "second", "third"):
        bench.add(name)
    async with bench.running():
        for name in ("first", "second"):
            await until(lambda name=name: bench.status(name) is Status.RUNNING)  # type: ignore[misc] # bound as default
            await until(lambda: not bench.starting)
            bench.engine.finish(name)
        await until(lambda: bench.status("third") is Status.RUNNING)
    assert len(bench.seen.handovers) == 2


async def test_a_handover_is_measured_from_the_end_even_of_a_job_that_ends_within_its_start(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1))
    bench.add("short")
    real_start = bench.engine.start
    waits: list[float] = []

    async def end_before_the_answer(container_id: str) -> None:
        bench.engine.start = real_start  # type: ignore[method-assign]
        await real_start(container_id)
        bench.engine.finish(container_id)
        await until(lambda: container_id in bench.reconciler._handover._ended)
        heard = time.monotonic()
        try:
            await asyncio.sleep(0.05)
        finally:
            waits.append(time.monotonic() - heard)

    bench.engine.start = end_before_the_answer  # type: ignore[method-assign]
    async with bench.running():
        bench.add("next")
        await until(lambda: bench.status("next") is Status.RUNNING)
    assert bench.seen.handovers[0] >= waits[0]


@pytest.mark.parametrize("late", [0.0, 0.02], ids=["event first", "answer first"])
async def test_a_confirmed_start_is_looked_at_before_and_not_after(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    emit = bench.engine._emit

    def emit_late(action: str, cell: Cell, exit_code: int | None = None) -> None:
        seconds = late if action == "start" else 0.0
        asyncio.get_running_loop().call_later(seconds, emit, action, cell, exit_code)

    monkeypatch.setattr(bench.engine, "_emit", emit_late if late else emit)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        job = bench.add("one")
        await until(lambda: bench.status("one") is Status.RUNNING)
        await pass_time(60.0)
        assert bench.reconciler.index.jobs[job].is_active
        assert bench.engine.calls["inspect"] == 2
        bench.engine.finish("one")
        # how it ended a list shows, which has time
        await until(lambda: bench.reconciler.index.jobs[job].is_finished)
        assert bench.engine.calls["inspect"] == 2


async def test_ticks_alone_converge_when_no_event_comes(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=1), tick=0.05)
    bench.engine.is_mute = True
    for name in ("aa", "bb", "cc"):
        bench.add(name, Script(seconds=0.02))
    async with bench.running():
        await until(lambda: bench.status("cc") is Status.EXITED)
    assert [bench.runs(name) for name in ("aa", "bb", "cc")] == [1, 1, 1]


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


async def test_every_action_is_logged_when_it_begins_and_when_it_ends(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(keep_exited_for=0))
    bench.add("good", Script(seconds=0.0))
    bad = bench.add("bad", Script(seconds=0.0, refusal=NOPE, leaves_error=False))
    with capture_logs() as lines:
        async with bench.running():
            await until(lambda: Result.REFUSED in bench.seen.starts)
            bench.engine.script(bad, Script(seconds=0.0))
            bench.engine.fail("remove", EngineRefusedError(500, "busy"), ref=bad)
            await until(lambda: bench.engine.names() == ())
            await until(lambda: not bench.reconciler.index.jobs)
    told = {name: [line for line in lines if line.get("job") == name] for name in ("good", "bad")}
    assert [line["event"] for line in told["good"]] == [
        *("starting", "start done", "removing", "removal done")
    ]
    assert [(line["event"], line.get("attempt"), line.get("result")) for line in told["bad"]] == [
        ("starting", 1, None),
        ("start not done", None, "refused"),
        ("starting", 2, None),
        ("start done", None, None),
        ("removing", 1, None),
        ("removal not done", None, "refused"),
        ("removing", 2, None),
        ("removal done", None, None),
    ]


async def test_a_removal_that_fails_holds_up_no_other(make: Callable[..., Bench]) -> None:
    bench = make(Policy(keep_exited_for=0))
    stuck = bench.add("stuck", Script(seconds=0.0))
    bench.engine.fail("remove", EngineRefusedError(500, "busy"), ref=stuck, times=1)
    bench.add("other", Script(seconds=0.0))
    async with bench.running():
        await until(lambda: bench.engine.names() == ("stuck",))
        await until(lambda: bench.engine.names() == ())


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


async def test_leaves_strangers_alone(make: Callable[..., Bench]) -> None:
    bench = make(Policy(keep_exited_for=0), tick=0.05)
    bench.engine.add_image("labelled", {NAMESPACE: "ns"})
    bench.engine.add("other-namespace", {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "b"}})
    bench.engine.add("foreign", {"Image": IMAGE, "Cmd": ["x"]})
    bench.engine.add("inherited", {"Image": "labelled", "Cmd": ["x"]})
    bench.add("ours", Script(seconds=0.0))
    async with bench.running():
        await until(lambda: "ours" not in bench.engine.names())
    assert bench.engine.names() == ("other-namespace", "foreign", "inherited")
    assert all(bench.status(name) is Status.CREATED for name in bench.engine.names())


async def test_counts_a_pending_job_that_someone_removes(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=0))
    job = bench.add("pruned")
    async with bench.running():
        await until(lambda: bench.reconciler.index.pending == 1)
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.destroy(job)
        await until(lambda: bench.seen.lost == 1)


async def test_counts_a_start_by_someone_else(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=0))
    job = bench.add("impatient")
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        bench.engine.run(job)
        await until(lambda: bench.seen.foreign == 1)


async def test_a_second_controller_stands_by_and_takes_over(make: Callable[..., Bench]) -> None:
    first = make(Policy(max_concurrent=1))
    second = make(Policy(max_concurrent=1), first.engine)
    first.add("aa")
    async with second.running():
        async with first.running():
            await until(lambda: first.status("aa") is Status.RUNNING)
            roles = {first.reconciler.role, second.reconciler.role}
            await until(lambda: Role.STANDBY in {first.reconciler.role, second.reconciler.role})
            assert Role.ACTIVE in roles
        await until(lambda: second.reconciler.role is Role.ACTIVE)
        first.engine.finish("aa")
        first.add("bb", Script(seconds=0.01))
        await until(lambda: first.status("bb") is Status.EXITED)
    assert [first.runs("aa"), first.runs("bb")] == [1, 1]


async def test_a_successor_waits_for_a_start_its_predecessor_sent(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    engine = make_engine(timeout=5, start_seconds=0.1)
    bench = make(Policy(max_concurrent=1), engine)
    job = bench.add("in-flight")
    orphan = asyncio.create_task(engine.start(job))
    await asyncio.sleep(0)
    bench.add("next")
    async with bench.running():
        await until(lambda: bench.status("in-flight") is Status.RUNNING)
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        await pass_time(60.0)
        assert bench.status("next") is Status.CREATED
    await orphan
    assert bench.runs("in-flight") == 1


async def test_a_successor_looks_past_jobs_that_cannot_start_for_what_its_predecessor_sent(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    """They stay the oldest of the queue for good; a start sent behind them is no stranger's."""
    engine = make_engine(timeout=5, start_seconds=0.1)
    bench = make(Policy(max_concurrent=0), engine)
    for number in range(3):
        bad = bench.add(f"bad{number}", Script(refusal=NOPE))
        with pytest.raises(EngineRefusedError):
            engine.run(bad)
    job = bench.add("in-flight")
    orphan = asyncio.create_task(engine.start(job))
    await asyncio.sleep(0)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        await until(lambda: job in bench.reconciler.index.active)
    await orphan
    assert bench.seen.foreign == 0


async def test_a_start_of_the_predecessor_that_takes_too_long_to_wait_for_is_no_strangers(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    engine = make_engine(timeout=5, start_seconds=1.0)
    bench = make(Policy(max_concurrent=0), engine)
    job = bench.add("wedged")
    orphan = asyncio.create_task(engine.start(job))
    await asyncio.sleep(0)
    async with bench.running():
        await until(lambda: bench.reconciler.role is Role.ACTIVE)
        await until(lambda: job in bench.reconciler.index.active)
    await orphan
    assert bench.seen.foreign == 0
