"""The page at /ui/ on an engine in memory, with a controller that says what a test has it say."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestServer

from api.server.filters.service import Filters
from api.v1.labels import NAMESPACE
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.api import Api, serve


class Clock:
    """Tells the time, which may be set back for what happened before."""

    def __init__(self) -> None:
        self.behind = 0.0
        """Seconds."""

    def __call__(self) -> int:
        return time.time_ns() - int(self.behind * SECOND)


@dataclass(slots=True)
class FakeController:
    """Answers ``/plan`` as a controller does; ``waits`` has what it says, by uid."""

    role: str = "active"
    used: int = 0
    allowed: int | None = 2
    waits: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_silent: bool = False
    asked: int = 0

    def wait(
        self, uid: str, reason: str, message: str, position: int, until: str | None = None
    ) -> None:
        """Say why a job waits."""
        self.waits[uid] = {
            "reason": reason,
            "message": message,
            "position": position,
            "until": until,
        }

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve while the block runs, which gets the URL."""
        app = web.Application()
        app.router.add_get("/plan", self._get_plan)
        app.router.add_get("/plan/{uid}", self._get_job)
        async with TestServer(app) as server:
            yield str(server.make_url("")).removesuffix("/")

    async def _get_plan(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.is_silent:
            return web.Response(status=503)
        waits = [{"uid": uid, **wait} for uid, wait in self.waits.items()]
        slots = {"slotsUsed": self.used, "slotsAllowed": self.allowed}
        return web.json_response({"role": self.role, **slots, "waits": waits})

    async def _get_job(self, request: web.Request) -> web.Response:
        if self.is_silent:
            return web.Response(status=503)
        return web.json_response({"waiting": self.waits.get(request.match_info["uid"])})


class NoFilters:
    """Serves no path, and starts no process for it: nobody posts to a page."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Scene:
    """Jobs of one namespace on ``engine``, which a test drives."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = MemoryEngine(clock=self.clock)
        self.controller = FakeController()

    def add(
        self,
        name: str,
        *,
        image: str = IMAGE,
        path: str = "/job",
        labels: Mapping[str, str] | None = None,
        ago: float = 0.0,
        **wishes: Any,
    ) -> str:
        """Record a job as the API does, ``ago`` seconds ago; return its uid."""
        self.clock.behind = ago
        self.engine.add_image(image)
        spec = JobSpec(path, "default", wishes=Wishes(**wishes))
        stamped = encode(spec, namespace="ns", job_id=name, labels=dict(labels or {}), nonce=name)
        assert stamped[NAMESPACE] == "ns"
        return self.engine.add(name, {"Image": image, "Cmd": ["true"], "Labels": stamped})

    def run(self, uid: str, ago: float = 0.0) -> None:
        """Start a job."""
        self.clock.behind = ago
        self.engine.run(uid)

    def finish(self, uid: str, code: int = 0, *, ago: float = 0.0, oom: bool = False) -> None:
        """End a job's run."""
        self.clock.behind = ago
        self.engine.finish(uid, code, oom=oom)

    @asynccontextmanager
    async def serve(self, **options: Any) -> AsyncIterator[Api]:
        """Serve the API with its page."""
        self.clock.behind = 0.0
        async with (
            self.controller.serve() as url,
            serve(
                self.engine,
                "ns",
                controller_url=url,
                filters=cast("Filters", NoFilters()),
                **options,
            ) as api,
        ):
            yield api


def find_url(api: Api, path: str = "/ui/") -> str:
    """Return where a browser finds a path."""
    return str(api.client.make_url(path))
