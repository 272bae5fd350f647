"""What is read for a job: its service, its tasks where they tell more, nodes where only they do."""

import pytest

from api.engine.errors import NotFoundError
from api.engine.swarm.labels import END, End, encode_end
from api.engine.swarm.reader import Seen
from api.v1.job import Status
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, make_reader
from tests.unit.api.engine.swarm.scenes import UID, make_service_data, make_task_data

DONE = {END: encode_end(End(0, None, None))}


def fill(manager: Manager, number: int) -> list[str]:
    """Have so many jobs that have ended, of which no label tells it."""
    uids = [f"{index:025d}" for index in range(number)]
    for index, uid in enumerate(uids):
        task = make_task_data("complete", desired="shutdown", service=uid, uid=f"t{index:024d}")
        manager.add(make_service_data(uid=uid, job_id=f"job-{index}"), task)
    return uids


async def read_all(manager: Manager) -> list[Seen]:
    reader = make_reader(manager)
    return await reader.complete_all(await reader.get_all())


@on_virtual_time
async def test_a_job_is_found_by_uid_and_by_name_alone() -> None:
    manager = Manager()
    manager.add(make_service_data(replicas=0, start=0))
    reader = make_reader(manager)
    for ref in (UID, "job"):
        seen = await reader.find(ref)
        assert seen is not None
        assert seen.job.uid == UID
    for ref in (UID[:12], "jo", "Job", manager.services[UID]["Spec"]["Name"]):
        with pytest.raises(NotFoundError):
            await reader.find(ref)


@on_virtual_time
async def test_a_job_that_is_called_like_an_id_is_found_by_its_name() -> None:
    manager = Manager()
    manager.add(make_service_data(replicas=0, start=0, job_id="x" * 25))
    seen = await make_reader(manager).find("x" * 25)
    assert seen is not None
    assert seen.job.uid == UID


@on_virtual_time
async def test_of_what_waits_or_is_noted_to_have_ended_no_task_is_read() -> None:
    manager = Manager()
    manager.add(make_service_data(replicas=0, start=0))
    manager.add(make_service_data(uid="d" * 25, job_id="done", labels=DONE))
    statuses = {seen.job.status for seen in await read_all(manager)}
    assert statuses == {Status.CREATED, Status.EXITED}
    assert manager.calls == ["services"]


@on_virtual_time
async def test_ends_that_are_not_noted_are_read_a_hundred_at_a_time() -> None:
    manager = Manager()
    fill(manager, 250)
    seen = await read_all(manager)
    assert {one.job.status for one in seen} == {Status.EXITED}
    # those that run, then three times those that do not
    assert manager.calls == ["services", *["tasks"] * 4]


@on_virtual_time
async def test_what_is_removed_while_it_is_read_keeps_no_other_from_being_read() -> None:
    """A manager shows no tasks at all if one of the services asked for is gone."""
    manager = Manager()
    uids = fill(manager, 40)
    reader = make_reader(manager)
    services = await reader.read_services(uids)
    for uid in (uids[3], uids[17], uids[18]):
        del manager.services[uid]
    seen = await reader.complete(services)
    assert {one.job.uid for one in seen} == {*uids} - {uids[3], uids[17], uids[18]}


@on_virtual_time
async def test_nodes_are_read_only_where_a_task_was_called_off() -> None:
    manager = Manager()
    manager.add(make_service_data(), make_task_data("running"))
    reader = make_reader(manager)
    await reader.find(UID)
    assert "nodes" not in manager.calls
    manager.add(make_service_data(), make_task_data("running", desired="shutdown"))
    manager.is_down = True
    seen = await reader.find(UID)
    assert seen is not None
    assert seen.job.lost
    assert "nodes" in manager.calls


@on_virtual_time
async def test_a_node_is_called_by_its_hosts_name_and_asked_for_once() -> None:
    manager = Manager()
    reader = make_reader(manager)
    assert [await reader.name_node("n" * 25) for _ in range(2)] == ["node-2"] * 2
    assert manager.calls == ["nodes"]
    assert await reader.name_node("gone") == "gone"
