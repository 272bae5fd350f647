"""Cancels over HTTP, on an engine in memory."""

import asyncio
import json
from pathlib import Path
from typing import Any

from api.engine.errors import EngineInterruptedError, EngineRefusedError, EngineUnavailableError
from api.v1.job import Status
from api.v1.mark import name_mark, name_purge
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.integration.api.server.test_job_routes import POSTER, A, B, bear, open_api, tell
from tests.support.api import Api, manifest


async def post(api: Api, name: str = "job-1", **members: object) -> str:
    reply = await api.post(manifest(name, **members))
    assert reply.code == 201
    return str(reply.body["uid"])


async def cancel(api: Api, path: str = "/job/job-1", code: int = 200) -> dict[str, Any]:
    reply = await api.ask("DELETE", path)
    assert reply.code == code, reply.body
    body: dict[str, Any] = reply.body
    return body


def list_marks(engine: MemoryEngine) -> list[str]:
    return [name for name in engine.names() if name.startswith("djd-")]


async def test_a_job_that_waits_is_over_once_its_cancel_is_answered() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        before = engine.now()
        body = await cancel(api, "/job/job-1?grace=1.5&why=typo")
        assert (body["phase"], body["finished"], body["message"]) == (
            "Cancelled",
            True,
            "cancelled (typo)",
        )
        assert body["cancel"] | {"at": ""} == {
            "at": "",
            "grace": 2,
            "purge": False,
            "why": "typo",
        }
        mark = await engine.find_mark(name_mark(uid))
        assert mark is not None
        assert before <= mark.at <= engine.now()
        assert (await api.get("/job/job-1")).body == body
        page = (await api.get("/job")).body
        assert [item["id"] for item in page["items"]] == ["job-1"]
        assert (page["counts"]["Pending"], page["counts"]["Cancelled"]) == (0, 1)
        waited = await api.get("/job/job-1?wait=60")
        assert waited.body["phase"] == "Cancelled"


async def test_a_job_that_runs_is_being_stopped() -> None:
    async with open_api() as (api, engine):
        engine.script(uid := await post(api), Script())
        engine.run(uid)
        body = await cancel(api, f"/job/{uid}?grace=3", 202)
        assert (body["phase"], body["reason"], body["finished"]) == ("Running", "Stopping", False)
        asking = asyncio.create_task(cancel(api, "/job/job-1?wait=60"))
        await asyncio.sleep(0.05)
        await engine.stop(uid, 0)
        body = await asking
        assert (body["phase"], body["exitCode"]) == ("Cancelled", 143)
        assert body["cancel"]["grace"] == 3


async def test_a_job_that_is_over_is_left_as_it_is() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        engine.run(uid)
        await api.get("/job/job-1?wait=60")
        ended = (await api.get("/job/job-1")).body  # the event's time may have stood for the end
        body = await cancel(api)
        assert (body["phase"], body["exitCode"], body["cancel"]) == ("Failed", 3, None)
        assert list_marks(engine) == []
        body = await cancel(api, "/job/job-1?purge=true")
        assert (body["phase"], body["finishedAt"]) == ("Failed", ended["finishedAt"])
        assert body["cancel"]["purge"] is True
        assert body["expiresAt"] == body["cancel"]["at"]
        assert list_marks(engine) == [name_mark(uid)]


async def test_a_dead_job_is_over() -> None:
    async with open_api() as (api, engine):
        engine.edit(await post(api), status=Status.DEAD)
        body = await cancel(api)
        assert (body["phase"], body["reason"], body["cancel"]) == ("Failed", "Dead", None)
        assert list_marks(engine) == []


