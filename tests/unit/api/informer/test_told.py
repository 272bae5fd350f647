"""What an event tells of a job stands until the next list, and so does what it lies."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

import pytest

from api.engine.errors import EngineUnavailableError
from api.engine.interface import Event, EventKind
from api.informer.credence import Credence
from api.informer.informer import Informer
from api.informer.merge import fold_end, fold_rerun
from api.informer.reflector import Reflector
from api.informer.store import JobStore
from api.v1.job import Job, Status
from api.v1.labels import NAME, PATH
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.host import IMAGE, Happening
from tests.support.jobs import make_job
from tests.support.listeners import Nobody
from tests.unit.api.informer.stage import Stage, open_stage

A_MOMENT: Final = 0.01
TICK: Final = 3.0
SPEC: Final = JobSpec("/job/a", "f", "d", "o", IMAGE)
BOTH: Final = pytest.mark.parametrize("delay", [0.0, 0.5])


@pytest.fixture
def stage() -> Iterable[Stage]:
    with open_stage() as stage:
        stage.add("first")  # a list is to show its image
        stage.loop.jump(5.0)
        yield stage


def add(stage: Stage, name: str, **members: Any) -> str:
    labels = encode(SPEC, namespace="ns", job_id=name, labels={})
    return stage.add(name, Labels=labels | members.pop("labels", {}), **members)


@BOTH
def test_a_new_job_is_known_from_its_event_and_nothing_is_read(stage: Stage, delay: float) -> None:
    async def story(informer: Informer) -> None:
        before = stage.engine.calls.copy()
        uid = add(stage, "second")
        await asyncio.sleep(A_MOMENT)
        job = informer.store.known[uid]
        assert (job.id, job.spec, job.is_pending) == (
            "second",
            SPEC,
            True,
        )
        assert (job.made, job.told, job.detailed) == (True, True, False)
        await asyncio.sleep(60.0)
        assert stage.engine.calls == before

    stage.play(story, delay=delay)


@BOTH
def test_what_the_event_does_not_show_the_next_list_fills_in(stage: Stage, delay: float) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        await asyncio.sleep(TICK)
        job = informer.store.known[uid]
        assert job.likeness == informer.store.known[stage.engine.get("first").id].likeness != ()
        assert (job.told, job.made) == (False, True)
        assert stage.engine.calls["inspect"] == 0

    stage.play(story, delay=delay, interval=TICK)


@BOTH
def test_one_of_an_image_that_nobody_has_seen_is_read(stage: Stage, delay: float) -> None:
    stage.engine.add_image("other", {NAME: "someone"})

    async def story(informer: Informer) -> None:
        before = stage.engine.calls.total()
        uid = add(stage, "second", Image="other")
        await asyncio.sleep(1.0)
        assert stage.engine.calls.total() == before + 1
        assert not informer.store.known[uid].told

    stage.play(story, delay=delay)


def lie(stage: Stage, uid: str, name: str, labels: dict[str, str], kind: str = "create") -> None:
    """Tell of a job what is not so, in an event that is to be believed."""
    engine = stage.engine
    happening = Happening(kind, uid, labels | {"name": name}, engine._tick(), is_certain=True)
    engine.tell(happening)


@BOTH
def test_a_creation_told_while_a_full_list_is_under_way_makes_nothing_of_it_too_old(
    stage: Stage, delay: float
) -> None:
    """A subscription begins with the creations of the last moments, before the first list."""
    stage.engine.add_image("other", {})

    async def story(informer: Informer) -> None:
        stage.engine.hang("list")
        informer.mark_down(EngineUnavailableError("away"))
        await asyncio.sleep(A_MOMENT)
        uids = [add(stage, f"new-{number}", Image="other") for number in range(5)]
        started = add(stage, "started", Image="other")
        stage.engine.run(started)
        await asyncio.sleep(A_MOMENT)
        assert not informer.store.known.keys() & {started, *uids}
        before = stage.engine.calls["inspect"]
        stage.engine.heal()
        await asyncio.sleep(TICK)
        assert informer.store.known.keys() >= {started, *uids}
        # of the one that was touched since, and of the first if it was heard of alone
        assert stage.engine.calls["inspect"] <= before + 2

    stage.play(story, delay=delay)


@BOTH
@pytest.mark.parametrize("wrong", ["name", "labels", "both"])
def test_a_wrong_name_and_wrong_labels_stand_until_the_next_list(
    stage: Stage, delay: float, wrong: str
) -> None:
    async def story(informer: Informer) -> None:
        stage.engine.is_mute = True
        uid = add(stage, "second")
        stage.engine.is_mute = False
        labels = dict(stage.engine.get(uid).labels)
        if wrong != "name":
            labels |= {PATH: "/job/b", NAME: "third"}
        name = "second" if wrong == "labels" else "third"
        lie(stage, uid, name, labels)
        await asyncio.sleep(A_MOMENT)
        assert informer.store.known[uid].told
        await asyncio.sleep(2 * TICK)
        job = informer.store.known[uid]
        assert (job.id, job.spec.path, job.told) == ("second", "/job/a", False)
        assert informer.store.find_uid("second") == uid
        assert informer.store.find_uid("third") is None
        assert stage.engine.calls["inspect"] == 0

    stage.play(story, delay=delay, interval=TICK)


@BOTH
def test_what_is_told_of_and_is_not_there_is_gone_with_the_next_list(
    stage: Stage, delay: float
) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        labels = dict(stage.engine.get(uid).labels)
        stage.engine.is_mute = True
        stage.engine.destroy(uid)
        stage.engine.is_mute = False
        lie(stage, "f" * 64, "second", labels)
        await asyncio.sleep(A_MOMENT)
        assert "f" * 64 in informer.store.known
        await asyncio.sleep(TICK)
        assert informer.store.known.keys() == {stage.engine.get("first").id}

    stage.play(story, delay=delay, interval=TICK)


@BOTH
def test_an_event_that_comes_again_brings_no_job_back(stage: Stage, delay: float) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        creation = stage.engine.history[-1]
        stage.engine.destroy(uid)
        await asyncio.sleep(A_MOMENT)
        stage.engine.tell(creation)
        await asyncio.sleep(A_MOMENT)
        assert uid not in informer.store.known

    stage.play(story, delay=delay)


@BOTH
def test_one_that_comes_late_leads_to_a_look_and_is_believed_no_further(
    stage: Stage, delay: float
) -> None:
    async def story(informer: Informer) -> None:
        stage.engine.is_mute = True
        uid = add(stage, "second")
        creation = stage.engine.history[-1]
        await asyncio.sleep(2.0)
        stage.engine.is_mute = False
        add(stage, "third")
        stage.engine.destroy(uid)
        informer.store.fold_all(await stage.engine.list(), informer.store.version())  # forgets it
        before = stage.engine.calls.total()
        stage.engine.tell(creation)
        await asyncio.sleep(1.0)
        assert stage.engine.calls.total() > before
        assert uid not in informer.store.known

    stage.play(story, delay=delay)


@BOTH
def test_one_that_is_lost_the_next_list_replaces(stage: Stage, delay: float) -> None:
    async def story(informer: Informer) -> None:
        stage.engine.is_mute = True
        uid = add(stage, "second")
        stage.engine.is_mute = False
        await asyncio.sleep(TICK)
        assert informer.store.known[uid].id == "second"

    stage.play(story, delay=delay, interval=TICK)


def test_a_job_whose_start_was_a_lie_waits_again(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        lie(stage, uid, "second", dict(stage.engine.get(uid).labels), "start")
        await asyncio.sleep(A_MOMENT)
        assert informer.store.known[uid].is_active
        await asyncio.sleep(2 * TICK)
        assert informer.store.known[uid].is_pending

    stage.play(story, delay=0.5, interval=TICK)


def make_told(number: int, moment: int) -> Job:
    return make_job(f"{number}", Status.CREATED, moment, made=True, told=True)


def make_row(number: int) -> Job:
    return make_job(f"{number}", Status.CREATED, 0, likeness=("image",))


def sort_by_place(store: JobStore) -> list[str]:
    return sorted(store.known, key=lambda uid: store.known[uid].order)


@pytest.mark.parametrize("told", [(1, 2, 3), (3, 1, 2), (3, 2, 1), (2,), (3, 1)])
def test_the_next_list_gives_each_its_place(told: tuple[int, ...]) -> None:
    """The event of a creation comes at its end, which is in another order than the beginnings."""
    store = JobStore(Nobody(), wants_finish=False)
    store.fold_all([make_row(0)], store.version())
    for moment, number in enumerate(told):
        store.fold_creation(f"{number}", make_told(number, 10 + moment))
    # one that was inspected has its exact time, which is earlier than that of any event
    store.fold_inspect("2", make_job("2", Status.CREATED, 5, exact=True, detailed=True, made=True))
    store.fold_some(["1", "2"], [make_row(2), make_row(1)], store.version())
    store.fold_new([make_row(3), make_row(2), make_row(1)], store.version(), 0)
    assert sort_by_place(store) == ["0", "1", "2", "3"]
    assert not store.told


@pytest.mark.parametrize("knows_first", [False, True])
def test_a_list_of_what_is_new_moves_nothing_if_a_full_list_is_faster(
    stage: Stage, *, knows_first: bool
) -> None:
    """So it is after the start of a process: both are asked for while nothing is known yet."""
    store, engine = JobStore(Nobody(), wants_finish=False), stage.engine
    reflector = Reflector(engine, store)

    async def race() -> list[str]:
        if knows_first:
            await reflector.read_all()
        uids = [stage.add(f"later{number}") for number in range(3)]
        rows, may_answer = await engine.list(since=store.newest), asyncio.Event()

        async def answer(**_: object) -> list[Job]:
            await may_answer.wait()
            return rows

        with patch.object(engine, "list", answer):
            reading = asyncio.create_task(reflector.read_new())
            await asyncio.sleep(0)
        await reflector.inspect(uids[-1])  # its place is exact, and stays as it is
        await reflector.read_all()
        may_answer.set()
        await reading
        return uids

    uids = stage.loop.run_until_complete(race())
    assert sort_by_place(store) == [engine.get("first").id, *uids]


@pytest.mark.parametrize(
    "members", [{}, {"HostConfig": {"RestartPolicy": {"Name": "no"}}}], ids=["without", "no"]
)
def test_a_life_that_nobody_doubts_is_known_without_a_look(
    stage: Stage, members: dict[str, Any]
) -> None:
    """The API knows of a job of its own that the engine does not run it again."""

    async def story(informer: Informer) -> None:
        before = stage.engine.calls.total()
        uid = add(stage, "second", **members)
        await asyncio.sleep(A_MOMENT)
        informer.store.fold_created(replace(informer.store.known[uid], lingers=False))
        stage.engine.run(uid)
        await asyncio.sleep(A_MOMENT)
        assert informer.store.known[uid].is_active
        stage.engine.finish(uid, 3)
        await asyncio.sleep(60.0)
        job = informer.store.known[uid]
        assert (job.status, job.exit_code) == (Status.EXITED, 3)
        stage.engine.destroy(uid)
        await asyncio.sleep(A_MOMENT)
        assert uid not in informer.store.known
        assert stage.engine.calls.total() == before

    stage.play(story, delay=0.5)


def run_second(stage: Stage, informer: Informer, **members: Any) -> Callable[[], Any]:
    """Return what runs a job to its end, and returns its state and the calls made for it."""

    async def run() -> tuple[Job, int]:
        uid = add(stage, "second", **members)
        await asyncio.sleep(A_MOMENT)
        informer.store.fold_created(replace(informer.store.known[uid], lingers=False))
        stage.engine.run(uid)
        await asyncio.sleep(A_MOMENT)
        before = stage.engine.calls.total()
        stage.engine.finish(uid, 3)
        await asyncio.sleep(10.0)
        return informer.store.known[uid], stage.engine.calls.total() - before

    return run


def test_an_exit_code_that_a_label_forges_is_read(stage: Stage) -> None:
    """Docker writes labels over its own attributes, so that every event has the label's."""

    async def story(informer: Informer) -> None:
        job, calls = await run_second(stage, informer, labels={"exitCode": "0"})()
        assert (job.status, job.exit_code) == (Status.EXITED, 3)
        assert calls == 1

    stage.play(story, delay=0.5)


