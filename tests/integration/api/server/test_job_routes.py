"""Lists, waits and absence over HTTP, on an engine in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import StreamReader
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.http.limits import ClientLimits
from api.http.origins import choose_hosts
from api.server import app
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.support.api import Api, manifest, serve
from tests.support.processes import Reply

HOSTS = choose_hosts("127.0.0.1", ())
A, B, POSTER = "a" * 16, "b" * 16, "p" * 16
"""Tokens: of /job/a, of /job/b, and one that may only post."""


@asynccontextmanager
async def open_api(
    folder: Path | None = None, *, waiting: int = 128, max_watchers: int = 256
) -> AsyncIterator[tuple[Api, MemoryEngine]]:
    engine = MemoryEngine(behave=lambda _: Script(seconds=0.01, exit_code=3))
    store = None
    if folder is not None:
        file = folder / "tokens"
        file.write_text(f"{A} read,post /job/a\n{B} read,post /job/b\n{POSTER} post /job/a\n")
        store = TokenStore(file)
    guard = Guard(HOSTS, token_store=store, limits=ClientLimits(waiting=waiting))
    async with serve(engine, "ns", guard=guard, max_watchers=max_watchers) as api:
        yield api, engine


def bear(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def tell(reply: Reply) -> tuple[int, str]:
    return reply.code, reply.body["error"]["reason"]


async def test_what_was_just_recorded_is_listed_and_counted() -> None:
    async with open_api() as (api, engine):
        page: dict[str, Any] = {}
        for number in range(3):
            posted = await api.post(manifest(f"job-{number}", Labels={"n": str(number)}))
            assert posted.code == 201
            page = (await api.get("/job?limit=2")).body
            shown = (await api.get(f"/job/job-{number}")).body
            # of what it has just recorded it has its own clock's second
            assert page["items"][0] | {"created": shown["created"]} == shown
            assert page["counts"]["Pending"] == number + 1
        engine.hang("list")
        rest = (await api.get("/job", params={"limit": "2", "continue": page["continue"]})).body
        assert [item["id"] for item in rest["items"]] == ["job-0"]
        assert rest["continue"] is None
        assert "engine" not in rest
        one = (await api.get("/job?label=n=1&order=oldest")).body
        assert [item["id"] for item in one["items"]] == ["job-1"]


async def test_a_list_is_answered_while_the_engine_is_away() -> None:
    async with open_api() as (api, engine):
        await api.post(manifest("job-1"))
        engine.go_down()
        async with asyncio.timeout(60):
            page = (await api.get("/job")).body
            while "engine" not in page:
                await asyncio.sleep(0.01)
                page = (await api.get("/job")).body
        assert page["engine"]["up"] is False
        assert page["items"][0]["waiting"]["reason"] == "EngineDown"
        assert tell(await api.get("/job/job-1")) == (502, "EngineUnavailable")
        assert (await api.get("/job/job-1?wait=0.01")).body["phase"] == "Pending"


async def test_a_job_that_is_gone_is_told_of_as_it_was() -> None:
    async with open_api() as (api, engine):
        uid = (await api.post(manifest("job-1"))).body["uid"]
        engine.run(uid)
        ended = (await api.get("/job/job-1?wait=60")).body
        assert (ended["phase"], ended["exitCode"], ended["finished"]) == ("Failed", 3, True)
        ended = (await api.get("/job/job-1")).body  # the event's time may have stood for the end
        engine.destroy(uid)
        for ref in ("job-1", uid):
            for query in ("", "?wait=5"):
                reply = await api.get(f"/job/{ref}{query}")
                assert tell(reply) == (404, "JobCollected")
                assert reply.body["error"]["job"] == ended | {
                    "status": reply.body["error"]["job"]["status"]
                }
        lost = (await api.post(manifest("job-2"))).body["uid"]
        engine.destroy(lost)
        reply = await api.get("/job/job-2")
        assert tell(reply) == (404, "JobLost")
        assert reply.body["error"]["job"]["phase"] == "Failed"


async def test_a_post_may_wait_for_the_end() -> None:
    async with open_api() as (api, engine):
        posting = asyncio.create_task(api.post(manifest("job-1"), "/job?wait=60"))
        while not engine.names():
            await asyncio.sleep(0.001)
        engine.run("job-1")
        reply = await posting
        assert (reply.code, reply.headers["location"]) == (201, "/job/job-1")
        assert reply.body["phase"] == "Failed"
        ended = (await api.get("/job/job-1")).body  # the event's time may have stood for the end
        again = await api.post(manifest("job-1"), "/job?wait=60")
        assert (again.code, again.body) == (200, ended | {"status": again.body["status"]})
        assert (await api.post(manifest("job-2"), "/job?wait=0")).body["phase"] == "Pending"
        assert tell(await api.post({}, "/job?wait=1&dryRun=true")) == (400, "InvalidQuery")


@pytest.fixture
def rare_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine read once an hour, and its events gather as long, unless somebody asks."""
    monkeypatch.setattr(app, "_TICK", 3600.0)
    monkeypatch.setattr(app, "_GAP", 3600.0)