async def test_the_first_cancel_counts_and_a_purge_is_added() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        first = (await cancel(api, "/job/job-1?grace=3&why=first"))["cancel"]
        assert (await cancel(api, "/job/job-1?grace=9&why=later"))["cancel"] == first
        purged = await cancel(api, "/job/job-1?grace=9&why=later&purge=true")
        assert purged["cancel"] == first | {"purge": True}
        assert (await cancel(api, "/job/job-1?purge=true"))["cancel"] == purged["cancel"]
        assert list_marks(engine) == [name_mark(uid), name_purge(uid)]
        metrics = (await api.get("/metrics")).body
        assert 'dispatcher_cancels_total{outcome="recorded"} 2.0' in metrics
        assert 'dispatcher_cancels_total{outcome="known"} 2.0' in metrics


async def test_two_clients_at_once_make_one_mark() -> None:
    async with open_api() as (api, engine):
        await post(api)
        one, two = await asyncio.gather(
            cancel(api, "/job/job-1?grace=1"), cancel(api, "/job/job-1?grace=2")
        )
        assert one["cancel"] == two["cancel"]
        assert len(list_marks(engine)) == 1


async def test_a_mark_that_is_removed_takes_its_cancel_along() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        await cancel(api)
        engine.destroy(name_mark(uid))
        async with asyncio.timeout(60):
            while (await api.get("/job/job-1")).body["phase"] != "Pending":
                await asyncio.sleep(0.01)
        assert (await cancel(api))["phase"] == "Cancelled"


async def test_what_stands_in_the_way_of_a_mark_is_told() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        engine.add(name_mark(uid), {"Image": IMAGE, "Cmd": ["x"]})
        assert tell(await api.ask("DELETE", "/job/job-1")) == (409, "NameTaken")
        assert (await api.get("/job/job-1")).body["phase"] == "Pending"


async def test_while_the_engine_is_away_nothing_is_half_done() -> None:
    async with open_api() as (api, engine):
        uid = await post(api)
        engine.fail("create_mark", EngineUnavailableError("gone"))
        assert tell(await api.ask("DELETE", "/job/job-1")) == (502, "EngineUnavailable")
        engine.fail("create_mark", EngineRefusedError(500, "disk full"))
        assert tell(await api.ask("DELETE", "/job/job-1")) == (502, "EngineFailed")
        assert list_marks(engine) == []
        # the look after it is no part of what is recorded
        other = await post(api, "job-2")
        engine.fail("inspect", EngineUnavailableError("gone"), ref=other)
        assert (await cancel(api, "/job/job-2"))["phase"] == "Cancelled"
        engine.destroy(name_mark(other))
        # the answer was lost, and the mark was made
        engine.fail("create_mark", EngineInterruptedError("cut"), takes_effect=True)
        assert (await cancel(api))["phase"] == "Cancelled"
        assert list_marks(engine) == [name_mark(uid)]


BAD = (
    *("grace=-1", "grace=2d", "grace=soon", "purge=1", "why=" + "x" * 257, "why=a%0ab"),
    *("wait=301", "dryRun=true", "why=a&why=b"),
)


async def test_what_a_cancel_does_not_know_it_refuses() -> None:
    async with open_api() as (api, engine):
        await post(api)
        for query in BAD:
            reply = await api.ask("DELETE", f"/job/job-1?{query}")
            assert tell(reply) == (400, "InvalidQuery"), query
        for query in ("", "?purge=true", "?why=x", "?grace=1&phase=Pending", "?limit=1"):
            assert tell(await api.ask("DELETE", f"/job{query}")) == (400, "InvalidQuery"), query
        assert list_marks(engine) == []


async def test_an_unknown_job_is_not_found() -> None:
    async with open_api() as (api, engine):
        elsewhere = encode(JobSpec(), namespace="other", job_id="elsewhere", labels={})
        engine.add("elsewhere", {"Image": IMAGE, "Cmd": ["true"], "Labels": elsewhere})
        for name in ("nobody", "elsewhere"):
            assert tell(await api.ask("DELETE", f"/job/{name}")) == (404, "JobNotFound")
        assert list_marks(engine) == []
        uid = await post(api)
        engine.run(uid)
        await api.get("/job/job-1?wait=60")
        engine.destroy(uid)
        async with asyncio.timeout(60):
            while (reply := await api.ask("DELETE", "/job/job-1")).code != 404:
                await asyncio.sleep(0.01)
        assert tell(reply) == (404, "JobCollected")


