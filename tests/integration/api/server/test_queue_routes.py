"""Queues over HTTP, on an engine in memory, and what a controller says of a wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from api.server.plan_client import PlanClient
from api.v1.labels import PRIORITY, QUEUE, RUN_FOR
from tests.fakes.engine.engine import MemoryEngine
from tests.integration.api.server.test_job_routes import A, B, bear, tell
from tests.support.api import Api, manifest, serve

HEAD = "apiVersion: docker-job-dispatcher/v1\nkind: Queue\n"
ETL = HEAD + "metadata: {name: etl}\nspec: {maxConcurrent: 2, weight: 3, maxPending: 2}\n"


@asynccontextmanager
async def open_api(
    folder: Path, text: str = ETL, **options: Any
) -> AsyncIterator[tuple[Api, MemoryEngine]]:
    (folder / "queues.yaml").write_text(text)
    engine = MemoryEngine()
    async with serve(engine, "ns", queues=folder, **options) as api:
        yield api, engine


async def post(api: Api, name: str, code: int = 201, **job: object) -> Any:
    reply = await api.post(manifest(name, Job=job))
    assert reply.code == code, reply.body
    return reply.body


async def test_what_a_job_wishes_is_kept_in_labels_and_shown(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        uid = (await post(api, "job-1", Queue="etl", Priority=5, RunFor="2h"))["uid"]
        labels = engine.get(uid).labels
        assert (labels[QUEUE], labels[PRIORITY], labels[RUN_FOR]) == ("etl", "5", "7200")
        shown = (await api.get("/job/job-1")).body
        assert (shown["queue"], shown["priority"], shown["runFor"]) == ("etl", 5, 7200)
        [listed] = (await api.get("/job?queue=etl")).body["items"]
        assert listed["id"] == "job-1"
        assert (await api.get("/job?queue=default")).body["items"] == []
        trial = await api.post(manifest("job-2", Job={"RunFor": "90s"}), "/job?dryRun=true")
        assert trial.body["manifest"]["Job"] == {"Queue": "default", "Priority": 0, "RunFor": 90}


async def test_a_queue_that_nobody_configured_is_refused(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        body = await post(api, "job-1", 400, Queue="elt")
        assert body["error"]["reason"] == "UnknownQueue"
        assert body["error"]["violations"] == [
            {"pointer": "/Job/Queue", "message": "no queue is called elt"}
        ]
        trial = await api.post(manifest("job-1", Job={"Queue": "elt"}), "/job?dryRun=true")
        assert tell(trial) == (400, "UnknownQueue")
        await post(api, "job-2", Queue="default")
        assert engine.names() == ("job-2",)


async def test_a_queue_takes_no_more_than_may_wait(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        first = await post(api, "job-1", Queue="etl")
        await post(api, "job-2", Queue="etl")
        full = await api.post(manifest("job-3", Job={"Queue": "etl"}))
        assert tell(full) == (429, "QueueFull")
        assert int(full.headers["retry-after"]) > 0
        await post(api, "job-1", 200, Queue="etl")
        await post(api, "other")
        engine.run(first["uid"])
        async with asyncio.timeout(60):
            while (await api.get("/queue/etl")).body["pending"] != 1:
                await asyncio.sleep(0.01)
        await post(api, "job-3", Queue="etl")
        await api.ask("DELETE", "/job/job-3")
        await post(api, "job-4", Queue="etl")


async def test_queues_are_shown_with_their_use(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        engine.run((await post(api, "job-1", Queue="etl"))["uid"])
        await post(api, "job-2", Queue="etl")
        async with asyncio.timeout(60):
            while (etl := (await api.get("/queue/etl")).body)["used"] != 1:
                await asyncio.sleep(0.01)
        assert 0 <= etl.pop("oldestPendingSeconds") < 60
        assert etl == {
            "name": "etl",
            "maxConcurrent": 2,
            "weight": 3,
            "paused": False,
            "maxPending": 2,
            "used": 1,
            "pending": 1,
        }
        items = (await api.get("/queue")).body["items"]
        assert [item["name"] for item in items] == ["default", "etl"]
        assert (items[0]["weight"], items[0]["oldestPendingSeconds"]) == (1, None)
        assert tell(await api.get("/queue/none")) == (404, "QueueNotFound")
        assert tell(await api.get("/queue?x=1")) == (400, "InvalidQuery")


async def test_a_change_is_taken_up_and_a_fault_is_not(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, _engine):
        file = tmp_path / "queues.yaml"
        file.write_text(ETL + "  {")
        async with asyncio.timeout(60):
            while "dispatcher_queues_refused 1.0" not in (await api.get("/metrics")).body:
                await asyncio.sleep(0.01)
        await post(api, "job-1", Queue="etl")
        file.write_text(ETL.replace("weight: 3", "weight: 4"))
        async with asyncio.timeout(60):
            while (await api.get("/queue/etl")).body["weight"] != 4:
                await asyncio.sleep(0.01)
        metrics = (await api.get("/metrics")).body
        assert "dispatcher_queues_refused 0.0" in metrics
        assert "dispatcher_queues_generation 2.0" in metrics


async def test_a_token_sees_the_use_by_its_own_jobs_alone(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{A} read,post /job/a\n{B} read,post /job/b\n")
    guard = Guard(choose_hosts("127.0.0.1", ()), token_store=TokenStore(tokens))
    async with open_api(tmp_path, guard=guard) as (api, _engine):
        body = manifest("job-1", Job={"Queue": "etl"})
        assert (await api.post(body, "/job/a", headers=bear(A))).code == 201
        assert (await api.get("/queue/etl", headers=bear(A))).body["pending"] == 1
        hidden = (await api.get("/queue/etl", headers=bear(B))).body
        assert (hidden["pending"], hidden["oldestPendingSeconds"]) == (0, None)


# What the controller says -----------------------------------------------------------------------


@asynccontextmanager
async def answer(*answers: Any) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve as a controller that gives one answer after the other, the last for good."""
    asked, is_over = list[str](), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(request.path_qs)
        if found is None:
            await is_over.wait()
        if isinstance(found, web.Response):
            return found
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).removesuffix("/"), asked
        is_over.set()


