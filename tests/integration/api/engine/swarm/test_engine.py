"""The adapter on a real manager: what only a swarm does, and what two controllers may do to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.errors import ConflictError, OutdatedError
from api.engine.interface import Event, EventKind
from api.engine.swarm.engine import SwarmEngine
from api.v1.job import Job, Status
from api.v1.mark import Mark, name_mark
from api.v1.spec import JobSpec, encode
from api.v1.wishes import decode_wishes
from tests.support.private_engine import IMAGE, PrivateEngine, make_rootfs
from tests.support.swarm_manifests import ECHO, OLD, list_examples

pytestmark = pytest.mark.engine
PATIENCE = 60.0
FULL = {"HostConfig": {"NanoCpus": 1_000_000_000_000}}
"""No node has so many processors."""


class Side:
    """One process beside others: an adapter of its own on the same manager."""

    def __init__(self, manager: PrivateEngine, namespace: str, *, writes_ends: bool) -> None:
        self.engine = SwarmEngine(Endpoint(manager.host), namespace, writes_ends=writes_ends)
        self._namespace = namespace

    async def create(self, name: str, command: list[str], **manifest: Any) -> str:
        """Record a job."""
        return await self.record(name, {"Image": IMAGE, "Cmd": command, **manifest})

    async def record(self, name: str, manifest: Mapping[str, Any]) -> str:
        """Record the job of a manifest."""
        own: Mapping[str, str] = manifest.get("Labels") or {}
        spec = JobSpec(wishes=decode_wishes(own))
        labels = encode(spec, namespace=self._namespace, job_id=name, labels=own)
        body = {key: value for key, value in manifest.items() if key not in {"Name", "Platform"}}
        return (await self.engine.create(name, {**body, "Labels": labels})).uid

    async def start(self, uid: str) -> None:
        """Start a job; the manager itself changes one with ports a moment after its creation."""
        while True:
            with suppress(OutdatedError):
                await self.engine.start(uid)
                return

    async def inspect(self, uid: str) -> Job:
        """Inspect a job that is there."""
        job = await self.engine.inspect(uid)
        assert job is not None
        return job

    async def wait(self, uid: str, condition: Callable[[Job], object]) -> Job:
        """Inspect until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition(job := await self.inspect(uid)):
            assert time.monotonic() < end, f"still {job}"
            await asyncio.sleep(0.02)
        return job

    async def run(self, name: str, command: list[str], **manifest: Any) -> Job:
        """Run a job to its end."""
        uid = await self.create(name, command, **manifest)
        await self.engine.start(uid)
        return await self.wait(uid, lambda job: job.status is Status.EXITED)


@pytest.fixture
async def sides(private_manager: PrivateEngine, namespace: str) -> AsyncIterator[tuple[Side, Side]]:
    """Return a controller's adapter and the API's."""
    controller = Side(private_manager, namespace, writes_ends=True)
    api = Side(private_manager, namespace, writes_ends=False)
    yield controller, api
    await controller.engine.close()
    await api.engine.close()
    left = private_manager.docker("service", "ls", "-q").stdout.split()
    if left:
        private_manager.docker("service", "rm", *left)


def list_tasks(manager: PrivateEngine, uid: str) -> list[str]:
    return manager.docker("service", "ps", "-q", "--no-trunc", uid).stdout.split()


async def test_of_two_controllers_that_have_looked_one_starts(
    sides: tuple[Side, Side], private_manager: PrivateEngine
) -> None:
    one, other = sides
    uid = await one.create("job", ["true"])
    for side in sides:
        assert (await side.inspect(uid)).is_pending
    assert await one.engine.start(uid) is Status.STARTING
    with pytest.raises(OutdatedError):
        await other.engine.start(uid)
    await one.wait(uid, lambda job: job.status is Status.EXITED)
    with pytest.raises(ConflictError):
        await other.engine.start(uid)
    assert len(list_tasks(private_manager, uid)) == 1


async def test_a_start_is_refused_once_a_cancel_is_noted(sides: tuple[Side, Side]) -> None:
    controller, api = sides
    uid = await controller.create("job", ["true"])
    await controller.inspect(uid)
    await api.engine.create_mark(name_mark(uid), Mark("", uid, api.engine.now()))
    with pytest.raises(OutdatedError):
        await controller.engine.start(uid)
    assert (await controller.inspect(uid)).is_pending