async def test_all_that_a_filter_takes_are_cancelled_by_one_call() -> None:
    async with open_api() as (api, engine):
        for number in range(20):
            await post(api, f"job-{number}", Labels={"half": str(number % 2)})
        trial = await cancel(api, "/job?label=half=1&dryRun=true")
        assert (trial["matched"], trial["cancelled"], trial["dryRun"]) == (10, 10, True)
        assert list_marks(engine) == []
        done = await cancel(api, "/job?label=half=1&why=typo")
        assert sorted(done["ids"]) == sorted(trial["ids"])
        assert (done["matched"], done["cancelled"], len(list_marks(engine))) == (10, 10, 10)
        again = await cancel(api, "/job?label=half=1")
        assert (again["matched"], again["cancelled"], again["ids"]) == (10, 0, [])
        counts = (await api.get("/job")).body["counts"]
        assert (counts["Pending"], counts["Cancelled"]) == (10, 10)
        rest = await cancel(api, "/job?phase=Pending&purge=true")
        assert rest["cancelled"] == 10


async def test_a_cancel_of_many_that_fails_says_how_far_it_came() -> None:
    async with open_api() as (api, engine):
        for number in range(12):
            await post(api, f"job-{number}")
        engine.fail("create_mark", EngineUnavailableError("gone"), times=None)
        reply = await api.ask("DELETE", "/job?phase=Pending")
        assert tell(reply) == (502, "EngineUnavailable")
        assert (reply.body["error"]["cancelled"], reply.body["error"]["ids"]) == (0, [])
        engine.heal()
        assert (await cancel(api, "/job?phase=Pending"))["cancelled"] == 12


async def test_a_token_cancels_on_its_paths_alone(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        for token, path in ((A, "/job/a"), (B, "/job/b")):
            reply = await api.post(manifest(f"of-{path[-1]}"), path, headers=bear(token))
            assert reply.code == 201
        refused = await api.ask("DELETE", "/job/of-b", headers=bear(A))
        assert tell(refused) == (404, "JobNotFound")
        assert list_marks(engine) == []
        done = await api.ask("DELETE", "/job?phase=Pending", headers=bear(POSTER))
        assert done.body == {"matched": 1, "cancelled": 1, "ids": ["of-a"]}
        mine = await api.ask("DELETE", "/job/of-a", headers=bear(POSTER))
        assert mine.body.keys() == {"id", "uid", "phase", "finished"}
        assert (mine.code, mine.body["phase"]) == (200, "Cancelled")
        waiting = await api.ask("DELETE", "/job/of-a?wait=1", headers=bear(POSTER))
        assert tell(waiting) == (403, "OutOfScope")


async def test_a_cancelled_job_makes_room_for_another() -> None:
    async with open_api() as (api, _engine):
        await post(api)
        await cancel(api)
        assert (await api.get("/health/ready?verbose")).body["backlog"] == 0


async def test_who_follows_the_log_of_a_cancelled_job_is_not_kept_waiting() -> None:
    async with open_api() as (api, _engine):
        await post(api)
        headers = {"Accept": "application/x-ndjson"}
        async with api.client.get("/job/job-1/log?follow=true", headers=headers) as log:
            await cancel(api)
            async with asyncio.timeout(60):
                lines = (await log.read()).splitlines()
        assert json.loads(lines[-1])["end"]["phase"] == "Cancelled"


async def test_who_follows_events_is_told_of_a_cancel_by_phase() -> None:
    async with open_api() as (api, _engine):
        await post(api)
        async with api.client.get("/events?phase=Pending") as stream:
            kinds = [json.loads(await stream.content.readline())["type"] for _ in range(2)]
            await cancel(api)
            last = json.loads(await stream.content.readline())
        assert kinds == ["added", "synced"]
        assert (last["type"], last["job"]["phase"]) == ("removed", "Cancelled")