WAITING = {"reason": "QueueCap", "message": "2 of 2", "position": 3, "until": None}


async def test_a_job_says_why_it_waits_as_the_controller_does(tmp_path: Path) -> None:
    async with (
        answer({"waiting": WAITING}) as (url, asked),
        open_api(tmp_path, controller_url=url) as (api, engine),
    ):
        uid = (await post(api, "job-1"))["uid"]
        assert (await api.get("/job/job-1")).body["waiting"] == WAITING
        assert asked == [f"/plan/{uid}?format=json"]
        engine.run(uid)
        assert (await api.get("/job/job-1")).body["waiting"] is None
        assert len(asked) == 1


async def test_a_token_limited_to_paths_is_told_no_number_of_other_jobs(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{A} read,post /job/a\n{B} read\n")
    guard = Guard(choose_hosts("127.0.0.1", ()), token_store=TokenStore(tokens))
    said = WAITING | {"message": "queue etl is full (2 of 2 used), 2 ahead of it"}
    async with (
        answer({"waiting": said}) as (url, _),
        open_api(tmp_path, controller_url=url, guard=guard) as (api, _engine),
    ):
        assert (await api.post(manifest("job-1"), "/job/a", headers=bear(A))).code == 201
        assert (await api.get("/job/job-1", headers=bear(B))).body["waiting"] == said
        shown = (await api.get("/job/job-1", headers=bear(A))).body["waiting"]
        assert shown == said | {"message": "queue etl is full", "position": None}


NO_ANSWERS: tuple[Any, ...] = (
    {"waiting": None},
    {"waiting": {"reason": 7, "message": "x"}},
    [],
    "text",
    web.Response(status=404),
    web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    web.Response(text="{"),
    web.Response(text="[" * 50_000),
)


async def test_without_an_answer_it_is_queued(tmp_path: Path) -> None:
    async with (
        answer(*NO_ANSWERS) as (url, asked),
        open_api(tmp_path, controller_url=url) as (api, _engine),
    ):
        await post(api, "job-1")
        for number in range(len(NO_ANSWERS)):
            assert (await api.get("/job/job-1")).body["waiting"]["reason"] == "Queued", number
        assert len(asked) == len(NO_ANSWERS)


async def test_a_controller_that_is_away_or_hangs_holds_nobody_up() -> None:
    away = PlanClient("http://127.0.0.1:1")
    assert await away.explain("a") is None
    await away.close()
    assert await PlanClient(None).explain("a") is None
    async with answer(None) as (url, asked):
        hanging = PlanClient(url, patience=1.0)
        for _ in range(3):
            assert await hanging.explain("a") is None
        await hanging.close()
        assert len(asked) == 1
