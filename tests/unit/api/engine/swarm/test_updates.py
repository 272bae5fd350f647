"""Updates of services: fenced, repeated where another was faster, never touching what runs."""

import asyncio
from functools import partial
from typing import Any

import pytest

from api.engine.errors import ConflictError, NotFoundError, OutdatedError
from api.engine.swarm.ends import Ends
from api.engine.swarm.labels import END, LOSS, STOP, Loss, Stop, decode_loss, decode_stop
from api.engine.swarm.marks import Marks
from api.engine.swarm.services import Service
from api.engine.swarm.updates import Spec, Updates, plan_start, plan_stop, set_labels
from api.v1.mark import Mark, name_mark, name_purge
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, make_reader
from tests.unit.api.engine.swarm.scenes import (
    UID,
    make_service_data,
    make_service_of,
    make_task_data,
)

NOBODY = "f" * 64


def make_updates(manager: Manager) -> Updates:
    calls: Any = manager
    return Updates(calls, make_reader(manager))


def make_marks(manager: Manager) -> Marks:
    reader, updates = make_reader(manager), make_updates(manager)
    return Marks(reader, updates, Ends(reader, updates, writes=False))


def test_a_start_makes_a_new_task_and_changes_nothing_else() -> None:
    waiting = make_service_of(replicas=0, start=0)
    spec = plan_start(waiting)
    assert spec["Mode"] == {"Replicated": {"Replicas": 1}}
    assert spec["TaskTemplate"] == {**waiting.spec["TaskTemplate"], "ForceUpdate": 1}
    assert spec["Labels"] == waiting.labels
    again = plan_start(make_service_of(start=4))
    assert again["TaskTemplate"]["ForceUpdate"] == 5


def test_a_start_forgets_a_stop_and_notes_the_run_that_it_repeats() -> None:
    loss = Loss(2, "t" * 25, "node node-2 was lost")
    spec = plan_start(make_service_of(replicas=0, labels={STOP: "{}"}), loss)
    assert decode_stop(spec["Labels"]) is None
    assert decode_loss(spec["Labels"]) == loss
    assert LOSS not in plan_start(make_service_of())["Labels"]


def test_a_stop_is_noted_by_the_update_that_stops() -> None:
    stop = Stop(7, ran=True, started_at=3)
    running = make_service_of()
    spec = plan_stop(running, stop)
    assert spec is not None
    assert spec["Mode"] == {"Replicated": {"Replicas": 0}}
    assert spec["TaskTemplate"] == running.spec["TaskTemplate"]
    assert decode_stop(spec["Labels"]) == stop
    assert plan_stop(make_service_of(replicas=0), stop) is None


def test_labels_change_without_the_task() -> None:
    service = make_service_of(labels={"a": "1"})
    spec = set_labels(service.spec, {"a": None, "b": "2"})
    assert {**spec, "Labels": None} == {**service.spec, "Labels": None}
    assert (spec["Labels"].get("a"), spec["Labels"]["b"]) == (None, "2")


@on_virtual_time
async def test_what_has_changed_since_it_was_read_is_not_updated() -> None:
    manager = Manager()
    manager.add(make_service_data(replicas=0, start=0))
    updates, seen = make_updates(manager), await make_reader(manager).find(UID)
    assert seen is not None
    await updates.send(seen.service, plan_start(seen.service))
    with pytest.raises(OutdatedError):
        await updates.send(seen.service, plan_start(seen.service))
    assert len(manager.sent) == 1


@on_virtual_time
async def test_of_rivals_each_change_is_made_once() -> None:
    manager = Manager(0.01)
    manager.add(make_service_data(replicas=0, start=0))
    updates = make_updates(manager)

    def put(service: Service, *, key: str) -> Spec:
        return set_labels(service.spec, {key: "1"})

    await asyncio.gather(*(updates.change(UID, partial(put, key=key)) for key in "abcde"))
    assert manager.services[UID]["Spec"]["Labels"].keys() >= set("abcde")
    assert len(manager.sent) == 5


@on_virtual_time
async def test_of_marks_of_one_kind_one_is_made() -> None:
    manager = Manager(0.01)
    manager.add(make_service_data(replicas=0, start=0))
    marks = make_marks(manager)
    made = await asyncio.gather(
        *(marks.create(name_mark(UID), Mark("", UID, at)) for at in range(4)),
        return_exceptions=True,
    )
    assert made.count(f"{UID}.cancel") == 1
    assert sum(isinstance(error, ConflictError) for error in made) == 3
    assert await marks.create(name_purge(UID), Mark("", UID, 9, purge=True)) == f"{UID}.purge"
    await marks.remove(f"{UID}.cancel")
    assert await marks.find(name_mark(UID)) is None
    assert await marks.find(name_purge(UID)) == Mark(f"{UID}.purge", UID, 9, purge=True)


@on_virtual_time
async def test_no_mark_lets_the_swarm_start_what_was_rejected_twice() -> None:
    """At an update the task of the first start may count as the newest, and is replaced."""
    manager = Manager()
    first, second = (
        make_task_data(
            "rejected", start=start, uid=f"{start}" * 25, created=start, has_container=False
        )
        for start in (1, 2)
    )
    manager.add(make_service_data(start=2), first, second)
    marks = make_marks(manager)
    await marks.create(name_mark(UID), Mark("", UID, 7))
    before, noted = manager.sent
    assert before["Mode"] == {"Replicated": {"Replicas": 0}}
    assert decode_stop(before["Labels"]) == Stop(7, ran=False)
    assert noted["Mode"] == before["Mode"]
    assert await marks.find(name_mark(UID)) == Mark(f"{UID}.cancel", UID, 7)


@on_virtual_time
async def test_no_mark_lets_the_swarm_run_again_what_has_ended() -> None:
    manager = Manager()
    manager.add(make_service_data(start=2), make_task_data("complete", start=2))
    await make_marks(manager).create(name_purge(UID), Mark("", UID, 9, purge=True))
    ended, _ = manager.sent
    assert END in ended["Labels"]
    assert ended["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==none"]


@on_virtual_time
async def test_the_mark_of_a_job_that_runs_leaves_its_task_alone() -> None:
    manager = Manager()
    manager.add(make_service_data(start=2), make_task_data("running", start=2))
    await make_marks(manager).create(name_mark(UID), Mark("", UID, 7))
    (noted,) = manager.sent
    assert noted["TaskTemplate"] == make_service_data(start=2)["Spec"]["TaskTemplate"]


@on_virtual_time
async def test_what_is_gone_has_no_mark_and_a_mark_of_it_can_be_removed() -> None:
    marks = make_marks(Manager())
    with pytest.raises(NotFoundError):
        await marks.create(name_mark(UID), Mark("", UID, 1))
    await marks.remove(f"{UID}.cancel")
    assert await marks.find(name_mark(UID)) is None


@pytest.mark.parametrize("name", ["a-job", name_mark(NOBODY), name_mark("../tasks"), ""])
def test_what_is_called_otherwise_is_no_mark(name: str) -> None:
    @on_virtual_time
    async def ask() -> None:
        manager = Manager()
        marks = make_marks(manager)
        assert await marks.find(name) is None
        with pytest.raises(NotFoundError):
            await marks.create(name, Mark("", name.rpartition("-")[2], 1))
        assert manager.calls == []

    ask()
