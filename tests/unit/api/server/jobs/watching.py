"""What the API knows of jobs, on an engine in memory and on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from api.engine.interface import Event
from api.informer.informer import Informer
from api.server.jobs.collected import Collected
from api.server.jobs.details import Details
from api.server.jobs.index import JobIndex
from api.server.jobs.listeners import Listeners
from api.server.jobs.lookup import Jobs
from api.server.jobs.slots import Slots
from api.server.jobs.waiting import Waiting
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.support.virtual_time import VirtualLoop
from tests.unit.api.informer.stage import virtual_monotonic

T = TypeVar("T")


class Desk:
    """An informer as the API has it, with all that listens to it."""

    def __init__(self, start_seconds: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.engine = MemoryEngine(clock=loop.now_ns, start_seconds=start_seconds)
        self.index = JobIndex(self.engine.now)
        self.collected = Collected()
        self.waiting = Waiting(self.collected)
        self.slots = Slots(self.collected, self.engine.now)
        self.informer = Informer(
            self.engine,
            Listeners(self.collected, self.index, self.waiting, self.slots),
            interval=3.0,
            delay=0.5,
            on_event=self._on_event,
        )
        self.jobs = Jobs(self.engine, self.informer.store, self.informer.catch_up)
        self.index.attach(self.informer)
        self.collected.attach(self.informer.store)
        self.waiting.attach(self.informer, self.jobs)
        self.details = Details(self.informer.reflector.inspect)
        self.tasks: set[asyncio.Task[Any]] = set()

    def play(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something beside."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        return task

    def _on_event(self, event: Event) -> None:
        self.collected.on_event(event)
        self.waiting.on_event(event)

    def add(
        self, name: str, script: Script | None = None, *, path: str = "/job", **labels: str
    ) -> str:
        """Record a job that does what ``script`` says once started."""
        stamped = encode(JobSpec(path), namespace="ns", job_id=name, labels=labels)
        uid = self.engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": stamped})
        self.engine.script(uid, script or Script())
        return uid


@asynccontextmanager
async def open_desk(*, start_seconds: float = 0.0) -> AsyncIterator[Desk]:
    """Yield a desk whose informer has read everything; a start takes ``start_seconds``."""
    desk = Desk(start_seconds)
    with virtual_monotonic(desk.loop):
        running = asyncio.create_task(desk.informer.run())
        try:
            await asyncio.sleep(0.1)
            yield desk
        finally:
            for task in desk.tasks:
                task.cancel()
            await asyncio.gather(*desk.tasks, return_exceptions=True)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await desk.details.close()
