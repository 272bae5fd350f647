"""Answers that go on: they are begun once, hold no place, and end by themselves at shutdown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from api.http.limits import ClientLimits
from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.http import drain
from api.server.http.drain import Drain, read_shutdown
from api.server.http.route import Route, Scope, add_routes
from api.server.metrics import ApiMetrics
from api.server.middleware import RequestMiddleware
from tests.support.hostile import send

GRACE = 0.2
ASK = b"GET %s HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n"


class Stage:
    """A served application whose routes begin an answer, each in its own way."""

    def __init__(self) -> None:
        self.port = 0
        self.end = asyncio.Event()
        """Set it to end service."""
        self.writers: list[asyncio.StreamWriter] = []

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Stream until shutdown, and go on for longer than others may."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        await read_shutdown(request).wait()
        await asyncio.sleep(3 * GRACE)
        await response.write(b"last\n")
        return response

    async def hesitate(self, _request: web.Request) -> web.StreamResponse:
        """Never begin."""
        await asyncio.Event().wait()
        return web.StreamResponse()

    async def fail(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        raise {
            "error": KeyError("secret"),
            "http": web.HTTPNotFound(),
            "gone": ConnectionResetError("client left"),
        }[request.match_info["how"]]

    async def ask(self, _request: web.Request) -> web.Response:
        return web.Response(text="asked")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "GRACE", GRACE)


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@asynccontextmanager
async def serve(limits: ClientLimits | None = None) -> AsyncIterator[Stage]:
    stage = Stage()
    app = web.Application()
    RequestMiddleware(ApiMetrics()).install(app)
    Drain().install(app)
    add_routes(
        app,
        [
            Route("GET", "/follow", stage.follow, Scope.READ, streams=True),
            Route("GET", "/hesitate", stage.hesitate, Scope.READ, streams=True),
            Route("GET", "/undeclared", stage.follow, Scope.READ),
            Route("GET", "/fail/{how}", stage.fail, Scope.READ, streams=True),
            Route("GET", "/ask", stage.ask, Scope.READ, counts=True),
        ],
    )
    guard = Guard(choose_hosts("127.0.0.1", ()), limits=limits)

    async def run(ready: asyncio.Event) -> None:
        async with guard.serve(app, "127.0.0.1", 0) as (_, stage.port):
            ready.set()
            await stage.end.wait()

    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run(ready))
        await ready.wait()
        yield stage
        stage.end.set()
    for writer in stage.writers:
        writer.close()


async def open_stream(stage: Stage, path: bytes) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    stage.writers.append(writer)
    writer.write(ASK % path)
    return reader


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read()


async def test_streams_do_not_count_as_requests_that_wait() -> None:
    async with serve(ClientLimits(waiting=1)) as stage:
        readers = [await open_stream(stage, b"/follow") for _ in range(3)]
        for reader in readers:
            assert b"begun" in await reader.readuntil(b"begun\n")
        assert (await send(stage.port, ASK % b"/ask")).code == 200


async def test_a_stream_has_the_requests_id_on_its_header() -> None:
    async with serve() as stage:
        reader = await open_stream(stage, b"/follow")
        assert b"X-Request-Id: mine\r\n" in await reader.readuntil(b"\r\n\r\n")


async def test_a_stream_that_has_begun_is_told_of_the_end_and_ends_by_itself() -> None:
    async with serve() as stage:
        begun = await open_stream(stage, b"/follow")
        await begun.readuntil(b"begun\n")
        late = await open_stream(stage, b"/hesitate")
        assert (await send(stage.port, ASK % b"/ask")).code == 200
        stage.end.set()
        rest, refusal = await read_all(begun), await read_all(late)
    # whole: its last chunk is there, later than the deadline of others
    assert b"last\n" in rest
    assert rest.endswith(b"0\r\n\r\n")
    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert b"ShuttingDown" in refusal


@pytest.mark.parametrize("how", ["error", "http", "gone"])
async def test_an_answer_that_fails_after_it_began_breaks_off(how: str, log: list[Any]) -> None:
    async with serve() as stage:
        answer = await read_all(await open_stream(stage, f"/fail/{how}".encode()))
    assert answer.count(b"HTTP/1.1") == 1
    assert b"begun\n" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"secret" not in answer
    (line,) = [e for e in log if e["event"] == "request"]
    reasons = {"error": "InternalError", "http": "NotFound", "gone": None}
    assert (line["code"], line.get("reason")) == (200, reasons[how])
    assert len([e for e in log if e["event"] == "request failed"]) == (how == "error")


async def test_an_answer_of_a_route_that_declares_no_stream_breaks_off_at_the_deadline() -> None:
    async with serve() as stage:
        reader = await open_stream(stage, b"/undeclared")
        await reader.readuntil(b"begun\n")
        stage.end.set()
        rest = await read_all(reader)
    assert b"HTTP/1.1" not in rest
    assert b"last" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
