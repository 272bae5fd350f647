"""A ``die`` event frees a slot at once: how the job ended is read later."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from api.engine.docker.decode import tell_lingering
from api.engine.interface import Summary
from api.informer.informer import Informer
from api.informer.merge import Observed, fold_container, fold_end, fold_summary
from api.informer.store import Broadcast, JobStore
from api.v1.job import Container, Status
from api.v1.labels import NAMESPACE
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.unit.controller.rig import Bench, until

HOUR = 3600 * 1_000_000_000
RUNNING = Observed("a" * 64, "a", Status.RUNNING, 1, detailed=True, started=True, lingers=False)


def row(status: Status) -> Summary:
    code = 3 if status is Status.EXITED else None
    return Summary(RUNNING.id, "a", {}, IMAGE, 1, status, "", code)


def add_with_policy(bench: Bench, name: str, policy: str) -> str:
    host = {"RestartPolicy": {"Name": policy, "MaximumRetryCount": 1}}
    body = {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "ns"}, "HostConfig": host}
    return bench.engine.add(name, body)


async def until_started(bench: Bench, name: str) -> None:
    """Wait until a job runs and the controller has heard that it does."""
    await until(lambda: bench.status(name) is Status.RUNNING)
    await until(lambda: not bench.starting)


@pytest.mark.parametrize("policy", ["", "no"])
async def test_the_next_job_does_not_wait_until_the_end_of_the_last_was_read(
    make: Callable[..., Bench], policy: str
) -> None:
    bench = make(Policy(max_concurrent=1, keep_exited_for=HOUR), tick=3600.0)
    first = add_with_policy(bench, "first", policy)
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish("first", 3)
        await until(lambda: bench.status("second") is Status.RUNNING)
        assert bench.reconciler.index.jobs[first].ended
        bench.engine.heal()
        await until(lambda: bench.reconciler.index.jobs[first].exit_code == 3)
        assert bench.reconciler.index.jobs[first].is_finished
    assert len(bench.seen.handovers) == 1


async def test_an_end_that_is_told_before_its_start_is_confirmed_counts_as_well(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1, keep_exited_for=HOUR), tick=3600.0)
    first = bench.add("first")
    bench.add("second")
    real_start = bench.engine.start

    async def end_before_the_answer(container_id: str) -> None:
        bench.engine.start = real_start  # type: ignore[method-assign]
        await real_start(container_id)
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish(container_id)
        await until(lambda: container_id in bench.reconciler._handover._ended)

    bench.engine.start = end_before_the_answer  # type: ignore[method-assign]
    async with bench.running():
        await until(lambda: bench.status("second") is Status.RUNNING)
        assert bench.reconciler.index.jobs[first].ended


async def test_one_that_the_engine_may_run_again_keeps_its_slot_until_it_was_read(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = add_with_policy(bench, "first", "on-failure")
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.hang("inspect", ref=first)
        bench.engine.finish("first", 3)
        await until(lambda: bench.runs("first") == 2)
        await asyncio.sleep(0.05)
        assert bench.status("second") is Status.CREATED
        bench.engine.heal()
        bench.engine.finish("first", 0)
        await until(lambda: bench.status("second") is Status.RUNNING)


async def test_one_that_was_given_a_restart_policy_while_it_ran_keeps_its_slot(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = bench.add("first")
    bench.add("second")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.update("first", "always")
        await until(lambda: bench.reconciler.index.jobs[first].lingers)
        bench.engine.finish("first")
        await until(lambda: bench.runs("first") == 2)
        assert bench.status("second") is Status.CREATED


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
    store = JobStore("ns", Broadcast(), wants_finish=False)
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
    informer = Informer(engine, "ns", Broadcast(), interval=3600.0)
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


async def test_an_end_that_is_told_again_frees_no_slot(make: Callable[..., Bench]) -> None:
    bench = make(Policy(max_concurrent=1), tick=3600.0)
    first = bench.add("first")
    async with bench.running():
        await until_started(bench, "first")
        bench.engine.finish("first")
        bench.engine.run("first")  # as someone else may
        await until(lambda: bench.reconciler.index.jobs[first].is_active)
        bench.add("second")
        streams = bench.engine.calls["events"]
        bench.engine.cut_streams()  # the next one begins with the last second
        await until(lambda: bench.engine.calls["events"] > streams)
        await until(lambda: bench.reconciler.index.pending == 1)
        await asyncio.sleep(0.1)
        assert bench.status("second") is Status.CREATED
        bench.engine.finish("first")
        await until(lambda: bench.status("second") is Status.RUNNING)


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
    informer = Informer(engine, "ns", Broadcast(), interval=3600.0)
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


@pytest.mark.parametrize(
    ("host", "networks", "mounts", "lingers"),
    [
        ({}, {}, [], False),
        ({"RestartPolicy": {"Name": "no"}}, {"bridge": None}, [{"Type": "bind"}], False),
        ({"PortBindings": {}}, {"mine": {"IPAMConfig": {}}}, [{"Driver": "local"}], False),
        ({"RestartPolicy": {"Name": "on-failure"}}, {}, [], True),
        ({"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, {}, [], True),
        ({"PublishAllPorts": True}, {}, [], True),
        ({}, {"mine": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}}, [], True),
        ({}, {}, [{"Type": "bind"}, {"Type": "volume", "Driver": "block"}], True),
    ],
)
def test_what_holds_more_than_its_process_lingers(
    host: dict[str, object],
    networks: dict[str, dict[str, object] | None],
    mounts: list[dict[str, object]],
    lingers: bool,
) -> None:
    assert tell_lingering(host, networks, mounts) is lingers