async def test_what_no_node_takes_says_why_and_can_be_called_off(
    sides: tuple[Side, Side], private_manager: PrivateEngine
) -> None:
    controller, _ = sides
    uid = await controller.create("job", ["true"], **FULL)
    await controller.engine.start(uid)
    job = await controller.wait(uid, lambda job: job.error)
    assert job.status is Status.STARTING
    assert "insufficient resources" in job.error
    assert await controller.engine.start(uid) is Status.STARTING
    await controller.engine.stop(uid)
    job = await controller.inspect(uid)
    assert (job.is_active, job.started) == (False, False)
    # if the machine was too busy for a look at it, nobody knows that it did not run
    if job.is_pending:
        await controller.engine.start(uid)
        await controller.wait(uid, lambda job: job.error)
        while len(list_tasks(private_manager, uid)) != 1:  # the one that was called off goes
            await asyncio.sleep(0.05)
        assert (await controller.inspect(uid)).status is Status.STARTING


async def test_both_processes_are_told_of_a_run_and_show_its_end_alike(
    sides: tuple[Side, Side],
) -> None:
    controller, api = sides
    told: list[list[Event]] = [[], []]

    async def gather(events: AsyncIterator[Event], found: list[Event]) -> None:
        while True:
            found.append(await anext(events))

    async with AsyncExitStack() as stack:
        tasks = []
        for side, found in zip(sides, told, strict=True):
            events = await stack.enter_async_context(side.engine.events())
            tasks.append(asyncio.create_task(gather(events, found)))
        ended = await controller.run("job", ["sh", "-c", "exit 3"])
        while not all(any(event.kind is EventKind.ENDED for event in found) for found in told):
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for found in told:
        kinds = [event.kind for event in found if event.kind is not EventKind.CHANGED]
        assert kinds == [EventKind.CREATED, EventKind.STARTED, EventKind.ENDED]
        assert [event.exit_code for event in found if event.kind is EventKind.ENDED] == [3]
    # what is noted outlives the tasks, and both read it
    seen = await api.wait(ended.uid, lambda job: job.finished_at)
    assert (seen.exit_code, seen.finished_at) == (3, ended.finished_at)
    assert seen.started_at is not None


async def test_an_end_by_stop_is_shown_when_its_task_is_gone(
    sides: tuple[Side, Side], private_manager: PrivateEngine
) -> None:
    controller, api = sides
    uid = await controller.create("job", ["sleep", "600"], StopTimeout=1)
    await controller.engine.start(uid)
    await controller.wait(uid, lambda job: job.status is Status.RUNNING)
    await controller.engine.stop(uid)
    while list_tasks(private_manager, uid):
        await asyncio.sleep(0.05)
    job = await api.inspect(uid)
    assert (job.status, job.exit_code, job.error) == (Status.EXITED, 137, "")
    assert job.started_at is not None
    with pytest.raises(ConflictError):
        await controller.engine.start(uid)


async def test_what_somebody_sets_to_no_replica_is_over(
    sides: tuple[Side, Side], private_manager: PrivateEngine
) -> None:
    controller, _ = sides
    uid = await controller.create("job", ["sleep", "600"], StopTimeout=1)
    await controller.engine.start(uid)
    await controller.wait(uid, lambda job: job.status is Status.RUNNING)
    private_manager.docker("service", "update", "-d", "--replicas", "0", uid)
    job = await controller.wait(uid, lambda job: not job.is_active)
    assert (job.status, job.is_pending) == (Status.EXITED, False)


@pytest.mark.thorough
async def test_no_label_makes_a_job_run_again_whatever_its_manifest(
    sides: tuple[Side, Side], private_manager: PrivateEngine, tmp_path: Any
) -> None:
    """A manager replaces a task whose part of the service has changed: labels must change none."""
    controller, api = sides
    private_manager.docker("import", "-c", 'ENTRYPOINT ["echo"]', "-", ECHO, stdin=make_rootfs())
    uids = []
    for example in list_examples(str(tmp_path)):
        if example.since <= OLD and example.name not in {"resources", "host"}:
            uids.append(await controller.record(f"job-{example.name}", example.manifest))
            await controller.start(uids[-1])
    for uid in uids:
        await controller.wait(uid, lambda job: job.status not in {Status.STARTING, Status.CREATED})
        await api.engine.create_mark(name_mark(uid), Mark("", uid, api.engine.now()))
    # the manager has gone through all changes when it has started what came after them
    await controller.run("last", ["true"])
    starts = {uid: len(list_tasks(private_manager, uid)) for uid in uids}
    assert starts == dict.fromkeys(uids, 1)
