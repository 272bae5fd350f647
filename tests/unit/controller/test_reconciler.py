"""The loop on the in-memory engine: what it converges to, and what it never does."""

import asyncio
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from api.engine.errors import (
    EngineRefusedError,
)
from api.v1.job import Status
from api.v1.labels import NAMESPACE
from controller.leadership import Role
from controller.outcome import Result
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.fakes.engine.store import Cell
from tests.unit.controller.rig import NOPE, Bench, pass_time, until


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

    async def end_before_the_answer(container_id: str) -> Status:
        bench.engine.start = real_start  # type: ignore[method-assign]
        status = await real_start(container_id)
        bench.engine.finish(container_id)
        await until(lambda: container_id in bench.reconciler._handover._ended)
        heard = time.monotonic()
        try:
            await asyncio.sleep(0.05)
        finally:
            waits.append(time.monotonic() - heard)
        return status

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
