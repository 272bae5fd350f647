"""The lead as a lease: one alone acts at any moment, and a dead one is replaced soon."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.engine.interface import EngineInfo
from api.v1.job import Status
from controller.executor import Executor
from controller.leadership import Role
from controller.lease import LOST, RENEWED, TAKEN, Lease
from controller.outcome import Result
from controller.plan import Start
from controller.policy import Policy
from controller.reconciler import Reconciler
from tests.fakes.engine.cluster import MemoryCluster
from tests.fakes.engine.engine import Script
from tests.fakes.lease import MemoryRecord, MemoryStore
from tests.support.virtual_time import VirtualLoop, on_virtual_time
from tests.unit.controller.rig import Bench, pass_time, until

SWARM = EngineInfo(id="swarm", version="20.10.24", api_version=(1, 41), cpus=2)
OTHER = EngineInfo(id="other", version="20.10.24", api_version=(1, 41), cpus=2)


@dataclass
class Rival:
    """A lease, its store, and the task that keeps it."""

    lease: Lease
    store: MemoryStore
    task: asyncio.Task[None]

    def acts(self) -> bool:
        return self.lease.acquire(SWARM)

    def die(self) -> None:
        self.task.cancel()


class Match:
    """Rivals for one record; ``watch`` lets time pass and sees that never two act."""

    def __init__(self) -> None:
        self.record = MemoryRecord()
        self.rivals: list[Rival] = []
        self._names = count()

    def add(self, chance: Random | None = None) -> Rival:
        store = MemoryStore(self.record, chance)
        clock = asyncio.get_running_loop().time
        lease = Lease(store, f"rival-{next(self._names)}", clock=clock)
        rival = Rival(lease, store, asyncio.create_task(lease.keep()))
        self.rivals.append(rival)
        lease.acquire(SWARM)
        return rival

    async def watch(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> float:
        """Let time pass until something holds, and return how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() < began + seconds and not is_over():
            assert sum(rival.acts() for rival in self.rivals) <= 1
            await asyncio.sleep(0.1)
        return loop.time() - began

    async def end(self) -> None:
        for rival in self.rivals:
            rival.task.cancel()
        await asyncio.gather(*(rival.task for rival in self.rivals), return_exceptions=True)


@pytest.fixture
def match() -> Iterator[Match]:
    match = Match()
    yield match
    for rival in match.rivals:
        rival.die()


async def test_one_has_it_for_as_long_as_it_renews_it(match: Match) -> None:
    first, second = match.add(), match.add()
    await match.watch(1, first.acts)
    assert first.lease.holds(SWARM)
    assert first.lease.find_rival() == ""
    await match.watch(1000)
    assert second.lease.find_rival().endswith(": rival-0")
    assert first.acts()
    assert not second.acts()
    assert match.record.history == ["rival-0"]
    assert match.record.claim is not None
    assert match.record.claim.version >= 1000 / (RENEWED + 0.1)


async def test_a_dead_holder_is_replaced_within_15_seconds(match: Match) -> None:
    holder = match.add()
    await match.watch(1, holder.acts)
    for wait in (0.5, 2.9):
        other = match.add()
        await match.watch(20 + wait)
        holder.die()
        assert TAKEN - RENEWED <= await match.watch(20, other.acts) < 15
        holder = other


async def test_what_is_given_up_is_taken_at_once(match: Match) -> None:
    first, second = match.add(), match.add()
    await match.watch(5, first.acts)
    first.die()
    await first.lease.give_up()
    assert not first.lease.may_act()
    assert first.store.is_closed
    assert await match.watch(20, second.acts) < 1.5


async def test_a_holder_that_was_stopped_for_20_seconds_acts_no_more_before_another_does(
    match: Match,
) -> None:
    first, second = match.add(), match.add()
    await match.watch(10, first.acts)
    first.store.freeze()
    assert await match.watch(20, lambda: not first.acts()) <= LOST
    assert not second.acts()
    await match.watch(20, second.acts)
    first.store.thaw()
    await match.watch(100)
    assert second.acts()
    assert not first.acts()
    assert match.record.history == ["rival-0", "rival-1"]


async def test_a_holder_that_is_cut_off_stops_by_its_own_clock_and_may_have_it_back(
    match: Match,
) -> None:
    first = match.add()
    await match.watch(10, first.acts)
    first.store.is_cut = True
    assert LOST - RENEWED <= await match.watch(20, lambda: not first.acts()) <= LOST + 0.1
    assert first.lease.find_loss(SWARM) != ""
    assert first.lease.find_loss(SWARM) == ""
    await match.watch(100)
    first.store.is_cut = False
    assert await match.watch(20, first.acts) < 1.5


