"""What the page asks for, over HTTP, on an engine in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from tests.fakes.engine.engine import MemoryEngine, Script
from tests.integration.api.server.test_job_routes import POSTER, A, B, tell
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


async def test_a_browser_uses_every_route_with_its_session_for_its_own_jobs(tmp_path: Path) -> None:
    async with open_api(tmp_path) as (api, engine):
        assert tell(await api.get("/ui/session")) == (401, "Unauthorized")
        assert tell(await api.post({"token": "z" * 20}, "/ui/login")) == (401, "Unauthorized")
        login = await api.post({"token": A}, "/ui/login", headers=PAGE)
        assert login.code == 204
        # the client keeps the cookie, as a browser does
        shown = (await api.get("/ui/session")).body
        assert (shown["scopes"], shown["paths"]) == (["read", "post"], ["/job/a"])
        posted = await api.post(manifest("job-1"), "/job/a", headers=PAGE)
        assert posted.code == 201
        engine.run(posted.body["uid"])
        assert (await api.get("/job/job-1?wait=60")).body["finished"]
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
        assert tell(await api.get("/ui/session")) == (401, "Unauthorized")
