"""A ``die`` event frees a slot at once: how the job ended is read later."""

import asyncio
from dataclasses import replace

import pytest

from api.engine.interface import Summary
from api.informer.informer import Informer
from api.informer.merge import Observed, fold_container, fold_end, fold_summary
from api.informer.store import JobStore
from api.v1.job import Container, Status
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.listeners import Nobody
from tests.unit.controller.rig import until

RUNNING = Observed("a" * 64, "a", Status.RUNNING, 1, detailed=True, started=True, lingers=False)


def row(status: Status) -> Summary:
    code = 3 if status is Status.EXITED else None
    return Summary(RUNNING.id, "a", {}, IMAGE, 1, status, "", code)


def test_an_end_frees_the_slot_and_says_nothing_else() -> None:
    ended = fold_end(RUNNING)
    assert not ended.is_active
    assert not ended.is_pending
    assert not ended.is_finished
    assert replace(ended, ended=False) == RUNNING


@pytest.mark.parametrize(
    "known",
    [
        replace(RUNNING, lingers=True),
        replace(RUNNING, status=Status.RESTARTING),
        replace(RUNNING, status=Status.EXITED),
        replace(RUNNING, status=Status.CREATED, started=False),
    ],
)
def test_an_end_tells_nothing_of_what_does_not_run_for_good(known: Observed) -> None:
    assert fold_end(known) == known


def test_what_only_a_list_has_shown_lingers() -> None:
    known = fold_summary(None, row(Status.RUNNING), 1)
    assert known is not None
    assert fold_end(known).is_active


def test_a_list_that_knows_less_than_the_event_leads_to_an_inspect() -> None:
    assert fold_summary(fold_end(RUNNING), row(Status.RUNNING), 1) is None


def test_a_list_that_shows_the_end_settles_it() -> None:
    known = fold_summary(fold_end(RUNNING), row(Status.EXITED), 1)
    assert known is not None
    assert (known.is_finished, known.ended, known.exit_code) == (True, False, 3)


def test_an_inspect_that_shows_it_running_again_takes_the_slot_back() -> None:
    container = Container(RUNNING.id, "a", {}, IMAGE, 1, Status.RUNNING, started_at=9, exit_code=0)
    assert fold_container(fold_end(RUNNING), container).is_active


def make_picture(*known: Observed) -> JobStore:
    store = JobStore("ns", Nobody(), wants_finish=False)
    store._known.update({job.id: job for job in known})
    return store


def test_what_a_list_by_ids_does_not_show_is_gone() -> None:
    store = make_picture(RUNNING)
    assert store.fold_some([RUNNING.id], [], store.version()) == set()
    assert not store.known


def test_what_was_touched_since_such_a_list_was_sent_is_not() -> None:
    store = make_picture(RUNNING)
    mark = store.version()
    store.invalidate(RUNNING.id)
    assert store.fold_some([RUNNING.id], [], mark) == {RUNNING.id}
    assert store.known


def test_what_the_engine_may_be_creating_still_is_not() -> None:
    listed = Observed("b" * 64, "b", Status.CREATED, 1)
    store = make_picture(listed)
    assert store.fold_some([listed.id, "c" * 64], [], store.version()) == {listed.id, "c" * 64}
    assert store.known


async def test_what_is_told_to_be_gone_is_gone_without_a_look() -> None:
    engine = MemoryEngine(timeout=0.4)
    informer = Informer(engine, "ns", Nobody(), interval=3600.0)
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up)
        job = engine.add("one", {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "ns"}})
        await until(lambda: job in informer.store.known)
        before = engine.calls.copy()
        engine.destroy("one")
        await until(lambda: not informer.store.known)
        assert engine.calls == before
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_what_was_told_to_be_gone_is_not_looked_for_when_a_list_does_not_show_it() -> None:
    store = make_picture()
    store.fold_container("c" * 64, None)
    assert store.fold_some(["c" * 64], [], store.version()) == set()


@pytest.mark.parametrize(
    ("heard", "active"),
    [
        (["start", "die"], False),
        (["start", "die", "start"], True),
        (["start", "die", "restart"], True),
        (["start"], True),
    ],
)
async def test_what_was_heard_last_during_an_act_counts(heard: list[str], active: bool) -> None:
    engine = MemoryEngine(timeout=0.4)
    body = {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "ns"}}
    job = engine.add("one", body)
    informer = Informer(engine, "ns", Nobody(), interval=3600.0)
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: informer.engine_status.is_up and not informer._is_deaf)
        await asyncio.sleep(0.05)
        informer.hold(job)
        cell = engine._store.find(job)
        for action in heard:
            engine._emit(action, cell)
        await until(lambda: len(informer._expectations._heard[job]) == len(heard))
        engine.hang("inspect", ref=job)
        started = replace(engine.get(job), status=Status.RUNNING, started_at=1)
        informer.take(job, started)
        informer.release(job, known="start")
        assert informer.store.known[job].is_active is active
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
