"""What the contract suite needs of an engine beyond the interface."""

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum

import pytest

from api.engine.errors import EngineError
from api.engine.interface import Engine, Event, EventKind, LogStream
from api.v1.job import Job, Status
from api.v1.spec import JobSpec, encode
from api.v1.wishes import NodeLoss, Wishes
from tests.support.private_engine import IMAGE

_PATIENCE = 30.0
SPEAK = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo; printf three; exit 0"
SPEAK_LONG = "printf '%40000s\\n' x; printf '%32768s\\n' y; exit 0"
OUTPUTS: Mapping[str, Sequence[tuple[LogStream, bytes]]] = {
    SPEAK: [
        (LogStream.STDOUT, b"one\n"),
        (LogStream.STDERR, b"two\n"),
        (LogStream.STDOUT, b"\n"),
        (LogStream.STDOUT, b"three"),
    ],
    SPEAK_LONG: [(LogStream.STDOUT, b"%40000s\n%32768s\n" % (b"x", b"y"))],
}
"""What the commands of this suite that write anything write."""
SPEC = JobSpec(path="/job/test", filter="test", document="0f", image=IMAGE)
RERUN = replace(SPEC, wishes=Wishes(on_node_loss=NodeLoss.RERUN))
"""That of a job with a restart policy: a swarm takes the loss of a node for a failure."""


class Difference(StrEnum):
    """What is otherwise on a swarm, and why. Whatever is not here is the same on all engines."""

    UIDS = "a service's id has 25 digits and letters, a container's 64 digits"
    CHECKED_AT_START = "a manager has no images: only the node that is to run a job finds a fault"
    STARTS_LATER = "a start is told to a manager, and a node carries it out or cannot"
    RUNS_ONCE = "a job that has run is never started again: no answer tells which run it is of"
    NO_RENAME = "a service keeps its name"
    NO_PAUSE = "a manager does not know that somebody has paused a container on its node"
    NO_HOST_PORTS = "the swarm gives no second job a port that the first has not freed"
    NO_IMAGE_LABELS = "an image's labels do not become those of a service"
    NAMED_JOBS = (
        "a service's name is made of its job's id: both must agree, and the original has none"
    )
    MARKS_ARE_LABELS = "a mark is a label of its job's service, and goes with it"
    SHOWS_ALL = "a list and an event come with all that an inspect shows"
    OWN_GRACE = "the grace of a stop is the manifest's, or else is written down for each job"
    OWN_PACE = "most events are made of looks, which have a pace of their own: no pause is awaited"
    SLOW_RESTARTS = "a policy's restart waits for 5 s"


class Subject(ABC):
    """An engine under test, which shows the jobs of ``namespace``."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self.engine = engine
        self.namespace = namespace

    def differs(self, _difference: Difference) -> bool:
        """Tell whether this engine does it in the other way."""
        return False

    @abstractmethod
    async def pause(self, container_id: str) -> None:
        """Suspend a container."""

    @abstractmethod
    async def unpause(self, container_id: str) -> None:
        """Let a container go on."""

    @abstractmethod
    async def rename(self, container_id: str, name: str) -> None:
        """Give a container another name."""

    @abstractmethod
    async def update(self, container_id: str, restart_policy: str) -> None:
        """Give a container another restart policy."""

    async def clear(self, uid: str) -> None:
        """Remove what is no job."""
        await self.engine.remove(uid)

    @abstractmethod
    async def add_image(self, labels: Mapping[str, str]) -> str:
        """Add an image with labels and return its tag."""

    def make_name(self) -> str:
        """Return a name nobody uses."""
        return f"contract-{uuid.uuid4().hex[:12]}"

    async def create(
        self,
        command: Sequence[str] = ("true",),
        *,
        name: str | None = None,
        spec: JobSpec = SPEC,
        image: str = IMAGE,
        labels: Mapping[str, str] | None = None,
        host: Mapping[str, object] | None = None,
        stop_timeout: int | None = None,
    ) -> str:
        """Record a job of this test."""
        name = name or self.make_name()
        stamped = encode(spec, namespace=self.namespace, job_id=name, labels=labels or {})
        return await self.add(
            name, stamped, command, image=image, host=host, stop_timeout=stop_timeout
        )

    async def add(
        self,
        name: str,
        labels: Mapping[str, str],
        command: Sequence[str] = ("true",),
        *,
        image: str = IMAGE,
        host: Mapping[str, object] | None = None,
        stop_timeout: int | None = None,
    ) -> str:
        """Create a container with labels of any kind."""
        body: dict[str, object] = {
            "Image": image,
            "Cmd": list(command),
            "Labels": dict(labels),
            **({"HostConfig": dict(host)} if host else {}),
            **({} if stop_timeout is None else {"StopTimeout": stop_timeout}),
        }
        return (await self.engine.create(name, body)).uid

    async def start(self, uid: str) -> Job:
        """Start a job, and wait until it has started or, on several nodes, could not."""
        await self.engine.start(uid)
        return await self.wait_for(uid, lambda seen: seen.status is not Status.STARTING)

    async def start_in_vain(self, uid: str) -> str:
        """Start a job that cannot be started, and return why."""
        if self.differs(Difference.STARTS_LATER):
            job = await self.start(uid)
            assert job.is_pending
            return job.error
        with pytest.raises(EngineError) as refusal:
            await self.engine.start(uid)
        return getattr(refusal.value, "message", "")

    async def inspect(self, ref: str) -> Job:
        """Inspect a job that is there."""
        job = await self.engine.inspect(ref)
        assert job is not None, f"{ref} is no job"
        return job

    async def finish(self, command: Sequence[str], **host: object) -> Job:
        """Run a job to its end."""
        uid = await self.create(command, host=host)
        await self.start(uid)
        return await self.wait_for(uid, lambda seen: seen.status is Status.EXITED)

    async def wait_for(self, uid: str, condition: Callable[[Job], bool]) -> Job:
        """Inspect until the condition holds."""
        end = time.monotonic() + _PATIENCE
        while True:
            seen = await self.inspect(uid)
            if condition(seen):
                return seen
            assert time.monotonic() < end, f"still {seen}"
            await asyncio.sleep(0.01)

    async def list(self) -> list[Job]:
        """List all jobs of this test."""
        return await self.engine.list()

    @asynccontextmanager
    async def record(self) -> AsyncIterator["Recording"]:
        """Gather the events of this test's jobs for the length of the block."""
        async with self.engine.events() as events:
            recording = Recording()
            task = asyncio.create_task(recording.gather(events))
            try:
                yield recording
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Recording:
    """Events as they come."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def find_kinds(self, uid: str) -> list[EventKind]:
        """Return what was told of a job, but that it changed: that may be told at any time."""
        kinds = [event.kind for event in self.events if event.uid == uid]
        return [kind for kind in kinds if kind is not EventKind.CHANGED]

    async def gather(self, events: AsyncIterator[Event]) -> None:
        """Keep events, each once: the first second of a stream may repeat some."""
        async for event in events:
            if event not in self.events:
                self.events.append(event)

    async def wait_for(self, kind: EventKind, uid: str, count: int = 1) -> list[Event]:
        """Return all events of a job once it had ``count`` of ``kind``."""
        end = time.monotonic() + _PATIENCE
        while True:
            seen = [event for event in self.events if event.uid == uid]
            if sum(event.kind is kind for event in seen) >= count:
                return seen
            assert time.monotonic() < end, f"no {kind} in {seen}"
            await asyncio.sleep(0.01)
