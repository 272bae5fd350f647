"""What every measurement stands on: a private engine, the bare calls to it, and our processes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from api.v1.labels import NAME as NAME_LABEL
from api.v1.labels import NAMESPACE as NAMESPACE_LABEL
from tests.bench.bare import BareEngine, Jobs, work_off
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, Process, ProcessFailedError

NAMESPACE: Final = "bench"
FILTER: Final = f'{{Name: .name, Image: "{IMAGE}", Cmd: (.command // ["true"])}}'
"""The leanest filter that names a job; ``command`` is for jobs that take a while."""

FULL_FILTER: Final = FILTER.replace(
    "}", ', HostConfig: {LogConfig: {Type: "json-file", Config: {"max-size": "10m"}}}}'
)
"""The same with what admission adds to a manifest that lacks it: a log with a bound."""

_READY_SECONDS = 60.0
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: samples are counts, times are seconds.

    ``jobs`` and ``queue`` give for each max-concurrent the jobs of one round.
    """

    rounds: int
    jobs: dict[int, int]
    starts: int
    queue: dict[int, int]
    sleepers: int
    silent: int
    posts: int
    gets: int
    populations: tuple[int, ...]
    idle_seconds: float


QUICK: Final = Scale(
    rounds=1,
    jobs={1: 6, 4: 16, 8: 16},
    starts=8,
    queue={1: 10, 4: 20},
    sleepers=12,
    silent=8,
    posts=32,
    gets=40,
    populations=(0, 200),
    idle_seconds=8.0,
)
FULL: Final = Scale(
    rounds=5,
    jobs={1: 30, 4: 120, 8: 120},
    starts=100,
    queue={1: 25, 4: 40},
    sleepers=40,
    silent=24,
    posts=100,
    gets=300,
    populations=(0, 1000, 5000),
    idle_seconds=120.0,
)


@dataclass(frozen=True, slots=True)
class Rig:
    """One engine with the bare calls to it; ``begun`` makes names of several runs differ.

    ``root`` is the checkout whose processes are measured, if it is not this one; ``filter`` is what
    its API is given, and ``shared`` are options that both processes are.
    """

    engine: PrivateEngine
    bare: BareEngine
    scale: Scale
    begun: int
    root: Path | None = None
    filter: str = FILTER
    shared: tuple[str, ...] = ()

    def make_api(self, host: str | None = None, *options: str) -> ApiProcess:
        """Return an API with ``filter`` on the engine, or on a proxy at ``host``."""
        words = ("--log-level", "warn", *self.shared, *options, self.filter)
        return ApiProcess(host or self.engine.host, NAMESPACE, *words, root=self.root)

    def make_controller(
        self, limit: int, *options: str, host: str | None = None
    ) -> ControllerProcess:
        """Return a controller with ``limit`` slots on the engine, or on a proxy at ``host``."""
        words = ("--max-concurrent", str(limit), "--log-level", "warn", *self.shared, *options)
        return ControllerProcess(host or self.engine.host, NAMESPACE, *words, root=self.root)

    def make_names(self, label: str, count: int) -> list[str]:
        """Return ``count`` container names that no other run uses."""
        return [f"{label}-{time.monotonic_ns() - self.begun}-{number}" for number in range(count)]

    def make_jobs(self, label: str, count: int) -> Jobs:
        """Return ``count`` jobs that end at once."""
        return dict.fromkeys(self.make_names(label, count), ("true",))


@asynccontextmanager
async def open_rig(scale: Scale, *, root: Path | None = None) -> AsyncIterator[Rig]:
    """Start an engine of our own for the length of the block."""
    engine = PrivateEngine()
    try:
        await asyncio.to_thread(engine.__enter__)
        async with BareEngine(engine.socket) as bare:
            yield Rig(engine, bare, scale, time.monotonic_ns(), root)
    finally:
        await asyncio.to_thread(engine.close)


@asynccontextmanager
async def run_process(process: Process) -> AsyncIterator[Process]:
    """Run one of our processes for the length of the block, from when it is ready."""
    try:
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(_wait_until_ready, process)
        yield process
    finally:
        await asyncio.to_thread(process.close)


def _wait_until_ready(process: Process) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            if process.get("/health/ready").code == 204:
                return
        time.sleep(0.05)
    raise ProcessFailedError(f"not ready within {_READY_SECONDS} s:\n{process.log()[-4000:]}")


class Client:
    """A client of the API on kept connections."""

    def __init__(self, url: str) -> None:
        self._session = aiohttp.ClientSession(url, headers=_HEADERS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, name: str, command: Sequence[str] = ("true",)) -> int:
        """Post a job and return when its 201 arrived, in nanoseconds since the epoch."""
        return (await self._post(name, command))[0]

    async def post_for_uid(self, name: str) -> str:
        """Post a job that ends at once and return its uid."""
        answer = json.loads((await self._post(name, ("true",)))[1])
        uid: str = answer["uid"]
        return uid

    async def _post(self, name: str, command: Sequence[str]) -> tuple[int, str]:
        data = json.dumps({"name": name, "command": list(command)}).encode()
        async with self._session.post("/job", data=data) as response:
            answered = time.time_ns()
            text = await response.text()
            if response.status != 201:
                raise ProcessFailedError(f"POST /job: {response.status} {text}")
        return answered, text

    async def post_all(self, jobs: Jobs, width: int) -> None:
        """Post jobs, ``width`` at a time."""
        await work_off(jobs, width, lambda name: self.post(name, jobs[name]))

    async def rehearse(self, name: str) -> dict[str, Any]:
        """Return the manifest that would be recorded of a job."""
        data = json.dumps({"name": name, "command": ["true"]}).encode()
        async with self._session.post("/job?dryRun=true", data=data) as response:
            manifest: dict[str, Any] = (await response.json())["manifest"]
            return manifest

    async def get(self, name: str) -> None:
        """Read a job."""
        async with self._session.get(f"/job/{name}") as response:
            await response.read()
            if response.status != 200:
                raise ProcessFailedError(f"GET /job/{name}: {response.status}")


async def read_body(client: Client) -> dict[str, Any]:
    """Return what our API asks the engine for, in a namespace that nobody looks at."""
    body = await client.rehearse("body")
    del body["Name"]
    body["Labels"][NAMESPACE_LABEL] = "nobody's"
    return body


def name_body(
    body: Mapping[str, Any], name: str, command: Sequence[str] = ("true",)
) -> dict[str, Any]:
    """Return what our API asks the engine for where a job has this name and command."""
    return {**body, "Cmd": list(command), "Labels": body["Labels"] | {NAME_LABEL: name}}
