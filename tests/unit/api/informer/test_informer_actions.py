"""The informer under what acts and breaks do to it."""

import asyncio
import builtins
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from api.engine.errors import EngineInterruptedError
from api.engine.interface import EventKind
from api.informer.informer import Informer
from api.informer.inspect_queue import InspectQueue
from api.informer.resync import ReadKind, ResyncBudget
from api.informer.store import JobStore
from api.v1.job import Job, Status
from tests.fakes.engine.engine import MemoryEngine
from tests.fakes.engine.store import Selection
from tests.support.jobs import make_job
from tests.support.listeners import Nobody
from tests.unit.api.informer.stage import Stage, open_stage

A_MOMENT = 0.01


class Witness(Nobody):
    """Keeps the losses it is told of."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def on_change(self, old: Job | None, new: Job | None) -> None:
        if old is not None and new is None:
            self.lost.append(old.uid)


def row(uid: str) -> Job:
    return make_job(uid, Status.CREATED, text="Created")


async def test_nothing_is_read_after_the_end() -> None:
    reading: set[str] = set()
    begun: list[str] = []

    async def read(uid: str) -> bool:
        begun.append(uid)
        reading.add(uid)
        try:
            await asyncio.Event().wait()
        finally:
            reading.discard(uid)
        return True

    inspections = InspectQueue(read)
    for i in range(100):
        inspections.request(f"c{i}")
    await asyncio.sleep(0)
    count = len(begun)
    await inspections.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (len(begun), reading) == (count, set())


def test_a_full_list_sent_before_a_job_was_found_does_not_lose_it() -> None:
    witness = Witness()
    store = JobStore(witness, wants_finish=False)
    store.fold_all([row("aa")], store.version())
    version = store.version()
    store.fold_new([row("bb")], store.version(), 0)
    store.fold_all([row("aa")], version)
    assert list(store.known) == ["aa", "bb"]
    assert witness.lost == []


def test_a_list_sent_before_a_job_was_gone_does_not_bring_it_back() -> None:
    witness = Witness()
    store = JobStore(witness, wants_finish=False)
    store.fold_all([row("aa")], store.version())
    version = store.version()
    store.invalidate("aa")
    store.fold_inspect("aa", None)
    store.fold_all([row("aa")], version)
    store.fold_inspect("aa", None)
    assert (witness.lost, dict(store.known)) == (["aa"], {})


def test_a_row_of_a_job_that_is_gone_hides_no_other_that_is() -> None:
    """As many rows as jobs are known does not mean that they are the same."""
    witness = Witness()
    store = JobStore(witness, wants_finish=False)
    store.fold_all([row("bb"), row("aa")], store.version())
    version = store.version()
    store.invalidate("bb")
    store.fold_inspect("bb", None)
    store.fold_all([row("bb")], version)
    assert (witness.lost, dict(store.known)) == (["bb", "aa"], {})


def test_a_job_that_two_lists_show_waiting_is_not_inspected() -> None:
    """The engine lists what it is still creating, and answers an inspect of it with 404."""
    store = JobStore(Nobody(), wants_finish=True)
    store.fold_all([], store.version())
    version = store.version()
    store.fold_new([row("aa")], store.version(), 0)
    assert store.fold_all([row("aa")], version) == set()
    shown = replace(row("aa"), status=Status.RUNNING, started=True)
    assert store.fold_all([shown], version) == {"aa"}


class Overtaken(MemoryEngine):
    """Its answer to a list of uids waits for ``arrive``."""

    def __init__(self, clock: Callable[[], int], timeout: float) -> None:
        super().__init__(clock=clock, timeout=timeout)
        self.arrive = asyncio.Event()
        self.is_under_way = False

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        rows = await super()._select(wanted)
        if wanted.uids:
            self.is_under_way = True
            await self.arrive.wait()
        return rows


def test_a_list_of_uids_that_a_full_one_overtakes_leaves_no_ghost() -> None:
    with open_stage(Overtaken) as stage:
        engine = stage.engine
        assert isinstance(engine, Overtaken)

        async def story(informer: Informer) -> None:
            stage.add("one")
            await asyncio.sleep(1.0)
            assert engine.is_under_way
            engine.destroy("one")
            await asyncio.sleep(A_MOMENT)
            before = informer.readings[ReadKind.FULL]
            informer.mark_down(EngineInterruptedError("cut"))
            await asyncio.sleep(A_MOMENT)
            assert informer.readings[ReadKind.FULL] > before
            engine.arrive.set()
            await asyncio.sleep(5.0)
            assert informer.readings[ReadKind.SOME] > 0
            assert not informer.store.known

        stage.play(story, delay=0.02)


@pytest.fixture
def stage() -> Iterable[Stage]:
    with open_stage() as stage:
        yield stage


def test_the_creation_of_what_a_list_has_shown_is_no_news(stage: Stage) -> None:
    stage.engine.is_mute = True

    async def story(informer: Informer) -> None:
        job = stage.add("one")
        await asyncio.sleep(0.3)
        assert job in informer.store.known
        before, streams = stage.engine.calls["inspect"], stage.engine.calls["events"]
        stage.engine.is_mute = False
        stage.engine.end_streams()  # the next one begins with the events of the last second
        await asyncio.sleep(0.5)
        assert stage.engine.calls["events"] > streams
        assert stage.engine.calls["inspect"] == before
        stage.engine.run("one")
        await asyncio.sleep(A_MOMENT)
        assert informer.store.known[job].started

    stage.play(story, interval=0.05)


class Stuck(MemoryEngine):
    """Its lists show ``stuck`` running for good, as a full disk leaves them."""

    stuck: str | None = None

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        rows = await super()._select(wanted)
        return [
            replace(row, status=Status.RUNNING, exit_code=None) if row.uid == self.stuck else row
            for row in rows
        ]


@pytest.mark.parametrize("delay", [0.0, 0.5])
@pytest.mark.parametrize("is_small", [True, False])
def test_a_slot_that_a_list_shows_taken_is_free_once_an_inspect_shows_an_end(
    delay: float, is_small: bool
) -> None:
    budget = None if is_small else ResyncBudget(cheap_share=0.001, longest=600, full_cost=100.0)
    with open_stage(Stuck) as stage:
        engine = stage.engine
        assert isinstance(engine, Stuck)
        engine.stuck = job = stage.add("job")
        engine.run(job)
        engine.finish(job)

        async def story(informer: Informer) -> None:
            if not delay:
                await asyncio.sleep(A_MOMENT)
                assert (job in informer.store.active) is False
            await asyncio.sleep(70.0)
            assert informer.store.known[job].status is Status.EXITED
            assert not informer.store.active
            other = stage.add("other")
            engine.run(other)
            await asyncio.sleep(2.0)
            assert other in informer.store.active
            # no event tells of its end, and every list says that it runs
            engine.is_mute, engine.stuck = True, other
            engine.finish(other)
            await asyncio.sleep(70.0)
            assert not informer.store.active

        stage.play(story, delay=delay, budget=budget, interval=3.0)


def test_a_stream_that_is_silent_about_our_own_creates_is_replaced(stage: Stage) -> None:
    """Though nothing else would be read for long, and no list shows anything new."""
    budget = ResyncBudget(cheap_share=1e-9, full_share=1e-9, longest=600, cheap_cost=9, full_cost=9)

    async def story(informer: Informer) -> None:
        await asyncio.sleep(40.0)
        streams = stage.engine.calls["events"]
        stage.engine.is_mute = True
        seen = await stage.engine.inspect(stage.add("job"))
        assert seen is not None
        informer.store.fold_created(seen)
        await asyncio.sleep(12.0)
        assert stage.engine.calls["events"] == streams + 1
        stage.engine.is_mute = False
        seen = await stage.engine.inspect(stage.add("heard"))
        assert seen is not None
        informer.store.fold_created(seen)
        await asyncio.sleep(65.0)
        assert stage.engine.calls["events"] == streams + 1

    stage.play(story, budget=budget, interval=3.0, delay=0.5)


def test_an_engine_that_goes_is_missed_though_nothing_is_due_to_be_read(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        stage.engine.go_down()
        await asyncio.sleep(1.0)
        assert not informer.engine_status.is_up
        stage.engine.heal()
        await asyncio.sleep(10.0)
        assert informer.engine_status.is_up

    stage.play(story, budget=ResyncBudget(cheap_share=1e-9, full_share=1e-9))


def test_with_a_delay_a_life_is_read_by_lists_and_a_second_run_by_an_inspect(stage: Stage) -> None:
    engine = stage.engine

    async def story(informer: Informer) -> None:
        known = informer.store.known
        job = stage.add("one")
        await asyncio.sleep(1.0)
        assert job in known
        engine.run("one")
        engine.finish("one", 3)
        await asyncio.sleep(1.0)
        assert (known[job].exit_code, known[job].detailed) == (3, False)
        assert engine.calls["inspect"] == 0
        engine.run("one")
        await asyncio.sleep(1.0)
        assert known[job].detailed
        assert engine.calls["inspect"] == 1
        engine.finish("one")
        engine.destroy("one")
        await asyncio.sleep(1.0)
        assert not known
        assert engine.calls["inspect"] == 1

    stage.play(story, delay=0.02)


def test_a_stream_that_ends_at_once_does_not_lead_to_list_after_list(stage: Stage) -> None:
    real = stage.engine._subscribe

    def subscribe() -> object:
        stage.loop.call_soon(stage.engine.end_streams)
        return real()

    stage.engine._subscribe = subscribe  # type: ignore[method-assign,assignment]

    async def story(_: Informer) -> None:
        await asyncio.sleep(60.0)
        assert 25 < stage.engine.calls["events"] < 40
        assert stage.engine.calls["list"] < 80

    stage.play(story)


def test_a_job_that_is_told_to_be_gone_is_gone_without_an_inspect(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        job = stage.add("one")
        await asyncio.sleep(1.0)
        assert job in informer.store.known
        before = stage.engine.calls.copy()
        stage.engine.destroy("one")
        await asyncio.sleep(A_MOMENT)
        assert not informer.store.known
        assert stage.engine.calls == before

    stage.play(story)


def test_a_job_that_goes_during_an_act_is_gone_without_an_inspect(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        job = stage.add("one")
        await asyncio.sleep(1.0)
        before = stage.engine.calls.copy()
        informer.hold(job)
        stage.engine.destroy("one")
        await asyncio.sleep(A_MOMENT)
        informer.release(job)
        await asyncio.sleep(A_MOMENT)
        assert not informer.store.known
        assert stage.engine.calls == before

    stage.play(story)


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_a_renamed_job_stays_the_same(stage: Stage, delay: float) -> None:
    witness = Witness()

    async def story(informer: Informer) -> None:
        name = "job-1"
        labels = {"docker-job-dispatcher.name": name, "docker-job-dispatcher.namespace": "ns"}
        job = stage.add(name, Labels=labels)
        for status in (Status.CREATED, Status.RUNNING, Status.EXITED):
            if status is Status.RUNNING:
                stage.engine.run(job)
            elif status is Status.EXITED:
                stage.engine.finish(job)
            stage.engine.rename(job, f"renamed-{status}")
            await asyncio.sleep(5.0)
            assert informer.store.known[job].id == name
            assert informer.store.find_uid(name) == job
        assert witness.lost == []

    stage.play(story, witness, delay=delay, interval=1.0)


@pytest.mark.parametrize(
    ("actions", "is_active"),
    [
        (["start", "die"], False),
        (["start", "die", "start"], True),
        (["start", "die", "restart"], True),
        (["start"], True),
    ],
)
def test_the_newest_start_or_end_during_an_act_counts(
    stage: Stage, actions: list[str], is_active: bool
) -> None:
    job = stage.add("one")

    async def story(informer: Informer) -> None:
        await asyncio.sleep(1.0)
        informer.hold(job)
        for action in actions:
            stage.engine._emit(action, stage.engine._store.find(job))
        await asyncio.sleep(A_MOMENT)
        stage.engine.hang("inspect", ref=job)
        known = informer.store.known[job]
        informer.fold(job, replace(known, status=Status.RUNNING, started=True, lingers=False))
        informer.release(job, known=EventKind.STARTED)
        assert informer.store.known[job].is_active is is_active

    stage.play(story, wants_finish=True)