async def test_a_renewal_whose_answer_is_lost_costs_nobody_the_lead(match: Match) -> None:
    first = match.add()
    second = match.add()
    await match.watch(10, first.acts)
    for _ in range(5):
        first.store.loses_answers = True
        await match.watch(RENEWED + 1)
        first.store.loses_answers = False
        await match.watch(RENEWED + 1, lambda: not first.acts())
        assert first.acts()
    assert not second.acts()


async def test_it_is_held_on_one_engine_alone(match: Match) -> None:
    first = match.add()
    await match.watch(10, first.acts)
    assert not first.lease.holds(OTHER)
    assert not first.lease.acquire(OTHER)
    assert not first.lease.may_act()


async def test_nobody_asks_for_it_before_the_engine_has_answered() -> None:
    record = MemoryRecord()
    lease = Lease(MemoryStore(record), "one", clock=asyncio.get_running_loop().time)
    task = asyncio.create_task(lease.keep())
    await pass_time(60)
    assert record.claim is None
    task.cancel()


@settings(max_examples=30)
@given(st.integers(0, 10**9))
def test_never_two_act_whatever_becomes_of_calls_and_processes(seed: int) -> None:
    @on_virtual_time
    async def play() -> None:
        chance, game = Random(seed), Match()
        for _ in range(3):
            game.add(Random(chance.random()))
        for _ in range(12):
            rival = chance.choice(game.rivals)
            match chance.randrange(4):
                case 0:
                    rival.store.freeze()
                case 1:
                    rival.die()
                    game.rivals.remove(rival)
                    game.add(Random(chance.random()))
                case 2:
                    rival.store.is_cut = True
                case _:
                    rival.store.thaw()
                    rival.store.is_cut = False
            await game.watch(chance.choice([1.0, 5.0, 30.0]))
        for rival in game.rivals:
            rival.store.thaw()
            rival.store.is_cut = False
        await game.watch(300, lambda: any(rival.acts() for rival in game.rivals))
        assert any(rival.acts() for rival in game.rivals)
        await game.end()

    play()


async def test_a_start_that_was_decided_on_before_the_lead_was_lost_is_not_sent(
    virtual_loop: VirtualLoop, make: Callable[..., Bench]
) -> None:
    bench = make(engine=MemoryCluster(clock=virtual_loop.now_ns))
    job = bench.add("job")
    for may_start, result in ((False, Result.CHANGED), (True, Result.DONE)):
        executor = Executor(bench.engine, patience=1, may_start=partial(bool, may_start))
        outcome = await executor.execute(Start(job, "job", "slot free", 1))
        assert outcome.result is result
        assert bench.engine.calls["start"] == may_start


class TwoControllers:
    """Two reconcilers on one swarm, each with a lease."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster
        record, clock = MemoryRecord(), asyncio.get_running_loop().time
        self.stores = [MemoryStore(record), MemoryStore(record)]
        self.both = [
            Reconciler(
                cluster,
                Policy(max_concurrent=2),
                Lease(store, f"controller-{number}", clock=clock),
                interval=3.0,
                patience=0.4,
            )
            for number, store in enumerate(self.stores)
        ]

    @contextmanager
    def running(self) -> Iterator[list[asyncio.Task[None]]]:
        tasks = [asyncio.create_task(each.run()) for each in self.both]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()


async def test_a_successor_goes_on_and_the_limit_holds(
    virtual_loop: VirtualLoop, make: Callable[..., Bench]
) -> None:
    cluster = MemoryCluster(seconds=0.5, clock=virtual_loop.now_ns, timeout=0.4)
    bench = make(engine=cluster)  # for its short words; it does not run
    for number in range(40):
        bench.add(f"job{number}", Script(seconds=5.0))
    pair = TwoControllers(cluster)
    most = 0
    with pair.running() as tasks:
        await until(lambda: pair.both[0].role is Role.ACTIVE)
        for second in range(200):
            await pass_time(0.5)
            active = [n for n in cluster.names() if cluster.get(n).status in _HOLDING]
            most = max(most, len(active))
            if second == 20:
                pair.stores[0].freeze()
            if second == 70:
                pair.stores[0].thaw()
                assert pair.both[1].role is Role.ACTIVE
                assert pair.both[0].role is not Role.ACTIVE
            if second == 90:
                tasks[1].cancel()
        assert pair.both[0].role is Role.ACTIVE
        await until(
            lambda: all(cluster.get(n).status is Status.EXITED for n in cluster.names()), 60
        )
    assert most == 2
    assert sorted(bench.started()) == sorted(cluster.names())


_HOLDING = {Status.STARTING, Status.RUNNING}
