"""What the contract suite needs of an engine beyond the port."""

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from api.engine.interface import Engine, Event, Summary
from api.v1.job import Container, Status
from tests.support.private_engine import IMAGE

LABEL = "contract.test"
_PATIENCE = 30.0


class Subject(ABC):
    """An engine under test; ``label`` (``key=value``) marks the containers of one test."""

    def __init__(self, engine: Engine, label: str) -> None:
        self.engine = engine
        self.label = label

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
        labels: Mapping[str, str] | None = None,
        image: str = IMAGE,
        host: Mapping[str, object] | None = None,
    ) -> str:
        """Create a container of this test."""
        key, _, value = self.label.partition("=")
        body: dict[str, object] = {
            "Image": image,
            "Cmd": list(command),
            "Labels": {**(labels or {}), key: value},
            **({"HostConfig": dict(host)} if host else {}),
        }
        return await self.engine.create(name or self.make_name(), body)

    async def finish(self, command: Sequence[str], **host: object) -> Container:
        """Run a container to its end."""
        container_id = await self.create(command, host=host)
        await self.engine.start(container_id)
        return await self.wait_for(container_id, lambda seen: seen.status is Status.EXITED)

    async def wait_for(
        self, container_id: str, condition: Callable[[Container], bool]
    ) -> Container:
        """Inspect until the condition holds."""
        end = time.monotonic() + _PATIENCE
        while True:
            seen = await self.engine.inspect(container_id)
            if condition(seen):
                return seen
            assert time.monotonic() < end, f"still {seen}"
            await asyncio.sleep(0.01)

    async def list(self) -> list[Summary]:
        """List all containers of this test."""
        return await self.engine.list(labels=[self.label])

    @asynccontextmanager
    async def record(self) -> AsyncIterator["Recording"]:
        """Gather the events of this test's containers for the length of the block."""
        async with self.engine.events([self.label]) as events:
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
        """Take in events, each once: the first second of a stream may repeat some."""
        async for event in events:
            if event not in self.events:
                self.events.append(event)

    async def wait_for(self, action: str, container_id: str, count: int = 1) -> list[Event]:
        """Return all events of a container once it had ``count`` of ``action``."""
        end = time.monotonic() + _PATIENCE
        while True:
            seen = [event for event in self.events if event.id == container_id]
            if sum(event.action == action for event in seen) >= count:
                return seen
            assert time.monotonic() < end, f"no {action} in {seen}"
            await asyncio.sleep(0.01)
