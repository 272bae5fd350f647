"""The Engine interface in memory: the twin of a Docker Engine for tests and simulations.

``tests/contract`` holds it equal to a real one. Cheap enough for 100,000 containers.
"""

import asyncio
import builtins
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    NoLogError,
    NotFoundError,
)
from api.engine.interface import (
    CreatedJob,
    Credentials,
    EngineInfo,
    Event,
    LogReading,
    Pause,
    Progress,
)
from api.v1.condition import DEFAULT_GRACE
from api.v1.job import ACTIVE, Job, Status
from api.v1.mark import Mark, encode_mark
from tests.fakes.engine.faults import Fault, Faults
from tests.fakes.engine.host import IMAGE, MemoryHost
from tests.fakes.engine.logs import MemoryReading
from tests.fakes.engine.store import (
    Script,
    Selection,
    is_ours,
    make_job,
    make_mark,
    tells_mark,
)

__all__ = ["IMAGE", "MemoryEngine", "Script"]

MARK_IMAGE: Final = "docker-job-dispatcher-mark:1"


class MemoryEngine(MemoryHost):
    """A Docker Engine without processes.

    A start takes ``start_seconds``, during which inspect of that container waits; a call ends
    after ``timeout`` seconds. ``calls`` counts calls by method; ``published`` is what can be
    pulled; ``warnings`` come with every create. While ``is_down``, no call gets
    through. For ``namespace``, ``clock`` and ``behave`` see :class:`MemoryHost`.
    """

    def __init__(
        self,
        *,
        namespace: str = "ns",
        clock: Callable[[], int] = time.time_ns,
        behave: Callable[[Mapping[str, object]], Script] = lambda _: Script(),
        start_seconds: float = 0.0,
        timeout: float = 10.0,
    ) -> None:
        super().__init__(namespace, clock, behave)
        self._start_seconds = start_seconds
        self._timeout = timeout
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._faults = Faults(timeout)
        self.facts = EngineInfo(id="memory", version="0", api_version=(1, 41), cpus=2)
        self.calls: Counter[str] = Counter()
        self.published: set[str] = set()
        self.image_configs: dict[str, Mapping[str, Any]] = {}
        self.warnings: tuple[str, ...] = ()
        self.is_down = False

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> CreatedJob:
        """Create a container; see the Engine interface. ``platform`` is not looked at."""
        del platform
        fault = await self._enter("create", name)
        container_id = self.add(name, body) if _is_carried_out(fault) else ""
        _raise(fault)
        return CreatedJob(container_id, self.warnings)

    async def inspect(self, ref: str) -> Job | None:
        """Read one container; see the Engine interface. Waits while a start of it is in flight."""
        _raise(await self._enter("inspect", ref))
        cell = self._store.find(ref)
        await self._wait_for_start(cell.id)
        cell = self._store.find(cell.id)
        if ref not in {cell.id, cell.container.name}:
            raise NotFoundError(404, f"No such container: {ref}")
        if not is_ours(cell.container, self._namespace, self._images):
            return None
        return make_job(cell, self._namespace, self._images)

    def find_unsupported(self, body: Mapping[str, object]) -> tuple[Unsupported, ...]:
        """Find nothing; see the Engine interface."""
        del body
        return ()

    async def start(self, container_id: str) -> Status:
        """Start a container; see the Engine interface. It goes on when the caller has left."""
        fault, status = await self._enter("start", container_id), Status.RUNNING
        if fault is not None and fault.takes_effect and fault.after:
            asyncio.get_running_loop().call_later(fault.after, self._start_late, container_id)
        elif _is_carried_out(fault):
            status = await self._start(container_id)
        _raise(fault)
        return status

    async def stop(self, container_id: str, grace: int | None = None) -> None:
        """Stop a container; see the Engine interface. It goes on when the caller has left."""
        fault = await self._enter("stop", container_id)
        if _is_carried_out(fault):
            await self._stop(container_id, grace)
        _raise(fault)

    async def _stop(self, container_id: str, grace: int | None) -> None:
        cell = self._store.find(container_id)
        await self._wait_for_start(cell.id)
        if cell.container.status not in ACTIVE:
            return
        if grace is None:
            own = make_job(cell, self._namespace, self._images).stop_timeout
            grace = DEFAULT_GRACE if own is None else own
        seconds = self.stop_now(cell.id, grace)
        deadline = self._timeout + max(grace, 0)
        await asyncio.sleep(deadline if seconds is None else min(seconds, deadline))
        if cell.id in self._store and cell.container.status in ACTIVE:
            raise EngineTimeoutError("no answer within the deadline")

    async def create_mark(self, name: str, mark: Mark) -> str:
        """Create a mark; see the Engine interface. Its image is imported where it is missing."""
        fault = await self._enter("create_mark", name)
        uid = ""
        if _is_carried_out(fault):
            if MARK_IMAGE not in self._images:
                self.add_image(MARK_IMAGE)
            labels = encode_mark(mark, namespace=self._namespace)
            uid = self.add(name, {"Image": MARK_IMAGE, "Entrypoint": ["/none"], "Labels": labels})
        _raise(fault)
        return uid

    async def find_mark(self, name: str) -> Mark | None:
        """Read a mark; see the Engine interface."""
        _raise(await self._enter("find_mark", name))
        with suppress(NotFoundError):
            cell = self._store.find(name)
            if cell.container.name == name and tells_mark(
                cell.container, self._namespace, self._images
            ):
                return make_mark(cell, created=cell.container.created)
        return None

    async def remove(self, container_id: str) -> None:
        """Remove a container; see the Engine interface."""
        fault = await self._enter("remove", container_id)
        if _is_carried_out(fault) and container_id in self._store:
            await self._wait_for_start(container_id)
            status = self.get(container_id).status
            if status in ACTIVE:
                word = "paused" if status is Status.PAUSED else "running"
                raise ConflictError(409, f"You cannot remove a {word} container {container_id}")
            self.destroy(container_id)
        _raise(fault)

    async def ping(self) -> None:
        """Ask for service; see the Engine interface."""
        _raise(await self._enter("ping"))

    async def info(self) -> EngineInfo:
        """Read who the engine is; see the Engine interface."""
        _raise(await self._enter("info"))
        return self.facts

    async def image_config(self, image: str) -> Mapping[str, Any]:
        """Read an image's config; see the Engine interface. Labels, and what a test adds."""
        _raise(await self._enter("image_config", image))
        if image not in self._images:
            raise NotFoundError(404, f"No such image: {image}")
        return {"Labels": self._images[image], **self.image_configs.get(image, {})}

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Add an image of ``published``; see the Engine interface. The rest is not looked at."""
        del platform, credentials
        _raise(await self._enter("pull", image))
        if image not in self.published:
            raise NotFoundError(404, f"manifest for {image} not found: manifest unknown")
        report(Progress(layers=1, complete=1, received=1))
        self.add_image(image)

    @asynccontextmanager
    async def events(self, *, pause: Pause | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the Engine interface."""
        _raise(await self._enter("events"))
        with self._subscribe() as stream:
            stream.pause = pause
            yield stream

    @asynccontextmanager
    async def logs(
        self,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogReading]:
        """Open a log; see the Engine interface. Only the driver ``none`` cannot be read."""
        _raise(await self._enter("logs", uid))
        cell = self._store.find(uid)
        if uid != cell.id or not is_ours(cell.container, self._namespace, self._images):
            raise NotFoundError(404, f"No such container: {uid}")
        if _read_driver(cell.body) == "none":
            raise NoLogError("configured logging driver does not support reading", "none")
        log = self.get_log(uid)
        is_followed = follow and cell.container.status in _FOLLOWED
        frames = log.select(since, until, tail)
        reading = MemoryReading(frames, since, until, follow=is_followed, log=log)
        log.readings.add(reading)
        try:
            yield reading
        finally:
            log.readings.discard(reading)

    async def close(self) -> None:
        """Close all streams; see the Engine interface."""
        self.end_streams()

    async def list(
        self,
        *,
        job_id: str | None = None,
        statuses: Iterable[Status] = (),
        uids: Iterable[str] = (),
        since: str | None = None,
        known: Mapping[str, Job] | None = None,
        on_mark: Callable[[Mark], None] = lambda _: None,
    ) -> builtins.list[Job]:
        """List containers; see the Engine interface."""
        _raise(await self._enter("list"))
        wanted = Selection(
            self._namespace, job_id, frozenset(statuses), tuple(uids), since, known or {}
        )
        if self.has_marks:
            for mark in self._store.select_marks(wanted, self._images):
                on_mark(mark)
        return await self._select(wanted)

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        """Answer a list; for engines of tests that answer late or otherwise."""
        return self._store.select(wanted, self._images, self.now())

    def fail(
        self,
        call: str,
        error: EngineError,
        *,
        ref: str | None = None,
        times: int | None = 1,
        takes_effect: bool = False,
        after: float = 0.0,
    ) -> None:
        """Have calls fail with ``error``; see :class:`~tests.fakes.engine.faults.Fault`."""
        self._faults.add(Fault(call, error, ref, times, takes_effect, after))

    def hang(self, call: str, *, ref: str | None = None, times: int | None = None) -> None:
        """Have calls hang until :meth:`heal` or their deadline."""
        self._faults.add(Fault(call, None, ref, times))

    def heal(self) -> None:
        """Take all faults away; calls that hang go on."""
        self.is_down = self.is_mute = False
        self._faults.heal()

    def go_down(self) -> None:
        """End all streams and let no call through until :meth:`heal`."""
        self.is_down = True
        self.end_streams()

    async def _enter(self, call: str, ref: str | None = None) -> Fault | None:
        """Count a call, let others run first, and return the failure it must end with."""
        self.calls[call] += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise EngineUnavailableError("the engine is down")
        fault = self._faults.take(call, ref)
        if fault is not None and fault.error is None:
            await self._faults.hang()
            return None
        return fault

    async def _start(self, container_id: str) -> Status:
        cell_id = self._store.find(container_id).id
        await self._wait_for_start(cell_id)
        match self.get(cell_id).status:
            case Status.PAUSED:
                raise ConflictError(409, "cannot start a paused container, try unpause instead")
            case Status.REMOVING | Status.DEAD:
                raise ConflictError(409, "container is marked for removal and cannot be started")
            case Status.CREATED | Status.EXITED:
                task = asyncio.create_task(self._run_slowly(cell_id))
                self._starting[cell_id] = task
                task.add_done_callback(lambda done: self._forget(cell_id, done))
                await self._wait_for(task)
                task.result()
        return Status.RUNNING

    async def _run_slowly(self, container_id: str) -> None:
        if self._start_seconds:
            await asyncio.sleep(self._start_seconds)
        if container_id not in self._store:
            raise NotFoundError(404, f"No such container: {container_id}")
        self.run(container_id)

    def _start_late(self, container_id: str) -> None:
        if container_id in self._store and self.get(container_id).status in _STARTABLE:
            with suppress(EngineError):
                self.run(container_id)

    def _forget(self, container_id: str, task: asyncio.Task[None]) -> None:
        del self._starting[container_id]
        if not task.cancelled():
            task.exception()  # the caller may have left: nobody else asks for it then

    async def _wait_for_start(self, container_id: str) -> None:
        while (task := self._starting.get(container_id)) is not None:
            await self._wait_for(task)
            await asyncio.sleep(0)

    async def _wait_for(self, task: asyncio.Task[None]) -> None:
        _, pending = await asyncio.wait([task], timeout=self._timeout)
        if pending:
            raise EngineTimeoutError("no answer within the deadline")


_FOLLOWED: Final = frozenset({Status.RUNNING, Status.PAUSED})
_STARTABLE: Final = frozenset({Status.CREATED, Status.EXITED})


def _read_driver(body: Mapping[str, Any]) -> str:
    host: Mapping[str, Any] = body.get("HostConfig") or {}
    return str((host.get("LogConfig") or {}).get("Type") or "json-file")


def _is_carried_out(fault: Fault | None) -> bool:
    return fault is None or fault.takes_effect


def _raise(fault: Fault | None) -> None:
    if fault is not None and fault.error is not None:
        raise fault.error
