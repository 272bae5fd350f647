"""Three nodes of a swarm, the bare calls to them, and our processes at one of the managers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from api.engine.docker.connection import OLDEST_API
from api.engine.swarm.service import make_service
from tests.bench.bare import BareEngine, Record, work_off
from tests.bench.measure import Interval
from tests.bench.rig import FULL, QUICK, Client, Rig, Scale, read_body, run_process
from tests.support.private_swarm import PrivateSwarm
from tests.support.processes import Process, ProcessFailedError

SCALES: Final = {
    "quick": replace(
        QUICK,
        jobs={1: 4, 4: 12, 8: 12},
        queue={1: 5, 4: 12},
        populations=(200,),
    ),
    "full": replace(
        FULL,
        queue={1: 15, 4: 40},
        populations=(0, 2000),
        idle_seconds=60.0,
    ),
}
"""A swarm takes seven times as long for a job as one engine."""
_SERVICE: Final = "com.docker.swarm.service.id"
_OVER: Final = frozenset({"complete", "shutdown", "failed", "rejected", "orphaned"})
_AT_ONCE: Final = 8
_PATIENCE: Final = 120.0
_LOOK: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRig(Rig):
    """A swarm: ``engine`` and ``bare`` are of the manager that is asked, ``nodes`` are all.

    ``body`` is the manifest of each bare service: that of our jobs, with the bound of their logs.
    """

    swarm: PrivateSwarm
    nodes: Sequence[BareEngine]
    body: Mapping[str, Any]

    @asynccontextmanager
    async def record(self) -> AsyncIterator[Record]:
        """Record the container events of all nodes for the length of the block."""
        record = Record()
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                await stack.enter_async_context(node.record(record))
            yield record

    async def create(self, name: str) -> str:
        """Create a service without a replica and return its id."""
        spec = make_service(name, self.body, api_version=OLDEST_API, platform=None)
        answer = await self.bare.call("POST", "/services/create", spec)
        return str(answer["ID"])

    async def start(self, uid: str) -> None:
        """Set a service to one replica."""
        service = await self.bare.call("GET", f"/services/{uid}")
        body = service["Spec"] | {"Mode": {"Replicated": {"Replicas": 1}}}
        version = service["Version"]["Index"]
        await self.bare.call("POST", f"/services/{uid}/update?version={version}", body)

    async def wait(self, uid: str) -> None:
        """Return when the manager shows that a service's task is over: no event tells."""
        filters = quote(json.dumps({"service": [uid]}))
        while True:
            tasks = await self.bare.call("GET", f"/tasks?filters={filters}")
            if tasks and all(task["Status"]["State"] in _OVER for task in tasks):
                return
            await asyncio.sleep(_LOOK)

    async def read_runs(self) -> dict[str, Interval]:
        """Return when the container of each service ran, as its node tells."""
        return {
            row["Labels"][_SERVICE]: await node.read_interval(row["Id"])
            for node in self.nodes
            for row in await node.call("GET", "/containers/json?all=1")
        }

    async def clear(self) -> None:
        """Remove every service, and wait until their containers are gone."""
        services = await self.bare.call("GET", "/services")
        uids = [service["ID"] for service in services]
        await work_off(uids, _AT_ONCE, lambda uid: self.bare.call("DELETE", f"/services/{uid}"))
        async with asyncio.timeout(_PATIENCE):
            while any([await node.list_ids() for node in self.nodes]):
                await asyncio.sleep(_LOOK)


@asynccontextmanager
async def open_swarm_rig(scale: Scale) -> AsyncIterator[SwarmRig]:
    """Start a swarm of our own for the length of the block."""
    async with AsyncExitStack() as stack:
        swarm = PrivateSwarm()
        stack.push_async_callback(asyncio.to_thread, swarm.close)
        await asyncio.to_thread(swarm.__enter__)
        nodes = [
            await stack.enter_async_context(BareEngine(node.engine.socket)) for node in swarm.nodes
        ]
        rig = SwarmRig(
            engine=swarm.nodes[0].engine,
            bare=nodes[0],
            scale=scale,
            begun=time.monotonic_ns(),
            shared=("--engine", "swarm"),
            swarm=swarm,
            nodes=nodes,
            body={},
        )
        async with run_process(rig.make_api()) as api, Client(api.url) as client:
            body = await read_body(client)
        yield replace(rig, body=body)


@asynccontextmanager
async def run_controller(process: Process) -> AsyncIterator[Process]:
    """Run a controller for the length of the block, from when it leads."""
    async with run_process(process):
        await asyncio.to_thread(_wait_until_active, process)
        yield process


def _wait_until_active(process: Process) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        answer: Any = process.get("/health/ready?verbose").body
        if answer["role"] == "active":
            return
        time.sleep(_LOOK)
    raise ProcessFailedError(f"it does not lead:\n{process.log()[-4000:]}")
