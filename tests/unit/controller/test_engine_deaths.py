"""Jobs that end the engine when they are started: each is charged, and all others run."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from api.engine.errors import EngineInterruptedError, EngineTimeoutError
from api.v1.job import Status
from controller.outcome import Result
from controller.policy import Policy
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.support.virtual_time import VirtualLoop
from tests.unit.controller.rig import Bench, pass_time, until

_BOOT = 2.0


class MortalEngine(MemoryEngine):
    """An engine that the start of some jobs ends; it is back ``_BOOT`` seconds later."""

    def __init__(self, loop: VirtualLoop, *killers: str) -> None:
        super().__init__(clock=loop.now_ns, timeout=0.4, start_seconds=0.05)
        self._loop = loop
        self.killers = set(killers)
        self.deaths: list[tuple[float, str]] = []
        self.tried: list[str] = []

    async def start(self, container_id: str) -> Status:
        name = self.get(container_id).name
        self.tried.append(name)
        try:
            if name in self.killers:
                await asyncio.sleep(0.01)
                self.die(name)
            return await super().start(container_id)
        except asyncio.CancelledError:
            if not self.is_down:
                raise
            raise EngineInterruptedError("Server disconnected") from None

    def die(self, culprit: str) -> None:
        """End with all starts in flight, and be back after a while."""
        self.deaths.append((self._loop.time(), culprit))
        self.go_down()
        for task in self._starting.values():
            task.cancel()
        self._loop.call_later(_BOOT, self.heal)
        raise asyncio.CancelledError


def has_run(bench: Bench, name: str) -> bool:
    return bench.status(name) is Status.EXITED


@pytest.mark.parametrize("limit", [1, 4, None])
async def test_every_other_job_runs_and_the_two_back_off(
    make: Callable[..., Bench], virtual_loop: VirtualLoop, limit: int | None
) -> None:
    engine = MortalEngine(virtual_loop, "job00", "job03")
    bench = make(Policy(max_concurrent=limit), engine=engine, tick=1.0)
    names = [f"job{number:02}" for number in range(30)]
    for name in names:
        bench.add(name, Script(seconds=0.1))

    def count_deaths(killer: str) -> int:
        return sum(culprit == killer for _, culprit in engine.deaths)

    good = [name for name in names if name not in engine.killers]
    async with bench.running():
        began = virtual_loop.time()
        await until(lambda: all(has_run(bench, name) for name in good), patience=60)
        took = virtual_loop.time() - began
        deaths = [culprit for _, culprit in engine.deaths]
        assert all(deaths.count(killer) <= 3 for killer in engine.killers), deaths
        await until(lambda: min(map(count_deaths, engine.killers)) >= 6, patience=400)
    assert all(bench.runs(name) == 1 for name in good)
    # each ends the engine at its first turn, and once alone: that is what they cost the others
    assert took < 4 * (_BOOT + 1) + 30 * 0.3
    for killer in engine.killers:
        times = [time for time, culprit in engine.deaths if culprit == killer]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps[4] > 16


async def test_no_job_ends_the_engine_twice_in_a_row_while_others_wait(
    make: Callable[..., Bench], virtual_loop: VirtualLoop
) -> None:
    engine = MortalEngine(virtual_loop, "bad")
    bench = make(Policy(max_concurrent=1), engine=engine, tick=1.0)
    for name in ("bad", "one", "two", "three"):
        bench.add(name, Script(seconds=0.1))
    async with bench.running():
        await until(lambda: engine.tried.count("bad") == 3, patience=60)
    # once more in its own place, for it may be innocent; then it waits like what failed
    assert engine.tried == ["bad", "one", "bad", "two", "three", "bad"]
    assert set(bench.seen.starts) == {Result.DIED, Result.DONE}


async def test_jobs_in_flight_when_an_engine_is_restarted_keep_their_places(
    make: Callable[..., Bench], virtual_loop: VirtualLoop
) -> None:
    """Nothing tells a restart by hand from one that a job has caused."""
    engine = MortalEngine(virtual_loop)
    bench = make(Policy(max_concurrent=8), engine=engine, tick=1.0)
    names = [f"job{number:02}" for number in range(40)]
    for name in names:
        bench.add(name, Script(seconds=5.0))
    async with bench.running():
        await until(lambda: len(bench.starting) == 8)
        await pass_time(0.02)
        with pytest.raises(asyncio.CancelledError):
            engine.die("somebody")
        await until(lambda: all(bench.status(n) is not Status.CREATED for n in names[:8]), 15)
        assert virtual_loop.time() - engine.deaths[0][0] < _BOOT + 10
        assert sum(bench.status(name) is not Status.CREATED for name in names) <= 8 + 2 * 8
        await until(lambda: all(has_run(bench, name) for name in names), patience=60)
    assert all(bench.runs(name) == 1 for name in names)


async def test_the_plan_tells_what_a_job_is_charged_with(
    make: Callable[..., Bench], virtual_loop: VirtualLoop
) -> None:
    engine = MortalEngine(virtual_loop, "bad")
    bench = make(engine=engine, tick=1.0)
    uid = bench.add("bad")
    async with bench.running():
        await until(lambda: uid in bench.failed_starts)
        told = str(bench.reconciler.plan(explain=9))
    assert told.startswith("wait   job/bad  StartError, next attempt at ")
    assert "(attempt 2): the engine was lost during its start: " in told


async def test_a_start_in_flight_at_a_controllers_end_is_charged_to_nobody(
    make: Callable[..., Bench], virtual_loop: VirtualLoop
) -> None:
    """The engine lives: the successor's look tells that it has started."""
    engine = MortalEngine(virtual_loop)
    first, second = (make(Policy(max_concurrent=2), engine=engine) for _ in range(2))
    for name in ("one", "two", "three"):
        first.add(name, Script(seconds=0.2))
    async with first.running():
        await until(lambda: len(first.starting) > 0)
    async with second.running():
        await until(lambda: has_run(second, "three"))
    assert len(second.failed_starts) == 0
    assert engine.tried == ["one", "two", "three"]


async def test_silence_that_ends_in_an_outage_is_charged_like_a_death(
    make: Callable[..., Bench],
) -> None:
    """The engine takes all memory first, and ends late."""
    bench = make(Policy(max_concurrent=1), tick=0.2)
    uid = bench.add("slow-death")
    bench.engine.fail("start", EngineTimeoutError("no answer"), ref=uid)
    bench.go_down_with_starts()
    async with bench.running():
        await until(lambda: uid in bench.failed_starts)
    assert bench.seen.starts == [Result.DIED]
