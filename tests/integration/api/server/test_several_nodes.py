"""The API on an engine of several nodes, in memory: what it does not do, and what it shows."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from api.engine.capabilities import Unsupported
from api.engine.errors import OverloadedError
from api.server.filters.service import PullPolicy
from api.server.images.settings import Pulling
from tests.fakes.engine.cluster import NO_NODE, MemoryCluster
from tests.fakes.engine.engine import Script
from tests.support.api import Api, manifest, serve
from tests.support.waiting import until

POINTER, MESSAGE = "/HostConfig/Devices", "Docker Swarm has no devices"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(seconds=0.01, behave=lambda _: Script())


@pytest.fixture
async def api(cluster: MemoryCluster) -> AsyncIterator[Api]:
    async with serve(cluster, "ns", pulling=Pulling(policy=PullPolicy.ALWAYS)) as api:
        yield api


async def start(cluster: MemoryCluster, uid: str) -> None:
    await cluster.inspect(uid)
    await cluster.start(uid)


def has_started(cluster: MemoryCluster, uid: str) -> bool:
    return cluster.get(uid).started_at is not None


async def show(api: Api) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get("/job/job-1")).body
    return body


async def test_no_image_is_looked_at_or_pulled(api: Api, cluster: MemoryCluster) -> None:
    reply = await api.post(manifest("job-1"))
    assert reply.code == 201
    assert (cluster.calls["image_config"], cluster.calls["pull"]) == (0, 0)


@pytest.mark.parametrize("path", ["/job", "/job?dryRun=true"])
async def test_what_the_engine_cannot_do_is_refused_in_its_place(
    api: Api, cluster: MemoryCluster, path: str
) -> None:
    cluster.unsupported = (Unsupported(POINTER, MESSAGE), Unsupported("/Image", "x"))
    reply = await api.post(manifest("job-1"), path)
    error = reply.body["error"]
    assert (reply.code, error["reason"]) == (400, "InvalidManifest")
    assert error["violations"][0] == {"pointer": POINTER, "message": MESSAGE}
    assert error["message"] == f"{POINTER}: {MESSAGE} (and 1 more)"
    assert cluster.names() == ()


async def test_a_cancel_has_no_grace_of_its_own(api: Api, cluster: MemoryCluster) -> None:
    await api.post(manifest("job-1"))
    reply = await api.ask("DELETE", "/job/job-1?grace=3")
    assert (reply.code, reply.body["error"]["reason"]) == (400, "InvalidQuery")
    assert "Swarm" in reply.body["error"]["message"]
    assert cluster.names() == ("job-1",)
    assert (await api.ask("DELETE", "/job/job-1")).code == 200


async def test_a_job_that_waits_for_a_node_is_pending_and_says_what_for(
    api: Api, cluster: MemoryCluster
) -> None:
    cluster.is_full = True
    uid = (await api.post(manifest("job-1"))).body["uid"]
    await start(cluster, uid)
    await until(lambda: cluster.get(uid).error != "")
    job = await show(api)
    assert (job["phase"], job["reason"], job["message"]) == ("Pending", "Scheduling", NO_NODE)
    assert (job["status"], job["startedAt"], job["finished"]) == ("Starting", None, False)
    assert job["waiting"] == {
        "reason": "Scheduling",
        "message": NO_NODE,
        "position": None,
        "until": None,
    }
    async with asyncio.timeout(10):
        while not (await api.get("/job?reason=Scheduling")).body["items"]:
            await asyncio.sleep(0.05)
    reply = await api.ask("DELETE", "/job/job-1")
    assert (reply.code, reply.body["phase"], reply.body["reason"]) == (202, "Pending", "Stopping")
    await cluster.stop(uid)
    assert (await show(api))["phase"] == "Cancelled"


async def test_a_job_that_is_to_start_is_waited_for_to_its_end(
    api: Api, cluster: MemoryCluster
) -> None:
    uid = (await api.post(manifest("job-1"))).body["uid"]
    cluster.script(uid, Script(seconds=0.05, exit_code=3))
    await start(cluster, uid)
    job = (await api.get("/job/job-1?wait=20")).body
    assert (job["phase"], job["exitCode"]) == ("Failed", 3)


async def test_a_job_whose_node_was_lost_has_failed_or_waits_again(
    api: Api, cluster: MemoryCluster
) -> None:
    for name, wish, phase in (
        ("job-1", "Fail", "Failed"),
        ("job-2", "Rerun", "Pending"),
    ):
        uid = (await api.post(manifest(name, Job={"OnNodeLoss": wish}))).body["uid"]
        await start(cluster, uid)
        await until(partial(has_started, cluster, uid))
        cluster.lose(uid)
        job = (await api.get(f"/job/{name}")).body
        assert (job["phase"], job["reason"]) == (phase, "NodeLost")
        assert job["message"] == "node b was lost while it ran"
        assert job["exitCode"] is None
        assert job["finished"] is (phase == "Failed")
        assert job["restarts"] == (phase == "Pending")


async def test_without_a_majority_of_managers_nothing_is_recorded_and_lists_answer(
    api: Api, cluster: MemoryCluster
) -> None:
    await api.post(manifest("job-1"))
    error = OverloadedError(503, "The swarm does not have a leader")
    for call in ("create", "inspect", "list", "info"):
        cluster.fail(call, error, times=None)
    reply = await api.post(manifest("job-2"))
    assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineUnavailable")
    page = (await api.get("/job")).body
    assert [item["id"] for item in page["items"]] == ["job-1"]
    cluster.heal()
    assert (await api.post(manifest("job-2"))).code == 201
