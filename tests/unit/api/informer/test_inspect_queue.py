"""Inspects are few: each id once at a time, each end once in its life, the silent ones apart."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from api.engine.errors import EngineTimeoutError
from api.informer.informer import Informer
from api.informer.inspect_queue import InspectQueue
from api.informer.resync import LongRuns, ReadKind, ResyncBudget
from api.v1.job import Job, Status
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.listeners import Nobody
from tests.support.virtual_time import VirtualLoop
from tests.unit.api.informer.stage import virtual_monotonic

NS = "blue"


class CountingEngine(MemoryEngine):
    """Counts inspects by id."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(namespace=NS, clock=loop.now_ns, timeout=2.0)
        self.inspected: Counter[str] = Counter()

    async def inspect(self, ref: str) -> Job | None:
        self.inspected[ref] += 1
        return await super().inspect(ref)

    def add_job(self, name: str) -> str:
        labels = encode(JobSpec(), namespace=NS, job_id=name, labels={})
        return self.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    with virtual_monotonic(loop):
        yield loop
    loop.close()


async def watch(engine: MemoryEngine, seconds: float) -> Informer:
    """Look on for some time; what happened before is too old for the stream to repeat it."""
    await asyncio.sleep(5.0)
    informer = Informer(engine, Nobody(), interval=3.0, wants_finish=True)
    task = asyncio.ensure_future(informer.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return informer


def test_an_end_is_inspected_at_first_and_never_again_and_the_queue_not_at_all(
    loop: VirtualLoop,
) -> None:
    engine = CountingEngine(loop)
    pending = {engine.add_job(f"pending-{number}") for number in range(50)}
    exited = {engine.add_job(f"exited-{number}") for number in range(50)}
    for uid in exited:
        engine.run(uid)
        engine.finish(uid)

    async def run() -> None:
        watching = asyncio.ensure_future(watch(engine, 3600.0))
        await asyncio.sleep(10.0)
        assert set(engine.inspected) == exited
        engine.inspected.clear()
        informer = await watching
        assert set(informer.store.known) == pending | exited
        assert not engine.inspected

    loop.run(run())


def test_an_unchanged_host_is_only_listed(loop: VirtualLoop) -> None:
    engine = CountingEngine(loop)
    engine.add_job("pending")
    loop.run(watch(engine, 600.0))
    assert not engine.inspected
    assert engine.calls["list"] >= 10


def test_a_silent_container_is_a_suspect_until_it_answers(loop: VirtualLoop) -> None:
    engine = CountingEngine(loop)
    silent, other = engine.add_job("silent"), engine.add_job("other")
    engine.hang("inspect", ref=silent)

    async def run() -> None:
        informer = Informer(engine, Nobody(), interval=3.0, wants_finish=True)
        task = asyncio.ensure_future(informer.run())
        await asyncio.sleep(1.0)
        for uid in (silent, other):
            engine.run(uid)
        await asyncio.sleep(10.0)
        assert informer.unresponsive == {silent}
        assert informer.store.known[other].detailed
        assert informer.engine_status.is_up
        engine.heal()
        await asyncio.sleep(10.0)
        assert not informer.unresponsive
        assert informer.store.known[silent].status is Status.RUNNING
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    loop.run(run())


def test_an_id_is_read_once_at_a_time_and_once_more_if_asked_for_meanwhile(
    loop: VirtualLoop,
) -> None:
    readings: Counter[str] = Counter()
    under_way: Counter[str] = Counter()

    async def read(uid: str) -> bool:
        readings[uid] += 1
        under_way[uid] += 1
        assert under_way[uid] == 1
        await asyncio.sleep(1.0)
        under_way[uid] -= 1
        return True

    async def run() -> None:
        inspections = InspectQueue(read)
        inspections.request("a")
        await asyncio.sleep(0.1)
        for _ in range(5):
            inspections.request("a")
        inspections.request("b")
        await asyncio.sleep(10.0)

    loop.run(run())
    assert readings == {"a": 2, "b": 1}


def test_suspects_hold_up_nobody(loop: VirtualLoop) -> None:
    done: dict[str, float] = {}

    async def read(uid: str) -> bool:
        if uid.startswith("silent"):
            await asyncio.sleep(10.0)
            return False
        done[uid] = loop.time()
        return True

    async def run() -> None:
        inspections = InspectQueue(read)
        for number in range(100):
            inspections.suspect(f"silent-{number}")
        inspections.request("sound")
        await asyncio.sleep(5.0)
        assert done == {"sound": 0.0}
        assert len(inspections.unresponsive) == 100
        await inspections.close()

    loop.run(run())


def test_close_leaves_no_reading_behind(loop: VirtualLoop) -> None:
    async def read(_: str) -> bool:
        await asyncio.sleep(1000.0)
        raise EngineTimeoutError("never reached")

    async def run() -> None:
        inspections = InspectQueue(read)
        for number in range(40):
            inspections.request(str(number))
        await asyncio.sleep(0.1)
        await inspections.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(run())


def spend(
    budget: ResyncBudget, seconds: float, cheap: float, full: float, *, is_active: bool = False
) -> Counter[ReadKind]:
    """Tick every 3 seconds and return how often each reading was chosen."""
    chosen: Counter[ReadKind] = Counter()
    now = 0.0
    while now < seconds:
        reading = budget.choose(now, is_active=is_active)
        chosen[reading] += 1
        cost = {ReadKind.CHEAP: cheap, ReadKind.FULL: full}.get(reading, 0.0)
        budget.record(reading, now, now + cost)
        now += 3.0
    return chosen


def test_on_a_small_host_every_tick_reads_everything() -> None:
    chosen = spend(ResyncBudget(), 600, cheap=0.001, full=0.01)
    assert set(chosen) == {ReadKind.FULL}


def test_on_a_big_host_the_cheap_part_is_read_between_full_lists() -> None:
    chosen = spend(ResyncBudget(), 6000, cheap=0.02, full=0.2)
    assert chosen[ReadKind.FULL] * 0.2 <= 0.006 * 6000
    assert chosen[ReadKind.CHEAP] >= 3 * chosen[ReadKind.FULL]


def test_a_host_of_ten_thousand_jobs_is_read_in_the_share_of_time_that_readings_may_take() -> None:
    chosen = spend(ResyncBudget(), 60_000, cheap=0.5, full=2.0)
    assert chosen[ReadKind.FULL] * 2.0 <= 0.006 * 60_000
    assert chosen[ReadKind.CHEAP] * 0.5 <= 0.003 * 60_000


@pytest.mark.parametrize(("cost", "pause"), [(0.001, 3), (0.1, 12), (0.5, 51)])
def test_while_jobs_are_active_a_busy_engine_postpones_no_look_at_them_for_long(
    cost: float, pause: float
) -> None:
    """Events may have fallen silent: a slot must not be idle until then."""
    chosen = spend(ResyncBudget(), 6000, cheap=cost, full=3.0, is_active=True)
    readings = chosen[ReadKind.CHEAP] + chosen[ReadKind.FULL]
    assert readings * pause == pytest.approx(6000, rel=0.05)


def test_however_big_the_host_is_everything_is_read_once_in_ten_minutes() -> None:
    chosen = spend(ResyncBudget(), 60_000, cheap=5.0, full=50.0)
    assert chosen[ReadKind.FULL] >= 95


def test_without_events_readings_may_take_ten_times_their_share() -> None:
    budget = ResyncBudget()
    for _ in range(4):
        budget.record(ReadKind.CHEAP, 0.0, 0.02)
        budget.record(ReadKind.FULL, 0.0, 0.2)
    assert budget.choose(3.0) is ReadKind.NOTHING
    assert budget.choose(3.0, is_unwatched=True) is ReadKind.CHEAP
    assert budget.choose(4.1, is_unwatched=True) is ReadKind.FULL


def test_one_reading_that_had_to_wait_keeps_no_one_from_reading_on() -> None:
    budget = ResyncBudget(cheap_share=0.001, full_share=0.001, longest=600)
    for began, cost in ((0.0, 0.005), (10.0, 1.8), (20.0, 0.005)):
        assert budget.choose(began) is ReadKind.FULL
        budget.record(ReadKind.FULL, began, began + cost)
    assert budget.choose(30.0) is ReadKind.FULL


def test_what_holds_a_slot_for_long_is_due_once_a_minute() -> None:
    runs, due = LongRuns(), []
    for second in range(0, 200, 5):
        active = {"long"} | ({"short"} if second < 60 else set())
        due += [(second, uid) for uid in runs.find_due(active, float(second))]
    assert due == [(60, "long"), (120, "long"), (180, "long")]


def test_many_long_runs_are_not_inspected_more_often_than_twice_a_second() -> None:
    runs, active = LongRuns(), [str(number) for number in range(600)]
    due = sum(len(runs.find_due(active, float(second))) for second in range(0, 901, 3))
    assert due == 3 * 600
