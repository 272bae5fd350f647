"""One engine under test: in memory, or real. The suite must not be able to tell which."""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineRefusedError, NotFoundError
from api.engine.interface import Engine
from api.v1.job import Job
from api.v1.labels import NAMESPACE
from tests.contract.subject import OUTPUTS, Subject
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.support.private_engine import PrivateEngine


def behave(body: Mapping[str, object]) -> Script:
    """Do what busybox and the engine would do with the bodies of this suite."""
    data: Mapping[str, Any] = body
    match data["Cmd"]:
        case _ if data.get("HostConfig", {}).get("NetworkMode", "none") != "none":
            return Script(refusal=NotFoundError(404, "network not found"))
        case ["sleep", seconds]:
            return Script(seconds=float(seconds), stop_seconds=600.0)  # it heeds no signal
        case ["true"]:
            return Script(seconds=0.0)
        case ["sh", "-c", text]:
            code = int(text.rpartition(" ")[2])
            return Script(seconds=0.05, exit_code=code, output=OUTPUTS.get(text, ()))
        case [command]:
            return Script(refusal=EngineRefusedError(400, f"exec: {command}: no such file"))
        case other:
            raise AssertionError(f"the suite has no such command: {other}")


class MemorySubject(Subject):
    """The in-memory engine."""

    def __init__(self, engine: MemoryEngine, namespace: str) -> None:
        super().__init__(engine, namespace)
        self._memory = engine

    async def pause(self, container_id: str) -> None:
        self._memory.pause(container_id)

    async def unpause(self, container_id: str) -> None:
        self._memory.unpause(container_id)

    async def rename(self, container_id: str, name: str) -> None:
        self._memory.rename(container_id, name)

    async def update(self, container_id: str, restart_policy: str) -> None:
        self._memory.update(container_id, restart_policy)

    async def add_image(self, labels: Mapping[str, str]) -> str:
        tag = f"labelled:{uuid.uuid4().hex}"
        self._memory.add_image(tag, labels)
        return tag


class RealSubject(Subject):
    """A real engine, with the command line doing what the interface cannot."""

    def __init__(self, engine: Engine, namespace: str, host: PrivateEngine) -> None:
        super().__init__(engine, namespace)
        self._host = host

    async def pause(self, container_id: str) -> None:
        self._host.docker("pause", container_id)

    async def unpause(self, container_id: str) -> None:
        self._host.docker("unpause", container_id)

    async def rename(self, container_id: str, name: str) -> None:
        self._host.docker("rename", container_id, name)

    async def update(self, container_id: str, restart_policy: str) -> None:
        self._host.docker("update", "--restart", restart_policy, container_id)

    async def add_image(self, labels: Mapping[str, str]) -> str:
        tag = f"labelled:{uuid.uuid4().hex}"
        self._host.load_image(tag, labels)
        return tag


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.engine)])
async def subject(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Subject]:
    """Return the engine under test, for a namespace of this test's own."""
    if request.param == "memory":
        memory = MemoryEngine(namespace=namespace, behave=behave)
        yield MemorySubject(memory, namespace)
        await memory.close()
        return
    host: PrivateEngine = request.getfixturevalue("private_engine")
    engine = DockerEngine(Endpoint(host.host), namespace)
    yield RealSubject(engine, namespace, host)
    await engine.close()
    ours = f"label={NAMESPACE}={namespace}"
    left = host.docker("ps", "-aq", "--no-trunc", "--filter", ours).stdout.split()
    if left:
        host.docker("rm", "-f", "-v", *left)


@pytest.fixture
def engine(subject: Subject) -> Engine:
    """Return the interface of the engine under test."""
    return subject.engine


@pytest.fixture
async def sleeper(subject: Subject) -> Job:
    """Return a running job."""
    # from 26 on, an engine renames none whose network is gone: private engines have no bridge
    uid = await subject.create(["sleep", "600"], host={"NetworkMode": "none"})
    await subject.engine.start(uid)
    return await subject.inspect(uid)
