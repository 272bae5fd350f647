"""The API's application in this process, asked over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.config.queue_source import QueueSource
from api.engine.interface import Engine
from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.admission.settings import Profile
from api.server.app import make_app
from api.server.filters.service import Filters, from_options
from api.server.filters.workers.limits import FilterLimits
from api.server.images.settings import Pulling
from api.server.metrics import ApiMetrics
from api.server.settings import Settings
from tests.support.private_engine import IMAGE
from tests.support.processes import Reply


@dataclass(frozen=True, slots=True)
class Api:
    """A client of one served application."""

    client: TestClient[web.Request, web.Application]

    async def ask(self, method: str, path: str, **options: Any) -> Reply:
        """Send a request and return the answer, parsed where it is JSON."""
        async with self.client.request(method, path, **options) as response:
            is_json = response.content_type == "application/json"
            body = await (response.json() if is_json else response.text())
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, body)

    async def get(self, path: str, **options: Any) -> Reply:
        """Answer of a GET."""
        return await self.ask("GET", path, **options)

    async def post(self, document: object, path: str = "/job", **options: Any) -> Reply:
        """Answer of a POST of ``document`` as JSON."""
        return await self.ask("POST", path, json=document, **options)


@asynccontextmanager
async def serve(
    engine: Engine,
    namespace: str,
    *,
    source: str | None = ".",
    from_file: str | None = None,
    profile: Profile = Profile.BASELINE,
    pulling: Pulling | None = None,
    guard: Guard | None = None,
    max_watchers: int = 256,
    queues: Path | None = None,
    controller_url: str | None = None,
    filters: Filters | None = None,
) -> AsyncIterator[Api]:
    """Serve on ``engine``; as the filter is ``.`` by default, documents are manifests.

    One filter worker instead of three: what they do for each other has tests of its own.
    """
    metrics = ApiMetrics()
    filters = filters or from_options(
        filter_source=None if from_file else source,
        from_file=from_file,
        filter_env=(),
        environ={},
        limits=FilterLimits(size=1),
        hooks=metrics,
    )
    settings = Settings(
        namespace,
        profile,
        pulling=pulling or Pulling(),
        max_watchers=max_watchers,
        controller_url=controller_url,
    )
    found = QueueSource(queues, interval=0.05, on_reload=metrics.on_queues)
    found.load()
    app = make_app(engine, filters, settings, metrics=metrics, queues=found)
    (guard or Guard(choose_hosts("127.0.0.1", ()))).protect(app)
    async with TestClient(TestServer(app)) as client:
        yield Api(client)


def manifest(name: str, *command: str, **members: object) -> dict[str, object]:
    """Return a manifest of the one image that test engines hold; ``true`` by default."""
    return {"Name": name, "Image": IMAGE, "Cmd": list(command or ("true",)), **members}
