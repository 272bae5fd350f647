"""What the contract suite needs of an engine beyond the interface."""

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from api.engine.interface import Engine, Event, EventKind, LogStream
from api.v1.job import Job, Status
from api.v1.spec import JobSpec, encode
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


class Subject(ABC):
    """An engine under test, which shows the jobs of ``namespace``."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self.engine = engine
        self.namespace = namespace

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
    ) -> str:
        """Record a job of this test."""
        name = name or self.make_name()
        stamped = encode(spec, namespace=self.namespace, job_id=name, labels=labels or {})
        return await self.add(name, stamped, command, image=image, host=host)

    async def add(
        self,
        name: str,
        labels: Mapping[str, str],
        command: Sequence[str] = ("true",),
        *,
        image: str = IMAGE,
        host: Mapping[str, object] | None = None,
    ) -> str:
        """Create a container with labels of any kind."""
        body: dict[str, object] = {
            "Image": image,
            "Cmd": list(command),
            "Labels": dict(labels),
            **({"HostConfig": dict(host)} if host else {}),
        }
        return (await self.engine.create(name, body)).uid

    async def inspect(self, ref: str) -> Job:
        """Inspect a job that is there."""
        job = await self.engine.inspect(ref)
        assert job is not None, f"{ref} is no job"
        return job

    async def finish(self, command: Sequence[str], **host: object) -> Job:
        """Run a job to its end."""
        uid = await self.create(command, host=host)
        await self.engine.start(uid)
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
