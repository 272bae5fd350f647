"""The controller's port: alive whatever happens, ready with the engine, and it says why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.runtime.version import VERSION
from api.v1.labels import NAMESPACE
from controller.leader_lock import LeaderLock
from controller.metrics import Metrics
from controller.policy import Policy
from controller.probes import Probes
from controller.reconciler import Reconciler
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.processes import find_free_port


class Served:
    """A controller in this process and its port."""

    def __init__(self, engine: MemoryEngine, folder: Path) -> None:
        self.metrics = Metrics()
        self.reconciler = Reconciler(
            engine,
            "ns",
            Policy(max_concurrent=0),
            LeaderLock(folder, "ns"),
            interval=0.05,
            patience=0.4,
            hooks=self.metrics,
        )
        self.metrics.watch(self.reconciler)
        self.port = find_free_port()

    async def get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    async def read(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/health/ready?verbose"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            body: dict[str, Any] = await response.json()
            assert body["ready"] == (response.status == 200)
            return body

    async def until(self, **members: object) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                body = await self.read()
                if all(body[key] == value for key, value in members.items()):
                    return body
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        probes = Probes(self.reconciler, self.metrics)
        tasks = [
            asyncio.create_task(self.reconciler.run()),
            asyncio.create_task(probes.serve("127.0.0.1", self.port)),
        ]
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        await self.get("/health/live")
                        break
                    except aiohttp.ClientConnectorError:
                        await asyncio.sleep(0.01)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(timeout=0.4)


async def test_it_is_alive_always_and_ready_while_the_engine_answers(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    engine.is_down = True
    served = Served(engine, tmp_path)
    async with served.running():
        assert await served.get("/health/live") == (204, "")
        assert await served.get("/health/ready") == (503, "")
        body = await served.until(ready=False, role="seeking")
        assert body["lastPass"] is None
        assert body["engine"]["error"]
        assert body["engine"]["version"] is None
        engine.is_down = False
        await served.until(ready=True, role="active")
        assert await served.get("/health/ready") == (204, "")
        engine.is_down = True
        body = await served.until(ready=False)
        assert await served.get("/health/live") == (204, "")


async def test_ready_tells_version_engine_role_last_pass_and_backlog(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    for number in range(3):
        labels = {NAMESPACE: "ns"}
        engine.add(f"job{number}", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    served = Served(engine, tmp_path)
    async with served.running():
        body = await served.until(role="active", backlog=3)
        assert body["version"] == VERSION
        assert body["engine"] == {"up": True, "error": "", "version": "0", "apiVersion": "1.41"}
        assert (body["slotsUsed"], body["slotsAllowed"]) == (0, 0)
        await served.until(ready=True)
        assert isinstance((await served.read())["lastPass"], float)
        code, plan = await served.get("/plan")
        assert code == 200
        assert plan.startswith("active, engine up, 0 of 0 slots used, 3 pending\n")


async def test_a_standby_is_ready_and_says_what_it_is(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second = Served(engine, tmp_path), Served(engine, tmp_path)
    async with first.running():
        await first.until(role="active")
        async with second.running():
            body = await second.until(role="standby")
            assert body["ready"] is True
            code, metrics = await second.get("/metrics")
            assert code == 200
            assert 'dispatcher_role{role="standby"} 1.0' in metrics
