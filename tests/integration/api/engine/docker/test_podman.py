"""What podman's service answers in words of its own is understood."""

import json

import pytest

from api.engine.docker.engine import DockerEngine
from api.engine.errors import ConflictError
from api.v1.job import Status
from tests.integration.api.engine.docker.conftest import inspect, make_body
from tests.support.proxy import FaultProxy


async def test_a_taken_name_is_a_conflict(
    engine: DockerEngine, proxy: FaultProxy, namespace: str
) -> None:
    text = 'container create: the container name "job" is already in use by 230d5670. You have to'
    proxy.answer("/create", 500, json.dumps({"message": text}))
    with pytest.raises(ConflictError):
        await engine.create("job", make_body(namespace, "job"))


async def test_a_status_that_it_does_not_know_is_not_asked_for(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    await engine.start(container)
    text = {"message": "unknown container state: restarting: invalid argument"}
    proxy.answer("restarting", 500, json.dumps(text))
    listed = await engine.list(statuses=[Status.RUNNING, Status.RESTARTING])
    assert [job.uid for job in listed] == [(await inspect(engine, container)).uid]


async def test_it_stays_the_same_engine_though_its_id_changes(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    facts = {"DockerRootDir": "/var/lib/containers", "BuildahVersion": "1.43"}
    proxy.answer("/info", 200, json.dumps(facts | {"ID": "one"}), times=1)
    before = await engine.info()
    proxy.answer("/info", 200, json.dumps(facts | {"ID": "two"}), times=1)
    assert (await engine.info()).id == before.id
