"""An application with nothing but the door, and handlers that show what passed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
from aiohttp import web

from api.http.limits import ClientLimits
from api.http.origins import choose_hosts
from api.server.access.guard import Guard, read_grant
from api.server.access.session_handlers import log_in, log_out, show_session
from api.server.access.token_store import TokenStore
from api.server.http.route import Route, Scope, add_routes
from api.server.metrics import ApiMetrics
from api.server.middleware import RequestMiddleware


@dataclass
class Served:
    """A door that is open on ``port``; ``seen`` are the paths that handlers were called for."""

    port: int
    seen: list[str]
    proceed: asyncio.Event
    """Set it to let ``/job/wait`` answer."""


class Serve(Protocol):
    async def __call__(
        self, limits: ClientLimits | None = None, *, token_store: TokenStore | None = None
    ) -> Served: ...


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(
            limits: ClientLimits | None = None, *, token_store: TokenStore | None = None
        ) -> Served:
            return await stack.enter_async_context(_serve(limits or ClientLimits(), token_store))

        yield start


@asynccontextmanager
async def _serve(limits: ClientLimits, token_store: TokenStore | None) -> AsyncIterator[Served]:
    served = Served(0, [], asyncio.Event())

    async def show(request: web.Request) -> web.Response:
        served.seen.append(request.path)
        if request.path == "/job/wait":
            await served.proceed.wait()
        if request.path == "/job/big":
            return web.Response(body=b"x" * (64 << 20))
        size = len(await request.read())
        may = read_grant(request).may_read("/job/other")
        return web.json_response({"size": size, "mayReadOther": may})

    guard = Guard(
        choose_hosts("127.0.0.1", ["jobs.example"]), token_store=token_store, limits=limits
    )
    app = web.Application(client_max_size=1 << 20)
    RequestMiddleware(ApiMetrics()).install(app)
    add_routes(
        app,
        [
            Route("POST", "/job", show, Scope.POST, counts=True),
            Route("POST", "/job/{path:.*}", show, Scope.POST, counts=True),
            Route("GET", "/job/{id:.*}", show, Scope.READ_JOBS, counts=True),
            Route("DELETE", "/job/{id:.*}", show, Scope.POST_JOBS, counts=True),
            Route("GET", "/ui/session", show_session, Scope.ANY),
            Route("POST", "/ui/login", log_in, Scope.PUBLIC, takes_json=True),
            Route("POST", "/ui/logout", log_out, Scope.PUBLIC),
            Route("POST", "/json", show, Scope.POST, takes_json=True),
            Route("GET", "/metrics", show, Scope.READ),
            Route("GET", "/health/live", show, Scope.PUBLIC),
            Route("GET", "/health/ready", show, Scope.READ),
        ],
    )
    async with guard.serve(app, "127.0.0.1", 0) as (_, served.port):
        yield served