@pytest.mark.usefixtures("rare_readings")
async def test_a_list_shows_what_the_engine_told_just_before() -> None:
    async with open_api() as (api, engine):
        for name in ("job-1", "job-2", "job-3"):
            await api.post(manifest(name))
        for number, name in enumerate(("job-1", "job-2", "job-3")):
            engine.run(name)
            assert (await api.get("/job")).body["counts"]["Pending"] == 2 - number


@pytest.mark.usefixtures("rare_readings")
async def test_who_waits_or_follows_is_told_at_once() -> None:
    async with open_api() as (api, engine):
        await api.post(manifest("job-0"))
        engine.run("job-0")
        await api.get("/job")  # what follows would gather
        posting = asyncio.create_task(api.post(manifest("job-1"), "/job?wait=60"))
        while "job-1" not in engine.names():
            await asyncio.sleep(0.001)
        engine.run("job-1")
        assert (await posting).body["phase"] == "Failed"
        async with api.client.get("/events?snapshot=false") as stream:
            engine.run((await api.post(manifest("job-2"))).body["uid"])
            async with asyncio.timeout(60):
                while b'"Failed"' not in await stream.content.readline():
                    pass


async def test_what_a_get_cannot_be_asked_for_is_refused() -> None:
    async with open_api() as (api, _):
        for query in ("wait=301", "wait=x", "wait=1&wait=1", "whatever=1", "dryRun=true"):
            reply = await api.get(f"/job/job-1?{query}")
            assert tell(reply) == (400, "InvalidQuery")
            assert reply.body["error"]["parameter"] == query.partition("=")[0]
        headers: dict[str, str]
        for query, headers, parameter in (
            ("after=x", {}, "after"),
            ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
            ("snapshot=yes", {}, "snapshot"),
            ("limit=5", {}, "limit"),
            ("after=0000-1&after=0000-1", {}, "after"),
            ("phase=running", {}, "phase"),
        ):
            reply = await api.get(f"/events?{query}", headers=headers)
            assert tell(reply) == (400, "InvalidQuery")
            assert reply.body["error"]["parameter"] == parameter


async def test_who_waits_holds_no_place_of_others_and_has_one_of_its_own() -> None:
    async with open_api(waiting=1, max_watchers=2) as (api, engine):
        await api.post(manifest("job-1"))
        waits = [asyncio.create_task(api.get("/job/job-1?wait=60")) for _ in range(2)]
        while (await api.get("/metrics")).body.count('watchers{kind="wait"} 2') == 0:
            await asyncio.sleep(0.001)
        assert (await api.post(manifest("job-2"))).code == 201
        for refused in (
            await api.get("/job/job-1?wait=60"),
            await api.post(manifest("job-3"), "/job?wait=60"),
        ):
            assert tell(refused) == (429, "TooManyWatchers")
            assert refused.headers["retry-after"] == "5"
        assert engine.names() == ("job-1", "job-2")
        assert (await api.get("/job/job-1")).code == 200
        engine.run("job-1")
        assert [(await each).body["phase"] for each in waits] == ["Failed", "Failed"]
        assert (await api.get("/job/job-1?wait=60")).code == 200


