"""What the page asks for, over HTTP, on an engine in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from api.v1.times import parse_time
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.integration.api.server.test_job_routes import POSTER, A, B, bear, tell
from tests.support.api import Api, manifest, serve

PAGE = {"X-Requested-With": "djd-ui"}


@asynccontextmanager
async def open_api(folder: Path | None = None) -> AsyncIterator[tuple[Api, MemoryEngine]]:
    engine = MemoryEngine(behave=lambda _: Script(seconds=0.01, exit_code=3))
    store = None
    if folder is not None:
        (folder / "tokens").write_text(f"{A} read,post /job/a\n{B} read /job/b\n{POSTER} post\n")
        store = TokenStore(folder / "tokens")
    guard = Guard(choose_hosts("127.0.0.1", ()), token_store=store)
    async with serve(engine, "ns", guard=guard) as api:
        yield api, engine


async def wait_for_end(api: Api) -> list[dict[str, Any]]:
    """Return the jobs that held a slot once all have ended, and the API knows exactly when.

    At first an event's time may stand for the end.
    """
    async with asyncio.timeout(30):
        while True:
            items: list[dict[str, Any]] = (await api.get("/ui/slots")).body["items"]
            known = {job["id"]: job["finishedAt"] for job in (await api.get("/job")).body["items"]}
            shown = [(await api.get(f"/job/{item['id']}")).body["finishedAt"] for item in items]
            if items and all(shown) and shown == [known[item["id"]] for item in items]:
                return list((await api.get("/ui/slots")).body["items"])
            await asyncio.sleep(0.01)


async def test_who_held_a_slot_is_shown_until_an_hour_later() -> None:
    async with open_api() as (api, engine):
        uids = [(await api.post(manifest(f"job-{n}"))).body["uid"] for n in range(3)]
        empty = await api.get("/ui/slots")
        assert (empty.code, empty.body["items"]) == (200, [])
        since, until = (parse_time(empty.body[key]) for key in ("since", "until"))
        assert since is not None
        assert until is not None
        assert until - since == 3600 * 10**9
        engine.run(uids[0])
        [first] = await wait_for_end(api)
        engine.run(uids[1])
        async with asyncio.timeout(30):
            while len(items := await wait_for_end(api)) < 2:
                await asyncio.sleep(0.01)
        assert items[0] == first
        assert [item["id"] for item in items] == ["job-0", "job-1"]
        assert (first["uid"], first["queue"], first["phase"]) == (uids[0], "default", "Failed")
        assert first["started"] < first["ended"] <= items[1]["started"]
        engine.destroy(uids[0])
        assert tell(await api.get("/job/job-0")) == (404, "JobCollected")
        calls = engine.calls.total()
        assert [item["uid"] for item in (await api.get("/ui/slots")).body["items"]] == uids[:2]
        assert engine.calls.total() == calls
        assert tell(await api.get("/ui/slots?since=1h")) == (400, "InvalidQuery")


async def test_a_browser_uses_every_route_with_its_session_for_its_own_jobs(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        assert (await api.get("/ui/session")).body["scopes"] == []
        assert tell(await api.post({"token": "z" * 20}, "/ui/login")) == (401, "Unauthorized")
        login = await api.post({"token": A}, "/ui/login", headers=PAGE)
        assert login.code == 204
        # the client keeps the cookie, as a browser does
        shown = (await api.get("/ui/session")).body
        assert (shown["scopes"], shown["paths"]) == (["read", "post"], ["/job/a"])
        posted = await api.post(manifest("job-1"), "/job/a", headers=PAGE)
        assert posted.code == 201
        engine.run(posted.body["uid"])
        [item] = await wait_for_end(api)
        assert item["id"] == "job-1"
        assert (await api.get("/ui/slots", headers=bear(B))).body["items"] == []
        assert tell(await api.get("/ui/slots", headers=bear(POSTER))) == (403, "OutOfScope")
        log = await api.get("/job/job-1/log")
        assert log.code == 200
        async with api.client.get("/events") as stream:
            assert b'"job-1"' in await stream.content.readline()
        assert (await api.get("/job")).body["counts"]["Failed"] == 1
        refused = await api.ask("DELETE", "/job/job-1")
        assert tell(refused) == (403, "HeaderMissing")
        purged = await api.ask("DELETE", "/job/job-1?purge=true", headers=PAGE)
        assert purged.code == 200
        assert tell(await api.get("/metrics")) == (403, "OutOfScope")
        assert (await api.ask("POST", "/ui/logout", headers=PAGE)).code == 204
        assert (await api.get("/ui/session")).body["scopes"] == []
