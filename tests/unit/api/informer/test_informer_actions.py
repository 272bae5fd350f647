"""The informer under what acts and breaks do to it."""

import asyncio
import builtins
from dataclasses import replace

from api.engine.errors import EngineInterruptedError, EngineRefusedError
from api.engine.interface import Summary
from api.informer.informer import Informer
from api.informer.inspect_queue import InspectQueue
from api.informer.merge import Observed
from api.informer.resync import ReadKind, ResyncBudget
from api.informer.store import JobStore
from api.v1.job import Status
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.fakes.engine.store import Selection
from tests.unit.controller.rig import until

OURS = {NAMESPACE: "ns"}


class Witness:
    """Keeps the changes it is told of."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        if old is not None and new is None:
            self.lost.append(old.name)

    def on_resync(self) -> None:
        """Do nothing."""


def row(name: str) -> Summary:
    return Summary(name * 32, name, OURS, IMAGE, 1_767_268_800, Status.CREATED, "Created")


async def test_nothing_is_read_after_the_end() -> None:
    reading: set[str] = set()
    begun: list[str] = []

    async def read(container_id: str) -> bool:
        begun.append(container_id)
        reading.add(container_id)
        try:
            await asyncio.Event().wait()
        finally:
            reading.discard(container_id)
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
    store = JobStore("ns", witness, wants_finish=False)
    store.fold_all([row("aa")], store.version())
    mark = store.version()
    store.fold_new([row("bb")], store.version())
    store.fold_all([row("aa")], mark)
    assert [job.name for job in store.known.values()] == ["aa", "bb"]
    assert witness.lost == []


def test_a_list_sent_before_a_job_was_gone_does_not_bring_it_back() -> None:
    witness = Witness()
    store = JobStore("ns", witness, wants_finish=False)
    store.fold_all([row("aa")], store.version())
    mark = store.version()
    store.invalidate(row("aa").id)
    store.fold_container(row("aa").id, None)
    store.fold_all([row("aa")], mark)
    store.fold_container(row("aa").id, None)
    assert (witness.lost, dict(store.known)) == (["aa"], {})


def test_a_job_that_two_lists_show_waiting_is_not_inspected() -> None:
    """The engine lists what it is still creating, and answers an inspect of it with 404."""
    store = JobStore("ns", Witness(), wants_finish=True)
    store.fold_all([], store.version())
    mark = store.version()
    store.fold_new([row("aa")], store.version())
    assert store.fold_all([row("aa")], mark) == set()
    shown = replace(row("aa"), status=Status.RUNNING)
    assert store.fold_all([shown], mark) == {shown.id}


class Overtaken(MemoryEngine):
    """Its answer to a list of ids waits for ``arrive``."""

    def __init__(self) -> None:
        super().__init__(timeout=30.0)
        self.arrive = asyncio.Event()
        self.is_under_way = False

    async def _select(self, wanted: Selection) -> builtins.list[Summary]:
        rows = await super()._select(wanted)
        if wanted.ids:
            self.is_under_way = True
            await self.arrive.wait()
        return rows


async def test_a_list_of_ids_that_a_full_one_overtakes_leaves_no_ghost() -> None:
    engine = Overtaken()
    heard: list[str] = []
    informer = Informer(
        engine,
        "ns",
        Witness(),
        interval=3600.0,
        delay=0.02,
        hear=lambda event: heard.append(event.action),
    )
    readings = informer.readings
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up)
        engine.add("one", {"Image": IMAGE, "Cmd": ["x"], "Labels": OURS})
        await until(lambda: engine.is_under_way)
        engine.destroy("one")
        await until(lambda: "destroy" in heard)
        before = readings[ReadKind.FULL]
        informer.lose(EngineInterruptedError("cut"))
        await until(lambda: readings[ReadKind.FULL] > before)
        engine.arrive.set()
        await until(lambda: readings[ReadKind.SOME] > 0)
        await until(lambda: not informer.store.known)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_image_that_the_engine_cannot_read_hides_no_other_job() -> None:
    engine = MemoryEngine(timeout=0.4)
    engine.add_image("broken")
    engine.add("broken-one", {"Image": "broken", "Cmd": ["x"], "Labels": OURS})
    good = engine.add("good-one", {"Image": IMAGE, "Cmd": ["x"], "Labels": OURS})
    broken = engine.get("broken-one")
    refusal = EngineRefusedError(500, "layer does not exist")
    engine.fail("image_labels", refusal, ref=broken.image, times=None)
    informer = Informer(engine, "ns", Witness(), interval=0.05)
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up)
        assert set(informer.store.known) == {good}
        engine.heal()
        await until(lambda: set(informer.store.known) == {good, broken.id})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_creation_of_what_a_list_has_shown_is_no_news() -> None:
    engine = MemoryEngine(timeout=0.4)
    engine.is_mute = True
    informer = Informer(engine, "ns", Witness(), interval=0.05)
    task = asyncio.create_task(informer.run())
    try:
        job = engine.add("one", {"Image": IMAGE, "Cmd": ["x"], "Labels": OURS})
        await until(lambda: job in informer.store.known)
        before = engine.calls["inspect"]
        engine.is_mute = False
        engine.end_streams()  # the next one begins with the events of the last second
        streams = engine.calls["events"]
        await until(lambda: engine.calls["events"] > streams)
        await asyncio.sleep(0.1)
        assert engine.calls["inspect"] == before
        engine.run("one")
        await until(lambda: informer.store.known[job].started)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_engine_that_goes_is_missed_though_nothing_is_due_to_be_read() -> None:
    engine = MemoryEngine(timeout=0.4)
    thrifty = ResyncBudget(cheap_share=1e-9, full_share=1e-9)
    informer = Informer(engine, "ns", Witness(), interval=3600.0, budget=thrifty)
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up)
        engine.go_down()
        await until(lambda: not informer.engine_status.is_up)
        engine.heal()
        await until(lambda: informer.engine_status.is_up)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_with_a_delay_a_life_is_read_by_lists_and_a_second_run_by_an_inspect() -> None:
    engine = MemoryEngine(timeout=0.4)
    informer = Informer(engine, "ns", Witness(), interval=3600.0, delay=0.02)
    known = informer.store.known
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up)
        job = engine.add("one", {"Image": IMAGE, "Cmd": ["x"], "Labels": OURS})
        await until(lambda: job in known)
        engine.run("one")
        engine.finish("one", 3)
        await until(lambda: known[job].exit_code == 3)
        assert engine.calls["inspect"] == 0
        assert not known[job].detailed
        engine.run("one")
        await until(lambda: known[job].detailed)
        assert engine.calls["inspect"] == 1
        engine.finish("one")
        engine.destroy("one")
        await until(lambda: not known)
        assert engine.calls["inspect"] == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stream_that_ends_at_once_does_not_lead_to_list_after_list() -> None:
    engine = MemoryEngine(timeout=0.4)
    informer = Informer(engine, "ns", Witness(), interval=3600.0)
    ended = 0
    real = engine._subscribe

    def subscribe(labels: frozenset[str]) -> object:
        nonlocal ended
        ended += 1
        asyncio.get_running_loop().call_soon(engine.end_streams)
        return real(labels)

    engine._subscribe = subscribe  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: ended >= 3)
        began = asyncio.get_running_loop().time()
        count = ended
        await until(lambda: ended >= count + 3)
        assert asyncio.get_running_loop().time() - began > 1.0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