async def test_what_a_token_may_not_read_is_in_no_list_count_or_answer(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        for token, path in ((A, "/job/a"), (B, "/job/b")):
            posted = await api.post(manifest(f"job-{path[-1]}"), path, headers=bear(token))
            assert posted.code == 201
        page = (await api.get("/job", headers=bear(A))).body
        assert [item["id"] for item in page["items"]] == ["job-a"]
        assert page["counts"]["Pending"] == 1
        assert (await api.get("/job?label=x", headers=bear(A))).body["counts"]["Pending"] == 0
        assert tell(await api.get("/job/job-b?wait=1", headers=bear(A))) == (404, "JobNotFound")
        assert tell(await api.get("/job", headers=bear(POSTER))) == (403, "OutOfScope")
        refused = await api.post(manifest("job-c"), "/job/a?wait=1", headers=bear(POSTER))
        assert tell(refused) == (403, "OutOfScope")
        engine.destroy("job-a")
        engine.destroy("job-b")
        assert tell(await api.get("/job/job-a", headers=bear(A))) == (404, "JobLost")
        assert tell(await api.get("/job/job-b", headers=bear(A))) == (404, "JobNotFound")


async def read_until(content: StreamReader, kind: str) -> list[dict[str, Any]]:
    """Return the lines up to the first of a kind."""
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not lines or lines[-1]["type"] != kind:
            lines.append(json.loads(await content.readline()))
    return lines


async def test_events_are_a_snapshot_and_what_follows_and_can_be_resumed() -> None:
    async with open_api() as (api, engine):
        await api.post(manifest("job-1"))
        async with api.client.get("/events") as response:
            assert response.content_type == "application/x-ndjson"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Accel-Buffering"] == "no"
            assert response.headers["X-Request-Id"]
            added, synced = await read_until(response.content, "synced")
            assert added["job"] == (await api.get("/job/job-1")).body | {
                "created": added["job"]["created"]
            }
        await api.post(manifest("job-2"))
        engine.destroy("job-1")
        resumed = {"after": synced["version"]}
        async with api.client.get("/events", params=resumed) as response:
            lines = await read_until(response.content, "synced")
            assert [(line["type"], line["job"]["id"]) for line in lines[:-1]] == [
                ("added", "job-2"),
                ("removed", "job-1"),
            ]
        browser = {"Accept": "text/event-stream", "Last-Event-ID": "0000-7"}
        async with api.client.get("/events", headers=browser) as response:
            assert response.content_type == "text/event-stream"
            assert (await response.content.readline()).startswith(b'data: {"type": "reset"')
        async with api.client.head("/events") as response:
            assert response.status == 200


async def test_streams_have_places_and_the_scope_of_their_token(tmp_path: Path) -> None:
    async with open_api(tmp_path, max_watchers=1) as (api, engine):
        await api.post(manifest("job-b"), "/job/b", headers=bear(B))
        assert tell(await api.get("/events", headers=bear(POSTER))) == (403, "OutOfScope")
        async with api.client.get("/events", headers=bear(A)) as response:
            assert [line["type"] for line in await read_until(response.content, "synced")] == [
                "synced"
            ]
            refused = await api.get("/events", headers=bear(B))
            assert tell(refused) == (429, "TooManyWatchers")
            await api.post(manifest("job-a"), "/job/a", headers=bear(A))
            engine.destroy("job-b")
            assert [line["job"]["id"] for line in await read_until(response.content, "added")] == [
                "job-a"
            ]


async def test_the_log_has_one_line_for_a_stream_with_bytes_and_reason() -> None:
    with capture_logs(processors=[merge_contextvars]) as entries:
        async with open_api() as (api, _), api.client.get("/events") as response:
            size = len(await response.content.readline())
        lines = [entry for entry in entries if entry.get("path") == "/events"]
    assert [(line["event"], line["code"], line["bytes"]) for line in lines] == [
        ("request", 200, size)
    ]
    assert lines[0]["ended"] in {"the client left", "the service ends"}