def test_an_end_whose_start_nobody_has_heard_of_is_read(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        await asyncio.sleep(A_MOMENT)
        stage.engine.is_mute = True
        stage.engine.run(uid)
        stage.engine.is_mute = False
        informer.reread(uid)
        await asyncio.sleep(A_MOMENT)
        before = stage.engine.calls.total()
        stage.engine.finish(uid, 3)
        await asyncio.sleep(1.0)
        assert informer.store.known[uid].exit_code == 3
        assert stage.engine.calls.total() == before + 1

    stage.play(story)


def test_a_wrong_exit_code_stands_until_the_next_list(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        await asyncio.sleep(A_MOMENT)
        informer.store.fold_created(replace(informer.store.known[uid], lingers=False))
        stage.engine.run(uid)
        stage.engine.is_mute = True
        stage.engine.finish(uid, 3)
        stage.engine.is_mute = False
        lie(stage, uid, "second", {**stage.engine.get(uid).labels, "exitCode": "0"}, "die")
        await asyncio.sleep(A_MOMENT)
        assert informer.store.known[uid].exit_code == 0
        await asyncio.sleep(TICK)
        assert informer.store.known[uid].exit_code == 3

    stage.play(story, delay=0.5, interval=TICK)


def test_one_that_was_given_a_restart_policy_is_read_when_it_ends(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        uid = add(stage, "second")
        await asyncio.sleep(A_MOMENT)
        informer.store.fold_created(replace(informer.store.known[uid], lingers=False))
        stage.engine.run(uid)
        stage.engine.update(uid, "always")
        stage.engine.finish(uid, 3)
        await asyncio.sleep(10.0)
        assert informer.store.known[uid].status is Status.RUNNING

    stage.play(story, delay=0.5)


def make_credence() -> Credence:
    return Credence(JobStore(Nobody(), wants_finish=False), wants_starts=False)


def test_what_a_subscription_begins_with_is_no_news() -> None:
    credence = make_credence()
    assert credence.judge(Event(EventKind.CREATED, "a", time=7)).is_news
    credence.begin()
    again = credence.judge(Event(EventKind.CREATED, "a", time=7))
    assert (again.is_repeated, again.is_news) == (True, False)
    assert credence.judge(Event(EventKind.CREATED, "b", time=8)).is_news


def test_an_end_is_believed_once_for_each_start_that_was_heard() -> None:
    credence = make_credence()
    start, end = (Event(kind, "a", time=7) for kind in (EventKind.STARTED, EventKind.ENDED))
    end = replace(end, exit_code=3)
    assert credence.judge(end).exit_code is None
    credence.judge(start)
    assert credence.judge(end).exit_code == 3
    assert credence.judge(end).exit_code is None
    credence.judge(start)
    credence.begin()
    assert credence.judge(replace(end, time=8)).exit_code is None


def test_a_start_after_an_end_that_was_told_holds_a_slot_again() -> None:
    running = make_job("a", Status.RUNNING, started=True, lingers=False)
    for ended in (fold_end(running), fold_end(running, 0)):
        assert not ended.is_active
        assert fold_rerun(ended).is_active


def test_a_start_of_what_a_list_has_shown_ended_may_be_the_one_that_ended() -> None:
    shown = make_job("a", Status.EXITED, started=True, exit_code=0)
    assert fold_rerun(shown) == shown
