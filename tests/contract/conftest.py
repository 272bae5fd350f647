"""One engine under test: in memory, or real. The suite must not be able to tell which."""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineRefusedError, NotFoundError
from api.engine.interface import Engine
from api.engine.swarm.engine import SwarmEngine
from api.v1.job import Job
from api.v1.labels import NAMESPACE
from tests.contract.subject import OUTPUTS, Difference, Subject
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


class SwarmSubject(RealSubject):
    """A swarm of one node."""

    def differs(self, _difference: Difference) -> bool:
        return True

    async def pause(self, container_id: str) -> None:
        self._host.docker("pause", self._find_container(container_id))

    async def unpause(self, container_id: str) -> None:
        self._host.docker("unpause", self._find_container(container_id))

    async def rename(self, container_id: str, name: str) -> None:
        raise AssertionError(f"{container_id} is not called {name}: {Difference.NO_RENAME}")

    async def update(self, container_id: str, restart_policy: str) -> None:
        condition = {"no": "none", "always": "any"}[restart_policy]
        self._host.docker("service", "update", "-d", "--restart-condition", condition, container_id)

    async def clear(self, uid: str) -> None:
        self._host.docker("service", "rm", uid)

    def _find_container(self, uid: str) -> str:
        ours = f"label=com.docker.swarm.service.id={uid}"
        return self._host.docker("ps", "-q", "--filter", ours).stdout.strip()


_PARAMS = [
    "memory",
    pytest.param("real", marks=pytest.mark.engine),
    pytest.param("swarm", marks=pytest.mark.engine),
]


_QUICK = frozenset(
    {
        "test_a_taken_name_is_a_conflict_until_it_is_free",
        "test_a_job_is_found_by_uid_and_name_and_by_no_part_of_them",
        "test_a_started_container_runs_and_a_second_start_changes_nothing",
        "test_an_end_is_told_with_its_code",
        "test_a_start_may_be_not_found_though_the_container_is_there",
        "test_a_removed_container_is_gone_and_removing_it_again_is_no_error",
        "test_what_an_image_makes_look_like_a_job_is_none",
        "test_a_life_is_told_in_order",
        "test_a_refused_start_is_told_by_no_event",
        "test_a_list_is_newest_first_within_a_second_too",
        "test_statuses_filter",
        "test_times_are_bounds_to_the_nanosecond_and_tail_comes_first",
        "test_a_mark_is_found_and_listed_and_is_no_job",
        "test_a_second_mark_of_a_name_is_a_conflict",
        "test_the_events_of_a_mark_say_so",
        "test_a_stop_ends_a_running_job",
    }
)
"""What each run asks of a swarm, too; there a start takes most of a second."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of what is asked of a swarm to the thorough run."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            is_swarm = item.callspec.params.get("subject") == "swarm"
            if is_swarm and item.originalname not in _QUICK:
                item.add_marker("thorough")


@pytest.fixture(params=_PARAMS)
async def subject(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Subject]:
    """Return the engine under test, for a namespace of this test's own."""
    if request.param == "memory":
        memory = MemoryEngine(namespace=namespace, behave=behave)
        yield MemorySubject(memory, namespace)
        await memory.close()
        return
    if request.param == "swarm":
        manager: PrivateEngine = request.getfixturevalue("private_manager")
        swarm = SwarmEngine(Endpoint(manager.host), namespace, writes_ends=True)
        yield SwarmSubject(swarm, namespace, manager)
        await swarm.close()
        left = manager.docker("service", "ls", "-q").stdout.split()
        if left:
            manager.docker("service", "rm", *left)
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
    host = {"NetworkMode": "none"}
    grace = 1 if subject.differs(Difference.OWN_GRACE) else None
    uid = await subject.create(["sleep", "600"], host=host, stop_timeout=grace)
    return await subject.start(uid)
