"""The bare engine: raw calls on kept connections, and the leanest loops that run jobs with them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from api.v1.times import parse_time
from tests.bench.measure import Interval
from tests.support.private_engine import IMAGE

_AT_ONCE = 8  # calls in parallel where nothing is measured: more gain nothing
_TIMEOUT = aiohttp.ClientTimeout(total=300)
_JSON = {"Content-Type": "application/json"}

Result = TypeVar("Result")
Jobs = Mapping[str, Sequence[str]]
"""Commands by the names of the containers that are to run them."""


class EngineRefusedError(Exception):
    """The engine answered with an error; the message has its status and text."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One container event: its time by the engine's clock (ns), and when it got here.

    ``received`` is in seconds of this machine's monotonic clock.
    """

    time: int
    received: float
    action: str
    id: str


class BareEngine:
    """The engine's own HTTP interface, without a client library of its own."""

    def __init__(self, socket: Path) -> None:
        connector = aiohttp.UnixConnector(str(socket), limit=64)
        self._session = aiohttp.ClientSession(
            "http://engine", connector=connector, timeout=_TIMEOUT
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request; return the answer's JSON, or nothing where it has no body."""
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, path, data=data, headers=_JSON) as response:
            text = await response.read()
            if response.status >= 400:
                raise EngineRefusedError(f"{method} {path}: {response.status} {text.decode()}")
            return json.loads(text) if text else None

    async def create(
        self,
        name: str,
        command: Sequence[str] = ("true",),
        labels: dict[str, str] | None = None,
    ) -> str:
        """Create a container of which little is asked and return its id."""
        body = {"Image": IMAGE, "Cmd": list(command), "Labels": labels or {}}
        return await self.create_as(name, body)

    async def create_as(self, name: str, body: Mapping[str, Any]) -> str:
        """Create the container that ``body`` asks for and return its id."""
        answer = await self.call("POST", f"/containers/create?name={name}", body)
        container_id: str = answer["Id"]
        return container_id

    async def start(self, container_id: str) -> None:
        """Start a container."""
        await self.call("POST", f"/containers/{container_id}/start")

    async def wait(self, container_id: str) -> None:
        """Return when a container has ended."""
        await self.call("POST", f"/containers/{container_id}/wait")

    async def inspect(self, reference: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        answer: dict[str, Any] = await self.call("GET", f"/containers/{reference}/json")
        return answer

    async def list_ids(self) -> list[str]:
        """Return the ids of all containers."""
        return [row["Id"] for row in await self.call("GET", "/containers/json?all=1")]

    async def read_interval(self, container_id: str) -> Interval:
        """Return when a container that has ended ran."""
        state = (await self.inspect(container_id))["State"]
        start, end = parse_time(state["StartedAt"]), parse_time(state["FinishedAt"])
        assert start is not None
        assert end is not None
        return Interval(start, end)

    async def read_intervals(self, container_ids: Iterable[str]) -> list[Interval]:
        """Return when containers that have ended ran, in the order of their starts."""
        return sorted([await self.read_interval(container_id) for container_id in container_ids])

    async def remove(self, references: Sequence[str]) -> None:
        """Remove containers, running ones too."""
        await work_off(
            references,
            _AT_ONCE,
            lambda reference: self.call("DELETE", f"/containers/{reference}?force=1&v=1"),
        )

    async def remove_all(self) -> None:
        """Remove every container."""
        await self.remove(await self.list_ids())

    @asynccontextmanager
    async def record(self, into: "Record | None" = None) -> AsyncIterator["Record"]:
        """Record all container events for the length of the block, ``into`` a record of others."""
        filters = json.dumps({"type": ["container"]})
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(
            "/events", params={"filters": filters}, timeout=timeout
        ) as response:
            record = into or Record()
            task = asyncio.create_task(record.read(response))
            try:
                yield record
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Record:
    """Container events as they arrived: what the engine itself says has happened."""

    def __init__(self) -> None:
        self.occurrences: list[Occurrence] = []
        self._changed = asyncio.Event()

    async def read(self, response: aiohttp.ClientResponse) -> None:
        """Read the stream to its end."""
        async for line in response.content:
            event = json.loads(line)
            occurrence = Occurrence(
                event["timeNano"], time.monotonic(), event["Action"], event["Actor"]["ID"]
            )
            self.occurrences.append(occurrence)
            self._changed.set()

    def find(self, action: str) -> list[Occurrence]:
        """Return the events of one action."""
        return [seen for seen in self.occurrences if seen.action == action]

    async def wait_for_one(self, action: str, uid: str, patience: float = 60.0) -> None:
        """Return once an ``action`` of one container has been seen."""
        async with asyncio.timeout(patience):
            while not any(seen.id == uid for seen in self.find(action)):
                self._changed.clear()
                await self._changed.wait()

    async def wait_for(self, action: str, count: int, patience: float) -> None:
        """Return once ``count`` events of ``action`` have been seen."""
        async with asyncio.timeout(patience):
            while len(self.find(action)) < count:
                self._changed.clear()
                await self._changed.wait()

    def find_intervals(self) -> list[Interval]:
        """Return the runs that the events tell of, from ``start`` to ``die``."""
        begun: dict[str, int] = {}
        intervals = []
        for seen in self.occurrences:
            if seen.action == "start":
                begun[seen.id] = seen.time
            elif seen.action == "die" and seen.id in begun:
                intervals.append(Interval(begun.pop(seen.id), seen.time))
        return intervals


async def work_off(
    items: Iterable[str], width: int, act: Callable[[str], Coroutine[Any, Any, Result]]
) -> list[Result]:
    """Act on every item, ``width`` at a time; return the results in the order they came."""
    shared = iter(items)
    results: list[Result] = []

    async def work() -> None:
        for item in shared:
            result = await act(item)
            results.append(result)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(work())
    return results


async def run_jobs(engine: BareEngine, names: Sequence[str], width: int) -> None:
    """Create, start and wait for each job, ``width`` at a time."""

    async def run(name: str) -> None:
        container_id = await engine.create(name)
        await engine.start(container_id)
        await engine.wait(container_id)

    await work_off(names, width, run)


async def run_queue(engine: BareEngine, ids: Sequence[str], width: int) -> None:
    """Start created containers, ``width`` at a time, the next the moment ``wait`` returns."""

    async def run(container_id: str) -> None:
        await engine.start(container_id)
        await engine.wait(container_id)

    await work_off(ids, width, run)


async def create_all(engine: BareEngine, jobs: Jobs, width: int = _AT_ONCE) -> list[str]:
    """Create containers, ``width`` at a time; return their ids."""
    return await work_off(jobs, width, lambda name: engine.create(name, jobs[name]))


async def time_start(engine: BareEngine, name: str) -> float:
    """Return the seconds from sending the start call to the engine's StartedAt."""
    container_id = await engine.create(name)
    sent = time.time_ns()
    await engine.start(container_id)
    await engine.wait(container_id)
    return ((await engine.read_interval(container_id)).start - sent) / 1e9
