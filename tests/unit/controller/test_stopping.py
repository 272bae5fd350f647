"""Cancels and deadlines on the in-memory engine: what is stopped, when, and what never starts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.engine.errors import EngineInterruptedError, EngineRefusedError, EngineTimeoutError
from api.v1.job import Status
from api.v1.mark import Mark, name_mark
from api.v1.queue import Queue
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from controller.outcome import Result
from controller.plan import ActionKind
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.unit.controller.rig import NOPE, Bench, pass_time, until

RUNS = Script(seconds=1e6, stop_seconds=1)


def add(
    bench: Bench, name: str, script: Script = RUNS, stop_timeout: int | None = None, **wishes: Any
) -> str:
    spec = JobSpec("/job", wishes=Wishes(**wishes))
    labels = encode(spec, namespace="ns", job_id=name, labels={})
    body = {"Image": IMAGE, "Cmd": ["true"], "Labels": labels, "StopTimeout": stop_timeout}
    uid = bench.engine.add(name, body)
    bench.engine.script(name, script)
    return uid


async def cancel(bench: Bench, name: str, **fields: Any) -> str:
    """Record a cancel as the API does, and return the uid of its mark."""
    uid = bench.engine.get(name).id
    return await bench.engine.create_mark(
        name_mark(uid), Mark("", uid, bench.engine.now(), **fields)
    )


@asynccontextmanager
async def fill(bench: Bench) -> AsyncIterator[Bench]:
    """Let a bench with one slot run, in which ``long`` does; ``job`` waits behind it."""
    add(bench, "long")
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.status("long") is Status.RUNNING)
        yield bench


async def test_a_running_job_is_stopped_by_one_call_with_its_grace(
    make: Callable[..., Bench],
) -> None:
    bench = make(tick=3600.0)
    add(bench, "job", Script(seconds=1e6, stop_seconds=1e6))
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        await cancel(bench, "job", grace=3)
        began = asyncio.get_running_loop().time()
        await until(lambda: bench.status("job") is Status.EXITED)
        assert 2.99 < asyncio.get_running_loop().time() - began < 3.1
        await pass_time(60)
    assert bench.engine.calls["stop"] == 1
    assert bench.engine.get("job").exit_code == 137
    assert bench.seen.cancels == ["stopped"]


@pytest.mark.parametrize(
    ("own", "grace", "seconds"), [(None, 3, 3), (4, 3, 3), (4, None, 4), (-1, None, 10)]
)
async def test_where_the_grace_is_known_nothing_is_looked_at_before_the_stop(
    make: Callable[..., Bench], own: int | None, grace: int | None, seconds: int
) -> None:
    bench = make(tick=3600.0)
    add(bench, "job", Script(seconds=1e6, stop_seconds=1e6), own)
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        await pass_time(1)
        looks, began = bench.engine.calls["inspect"], asyncio.get_running_loop().time()
        await cancel(bench, "job", grace=grace)
        await until(lambda: bench.engine.calls["stop"] == 1)
        assert bench.engine.calls["inspect"] == looks
        await until(lambda: bench.status("job") is Status.EXITED, patience=60)
        assert seconds - 0.1 < asyncio.get_running_loop().time() - began < seconds + 0.1


async def test_its_slot_is_free_once_it_has_ended_and_not_before(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    add(bench, "job", Script(seconds=1e6, stop_seconds=5))
    add(bench, "next")
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        await cancel(bench, "job")
        await pass_time(4.9)
        assert bench.status("next") is Status.CREATED
        await until(lambda: bench.status("next") is Status.RUNNING)
        assert bench.status("job") is Status.EXITED


@pytest.mark.parametrize("status", [Status.PAUSED, Status.RESTARTING])
async def test_one_that_does_not_run_at_the_moment_is_ended_for_good(
    make: Callable[..., Bench], status: Status
) -> None:
    bench = make()
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        bench.engine.edit("job", status=status)
        await cancel(bench, "job")
        await until(lambda: bench.status("job") is Status.EXITED)
        await pass_time(30)
        assert bench.status("job") is Status.EXITED


async def test_a_waiting_job_never_starts_after_its_cancel_and_counts_as_over(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1, keep_exited_for=30 * SECOND), tick=3600.0)
    add(bench, "long")
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.status("long") is Status.RUNNING)
        await cancel(bench, "job")
        bench.engine.finish("long")
        await pass_time(29)
        assert bench.runs("job") == 0
        assert "job" in bench.engine.names()
        await until(lambda: not bench.engine.names())
    assert bench.seen.lost == 0
    assert bench.seen.cancels == ["not_started"]


async def test_with_a_deaf_event_stream_the_look_before_a_start_finds_the_mark(
    make: Callable[..., Bench],
) -> None:
    async with fill(make(Policy(max_concurrent=1), tick=3600.0)) as bench:
        with pytest.MonkeyPatch.context() as deaf:
            deaf.setattr(bench.engine, "tell", lambda _: None)
            await cancel(bench, "job")
        bench.engine.finish("long")
        await until(lambda: Result.CHANGED in bench.seen.starts)
        await pass_time(30)
        assert bench.runs("job") == 0
        assert bench.reconciler.index.pending == 0


async def test_a_cancel_that_comes_while_the_start_is_under_way_stops_the_job(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    bench = make(engine=make_engine(timeout=2.0, start_seconds=0.15))
    add(bench, "job")
    async with bench.running():
        await until(lambda: bool(bench.engine.calls["start"]))
        await cancel(bench, "job")
        await until(lambda: bench.status("job") is Status.RUNNING)
        await until(lambda: bench.status("job") is Status.EXITED)
    assert bench.runs("job") == 1


async def test_the_look_for_the_mark_takes_no_time_of_its_own(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    """It is under way while the container is inspected: both take 0.1 s here."""
    bench = make(engine=make_engine(timeout=2.0))
    under_way: set[str] = set()
    most = 0

    def slow(name: str) -> None:
        real = getattr(bench.engine, name)

        async def call(ref: str) -> Any:
            nonlocal most
            under_way.add(name)
            most = max(most, len(under_way))
            await asyncio.sleep(0.1)
            under_way.discard(name)
            return await real(ref)

        setattr(bench.engine, name, call)

    add(bench, "job")
    slow("inspect")
    slow("find_mark")
    async with bench.running():
        await until(lambda: bench.runs("job") == 1)
    assert most == 2


async def test_no_job_starts_while_its_mark_cannot_be_looked_for(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.engine.fail("find_mark", EngineTimeoutError("no answer"), times=1)
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.seen.starts == [Result.SILENT])
        assert bench.runs("job") == 0
        await until(lambda: bench.runs("job") == 1)


async def test_one_that_cannot_be_killed_keeps_its_slot_and_is_stopped_again_and_again(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1))
    add(bench, "job", Script(seconds=1e6, is_unkillable=True))
    add(bench, "next")
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        await cancel(bench, "job", grace=1)
        await until(lambda: Result.UNKILLABLE in bench.seen.stops, patience=60)
        assert "attempt 2" not in str(bench.reconciler.plan())
        await until(lambda: bench.seen.stops.count(Result.UNKILLABLE) >= 3, patience=200)
        assert bench.status("next") is Status.CREATED
        bench.engine.finish("job")
        await until(lambda: bench.status("next") is Status.RUNNING)
        assert not bench.reconciler.ledger.attempts[ActionKind.STOP]


async def test_one_that_the_engine_does_not_answer_for_is_not_called_unkillable(
    make: Callable[..., Bench],
) -> None:
    bench = make(tick=3600.0)
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        for call in ("stop", "inspect"):
            bench.engine.fail(call, EngineTimeoutError("no answer"), times=1)
        await cancel(bench, "job", grace=1)
        await until(lambda: bench.status("job") is Status.EXITED, patience=60)
    assert bench.seen.stops == [Result.SILENT, Result.DONE]


async def test_a_stop_that_the_engine_breaks_off_is_sent_again(make: Callable[..., Bench]) -> None:
    bench = make(tick=1.0)
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        bench.engine.fail("stop", EngineInterruptedError("cut off"), times=1)
        await cancel(bench, "job")
        await until(lambda: bench.status("job") is Status.EXITED, patience=60)


async def test_a_purged_job_goes_at_once_and_its_mark_with_it(make: Callable[..., Bench]) -> None:
    bench = make(tick=3.0)
    add(bench, "runs")
    add(bench, "ends", Script(seconds=0.1))
    async with bench.running():
        await until(lambda: bench.status("ends") is Status.EXITED)
        for name in ("runs", "ends"):
            await cancel(bench, name, purge=True)
        await until(lambda: not bench.engine.names())
    assert bench.seen.cancels == ["stopped"]


async def test_a_mark_stays_while_its_job_is_there_and_goes_without_it(
    make: Callable[..., Bench],
) -> None:
    bench = make(tick=3.0)
    await bench.engine.create_mark("djd-cancel-nobody", Mark("", "f" * 64, 1))
    uid = add(bench, "job", Script(seconds=0.1))
    async with bench.running():
        await until(lambda: bench.engine.names() == ("job",))
        await until(lambda: bench.status("job") is Status.EXITED)
        await cancel(bench, "job")
        await pass_time(60)
        assert set(bench.engine.names()) == {"job", name_mark(uid)}
        bench.engine.destroy("job")
        await until(lambda: not bench.engine.names())


async def test_a_withdrawn_cancel_lets_the_job_start(make: Callable[..., Bench]) -> None:
    async with fill(make(Policy(max_concurrent=1), tick=3600.0)) as bench:
        mark = await cancel(bench, "job")
        await until(lambda: bench.reconciler.index.pending == 0)
        bench.engine.destroy(mark)
        await until(lambda: bench.reconciler.index.pending == 1)
        bench.engine.finish("long")
        await until(lambda: bench.runs("job") == 1)


async def test_a_cancelled_job_is_not_one_that_is_to_be_tried_again(
    make: Callable[..., Bench],
) -> None:
    bench = make(tick=3600.0)
    add(bench, "job", Script(refusal=NOPE))
    add(bench, "late", Script(refusal=NOPE), start_by=2 * SECOND)
    async with bench.running():
        await until(lambda: len(bench.failed_starts) == 2)
        mark = await cancel(bench, "job")
        await until(lambda: bench.reconciler.index.pending == 0, patience=5)
        assert len(bench.failed_starts) == 0
        await pass_time(60)
        assert len(bench.failed_starts) == 0
        assert bench.seen.deadlines == ["start-by"]
        bench.engine.script("job", RUNS)
        bench.engine.destroy(mark)
        await until(lambda: bench.runs("job") == 1)
    assert bench.runs("late") == 0


async def test_a_job_whose_cancel_comes_within_its_failing_start_is_not_charged(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    bench = make(engine=make_engine(timeout=2.0, start_seconds=0.2), tick=3600.0)
    add(bench, "job", Script(refusal=NOPE))
    async with bench.running():
        await until(lambda: len(bench.starting) == 1)
        await cancel(bench, "job")
        await until(lambda: bench.seen.starts == [Result.REFUSED])
        assert len(bench.failed_starts) == 0


async def test_a_cancel_that_is_withdrawn_after_a_failed_removal_lets_the_job_start(
    make: Callable[..., Bench],
) -> None:
    async with fill(make(Policy(max_concurrent=1), tick=3600.0)) as bench:
        bench.engine.fail("remove", EngineRefusedError(500, "device busy"))
        mark = await cancel(bench, "job", purge=True)
        removals = bench.reconciler.ledger.attempts[ActionKind.REMOVE]
        await until(lambda: len(removals) == 1)
        bench.engine.destroy(mark)
        await until(lambda: bench.reconciler.index.pending == 1)
        bench.engine.finish("long")
        await until(lambda: bench.runs("job") == 1)


async def test_a_job_whose_start_is_under_way_in_time_is_not_late(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]
) -> None:
    bench = make(engine=make_engine(timeout=2.0, start_seconds=0.3), tick=3600.0)
    add(bench, "job", start_by=SECOND // 10)
    add(bench, "fails", Script(refusal=NOPE), start_by=SECOND // 10)
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        assert bench.seen.deadlines == []
        await until(lambda: bench.seen.deadlines == ["start-by"])
        assert bench.reconciler.index.pending == 0


async def test_a_run_is_over_its_time_although_the_engines_clock_was_set_back(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    add(bench, "job", run_for=60 * SECOND)
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
    successor = make(engine=bench.engine)
    async with successor.running():
        await pass_time(30)
        clock = bench.engine._clock
        monkeypatch.setattr(bench.engine, "_clock", lambda: clock() - 3600 * SECOND)
        await until(lambda: bench.status("job") is Status.EXITED, patience=40)
    assert successor.seen.stops == [Result.DONE]


async def test_with_a_deaf_event_stream_a_withdrawn_cancel_collects_nothing(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=0, keep_exited_for=5 * SECOND), tick=3600.0)
    add(bench, "job")
    async with bench.running():
        await until(lambda: bench.reconciler.index.pending == 1)
        mark = await cancel(bench, "job")
        await until(lambda: bench.reconciler.index.pending == 0)
        with pytest.MonkeyPatch.context() as deaf:
            deaf.setattr(bench.engine, "tell", lambda _: None)
            bench.engine.destroy(mark)
        await pass_time(60)
        assert bench.engine.names() == ("job",)
        assert bench.reconciler.index.pending == 1


async def test_deadlines_hold_without_a_tick(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    add(bench, "job", run_for=60 * SECOND)
    add(bench, "late", start_by=59 * SECOND, keep_for=10 * SECOND)
    add(bench, "next")
    loop = asyncio.get_running_loop()
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        began = loop.time()
        await until(lambda: bench.status("job") is Status.EXITED, patience=100)
        assert 60.9 < loop.time() - began < 61.1
        await until(lambda: bench.status("next") is Status.RUNNING)
        assert bench.runs("late") == 0
        assert "late" in bench.engine.names()
        await until(lambda: "late" not in bench.engine.names(), patience=30)
        assert 69 < loop.time() - began < 71
    assert sorted(bench.seen.deadlines) == ["run-for", "start-by"]
    assert bench.seen.lost == 0


async def test_a_controller_that_comes_later_derives_the_same_deadlines(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1))
    add(bench, "job", run_for=60 * SECOND)
    add(bench, "late", start_by=30 * SECOND)
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
    await pass_time(40)
    assert bench.status("job") is Status.RUNNING
    successor = make(Policy(max_concurrent=1), engine=bench.engine)
    began = asyncio.get_running_loop().time()
    async with successor.running():
        await until(lambda: bench.status("job") is Status.EXITED, patience=60)
        assert asyncio.get_running_loop().time() - began < 22
        await pass_time(10)
        assert bench.runs("late") == 0


async def test_other_queues_are_used_at_once(make: Callable[..., Bench]) -> None:
    bench = make(tick=3600.0)
    bench.reconciler.use_queues({"etl": Queue("etl", paused=True)})
    add(bench, "job", queue="etl")
    async with bench.running():
        await pass_time(10)
        assert bench.runs("job") == 0
        bench.reconciler.use_queues({"etl": Queue("etl", 1)})
        await until(lambda: bench.runs("job") == 1)


async def test_a_queue_that_is_not_known_is_said_once_and_has_its_jobs_run(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    for name in ("job0", "job1"):
        add(bench, name, queue="etl")
    with capture_logs() as logs:
        async with bench.running():
            await until(lambda: bench.runs("job1") == 1)
            bench.reconciler.use_queues({"etl": Queue("etl")})
            add(bench, "job2", queue="etl")
            await until(lambda: bench.runs("job2") == 1)
    told = [line["queue"] for line in logs if line["event"].startswith("jobs name a queue")]
    assert told == ["etl"]
