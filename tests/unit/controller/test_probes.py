"""The controller's answers: alive whatever happens, ready with the engine, and why a job waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from api.runtime.version import VERSION
from api.v1.labels import NAMESPACE
from api.v1.queue import Queue
from controller.leader_lock import LeaderLock
from controller.metrics import Metrics
from controller.policy import Policy
from controller.probes import Probes
from controller.reconciler import Reconciler
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.unit.controller.rig import pass_time


class Served:
    """A controller and what it answers, without a port."""

    def __init__(self, engine: MemoryEngine, folder: Path) -> None:
        metrics = Metrics()
        self.reconciler = Reconciler(
            engine,
            Policy(max_concurrent=0),
            LeaderLock(folder, "ns"),
            interval=0.05,
            patience=0.4,
            hooks=metrics,
        )
        metrics.watch(self.reconciler)
        self._app = Probes(self.reconciler, metrics).make_app()
        self._app.freeze()

    async def get(self, path: str) -> tuple[int, str]:
        response = await self._app._handle(make_mocked_request("GET", path, app=self._app))
        assert isinstance(response, web.Response)
        body = response.body or b""
        assert isinstance(body, bytes)
        return response.status, body.decode()

    async def read(self) -> dict[str, Any]:
        status, text = await self.get("/health/ready?verbose")
        body: dict[str, Any] = json.loads(text)
        assert body["ready"] == (status == 200)
        return body

    async def until(self, **members: object) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                body = await self.read()
                if all(body[key] == value for key, value in members.items()):
                    return body
                await pass_time(0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reconciler.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def engine(make_engine: Callable[..., MemoryEngine]) -> MemoryEngine:
    return make_engine()


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


async def test_the_plan_is_shown_of_all_jobs_or_of_one(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    for number in range(3):
        labels = {NAMESPACE: "ns"}
        engine.add(f"job{number}", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    served = Served(engine, tmp_path)
    head = "active, engine up, 0 of 0 slots used, 3 pending\n"
    line = "wait   job/job{}  max-concurrent is 0: nothing is started\n"
    async with served.running():
        await served.until(role="active", backlog=3)
        assert await served.get("/plan") == (200, head + "".join(map(line.format, range(3))))
        assert await served.get("/plan?job=job1") == (200, head + line.format(1))


async def test_the_plan_says_how_long_the_holders_of_slots_have_run(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    for name in ("late", "early", "over"):
        labels = {NAMESPACE: "ns"}
        engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    served = Served(engine, tmp_path)
    async with served.running():
        await served.until(role="active", backlog=3)
        engine.run("early")
        await pass_time(36)
        engine.run("over")
        engine.finish("over")
        engine.run("late")
        engine.pause("late")
        await served.until(slotsUsed=2, backlog=0)
        await pass_time(5)
        _, page = await served.get("/plan")
        assert page.splitlines()[1:] == [
            "hold   job/early  running, started 41s ago",
            "hold   job/late   paused, started 5s ago",
        ]
        _, page = await served.get("/plan?job=late")
        assert page.splitlines()[1:] == ["hold   job/late  paused, started 5s ago"]
        _, metrics = await served.get("/metrics")
        assert "dispatcher_longest_running_seconds 41." in metrics
        engine.finish("early")
        await served.until(slotsUsed=1)
        _, metrics = await served.get("/metrics")
        assert "dispatcher_longest_running_seconds 5." in metrics


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


async def test_the_plan_is_there_for_machines_too(engine: MemoryEngine, tmp_path: Path) -> None:
    for number in range(3):
        labels = {NAMESPACE: "ns"}
        engine.add(f"job{number}", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    served = Served(engine, tmp_path)
    served.reconciler.use_queues({"default": Queue("default", 2, paused=True)})
    async with served.running():
        await served.until(role="active", backlog=3)
        engine.run("job0")
        await served.until(slotsUsed=1)
        status, text = await served.get("/plan?format=json")
        body = json.loads(text)
        assert status == 200
        assert [(wait["id"], wait["position"]) for wait in body["waits"]] == [
            ("job1", 1),
            ("job2", 2),
        ]
        assert [hold["id"] for hold in body["holds"]] == ["job0"]
        (queue,) = body["queues"]
        assert queue.pop("oldestPendingSeconds") >= 0
        assert queue == {
            "name": "default",
            "maxConcurrent": 2,
            "weight": 1,
            "paused": True,
            "used": 1,
            "pending": 2,
        }
        _, text = await served.get("/plan?format=json&job=job2")
        assert [wait["id"] for wait in json.loads(text)["waits"]] == ["job2"]


async def test_of_one_job_it_says_why_it_waits_by_its_name_or_its_uid(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    labels = {NAMESPACE: "ns"}
    uids = [
        engine.add(f"job{number}", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
        for number in range(3)
    ]
    served = Served(engine, tmp_path)
    async with served.running():
        await served.until(role="active", backlog=3)
        for ref in ("job1", uids[1]):
            status, text = await served.get(f"/plan/{ref}?format=json")
            assert (status, json.loads(text)) == (
                200,
                {
                    "id": "job1",
                    "uid": uids[1],
                    "queue": "default",
                    "waiting": {
                        "reason": "NoSlot",
                        "message": "max-concurrent is 0: nothing is started",
                        "position": 2,
                        "until": None,
                    },
                    "hold": None,
                },
            )
        line = (
            "wait   job/job1  NoSlot: max-concurrent is 0: nothing is started, 2. in queue default"
        )
        assert await served.get("/plan/job1") == (200, f"{line}\n")
        engine.run("job1")
        await served.until(slotsUsed=1)
        _, text = await served.get("/plan/job1")
        assert text.startswith("hold   job/job1  running, started 0s ago")
        engine.finish("job1")
        await served.until(slotsUsed=0)
        _, text = await served.get("/plan/job1?format=json")
        assert (json.loads(text)["waiting"], json.loads(text)["hold"]) == (None, None)
        assert (await served.get("/plan/job9"))[0] == 404


async def test_that_nothing_can_be_started_at_all_goes_before_other_reasons(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    engine.add("job", {"Image": IMAGE, "Cmd": ["true"], "Labels": {NAMESPACE: "ns"}})
    first, second = Served(engine, tmp_path), Served(engine, tmp_path)

    async def find_reason(served: Served) -> str:
        _, text = await served.get("/plan/job?format=json")
        reason: str = json.loads(text)["waiting"]["reason"]
        return reason

    async with first.running():
        await first.until(role="active", backlog=1)
        async with second.running():
            await second.until(role="standby", backlog=1)
            assert await find_reason(second) == "NoController"
        assert await find_reason(first) == "NoSlot"
        engine.is_down = True
        await first.until(ready=False)
        assert await find_reason(first) == "EngineDown"
