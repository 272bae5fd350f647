"""``GET /job/{id}/log`` over a socket, on an engine in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.engine.errors import EngineInterruptedError
from api.engine.interface import LogStream
from api.http.origins import choose_hosts
from api.informer.store import JobStore
from api.server.access.guard import Guard
from api.server.access.tokens import Act, Grant
from api.server.cancel_handlers import CancelHandlers
from api.server.handlers import Handlers
from api.server.http import drain
from api.server.http.drain import Drain
from api.server.http.route import add_routes
from api.server.job_handlers import JobHandlers
from api.server.jobs.collected import Collected
from api.server.jobs.counter import JobCounter
from api.server.jobs.lookup import Jobs
from api.server.jobs.wakers import Wakers
from api.server.logs import handler, reader, watched_job
from api.server.logs.handler import LogHandler
from api.server.metrics import ApiMetrics
from api.server.middleware import RequestMiddleware
from api.server.plan_client import PlanClient
from api.server.queue_handlers import QueueHandlers
from api.server.routes import list_routes
from api.server.slot_handlers import SlotHandlers
from api.server.watchers import Watchers
from api.v1.job import Job
from api.v1.labels import NAMESPACE
from api.v1.spec import JobSpec, encode
from api.v1.times import format_time
from api.v1.view import JobView, view_job
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.support.api import Api

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
LINES, EVENTS = {"Accept": "application/x-ndjson"}, {"Accept": "text/event-stream"}
PATIENCE = 20


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(behave=lambda _: Script())


def make_app(engine: MemoryEngine) -> web.Application:
    """Return the application without what the routes of jobs do not need: no worker is started."""
    metrics = ApiMetrics()
    wakers = Wakers()
    store = JobStore(wakers, wants_finish=False)
    jobs, counter = Jobs(engine, store), JobCounter(metrics.on_job, metrics.on_lost)
    nothing: Any = None
    cancels: Any = CancelHandlers(nothing, nothing, nothing)
    queues: Any = QueueHandlers(nothing, nothing, engine.now)
    index: Any = SimpleNamespace(describe_outage=lambda: None)
    watchers = Watchers(8, 512, metrics.on_watchers)
    shows = JobHandlers(
        *(engine, jobs, index, nothing, Collected(), counter),
        *(nothing, watchers, nothing, nothing, metrics, PlanClient(None)),
    )
    slots: Any = SlotHandlers(nothing, nothing, engine.now)
    handlers = Handlers(nothing, nothing, shows, cancels, queues, slots, metrics, nothing, nothing)

    def view(job: Job) -> JobView:
        return view_job(job, engine.now())

    app = web.Application()
    RequestMiddleware(metrics).install(app)
    Drain().install(app)
    logs = LogHandler(engine, store, wakers, watchers, shows.find_job, view)
    add_routes(app, list_routes(handlers, logs))
    return app


@asynccontextmanager
async def serve(engine: MemoryEngine) -> AsyncIterator[Api]:
    async with TestClient(TestServer(make_app(engine))) as client:
        yield Api(client)


@pytest.fixture
async def api(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(reader, "TICK", 0.02)
    monkeypatch.setattr(watched_job, "TICK", 0.02)
    monkeypatch.setattr(watched_job, "_PAUSE", 0.05)
    monkeypatch.setattr(watched_job, "_LOOK", 0.1)
    async with serve(engine) as served:
        yield served


def create(engine: MemoryEngine, **members: object) -> str:
    labels = encode(JobSpec(path="/job"), namespace="ns", job_id="job-1", labels={})
    return engine.add("job-1", {"Image": IMAGE, "Cmd": ["x"], "Labels": labels, **members})


def run(engine: MemoryEngine, **members: object) -> str:
    uid = create(engine, **members)
    engine.run(uid)
    return uid


async def read(api: Api, query: str = "", headers: Mapping[str, str] = {}) -> bytes:
    async with (
        asyncio.timeout(PATIENCE),
        api.client.get(f"/job/job-1/log{query}", headers=headers) as reply,
    ):
        assert reply.status == 200
        return await reply.read()


def split_events(text: bytes) -> list[tuple[str, Any]]:
    """Return the id and the data of each event."""
    events = []
    for part in text.decode().removesuffix("\n\n").split("\n\n"):
        if not part.startswith(":"):
            *head, data = part.split("\n")
            number = head[0].removeprefix("id: ") if head else ""
            events.append((number, json.loads(data.removeprefix("data: "))))
    return events


async def test_the_raw_log_is_what_was_written(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    written = [(OUT, b"one\n"), (ERR, b"\xff\x00two\n"), (OUT, b"x" * 50_000 + b"\n"), (OUT, b"3")]
    for stream, data in written:
        engine.write(uid, data, stream)
    engine.finish(uid)
    assert await read(api) == b"".join(data for _, data in written)
    assert await read(api, "?stream=stderr") == b"\xff\x00two\n"
    assert await read(api, "?tail=1") == b"3"
    async with api.client.head("/job/job-1/log") as reply:
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    async with api.client.get("/job/job-1/log") as reply:
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Accel-Buffering"] == "no"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Request-Id"]
        assert reply.headers["Server"] == "docker-job-dispatcher"


async def test_times_stand_before_lines_and_bound_them(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    engine.write(uid, b"x" * 20_000 + b"\ntwo\n")
    engine.finish(uid)
    first, _, second = engine.get_log(uid).frames
    one, two = (format_time(frame.time) for frame in (first, second))
    expected = f"{one} {'x' * 20_000}\n{two} two\n".encode()
    assert await read(api, "?timestamps=true") == expected
    assert await read(api, f"?since={two}") == b"two\n"
    assert await read(api, f"?until={one}") == b"x" * 20_000 + b"\n"
    assert await read(api, f"?since={second.time // 10**9}.{second.time % 10**9:09}") == b"two\n"


async def test_lines_have_times_and_streams_and_the_job_comes_last(
    api: Api, engine: MemoryEngine
) -> None:
    uid = run(engine)
    engine.write(uid, "größer\n".encode() + b"\xff\n")
    engine.write(uid, b"last", ERR)
    engine.finish(uid, 3)
    items: list[Any] = [*map(json.loads, (await read(api, "", LINES)).splitlines())]
    times = [format_time(frame.time) for frame in engine.get_log(uid).frames]
    assert items[:-1] == [
        {"t": times[0], "stream": "stdout", "line": "größer"},
        {"t": times[1], "stream": "stdout", "line": "\ufffd", "base64": "/w=="},
        {"t": times[2], "stream": "stderr", "line": "last", "open": True},
    ]
    shown = (await api.get("/job/job-1")).body
    assert items[-1]["end"] | {"status": ""} == shown | {"status": ""}


async def test_events_are_lines_that_can_be_resumed(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    for number in range(5):
        engine.write(uid, b"%d\n" % number)
    engine.finish(uid)
    events = split_events(await read(api, "", EVENTS))
    assert [data.get("line") for _, data in events] == ["0", "1", "2", "3", "4", None]
    assert events[-1][1]["end"]["phase"] == "Succeeded"
    for place, (event_id, _) in enumerate(events[:-1]):
        rest = await read(api, "?tail=1", {**EVENTS, "Last-Event-ID": event_id})
        assert [data for _, data in split_events(rest)][:-1] == [
            data for _, data in events[place + 1 : -1]
        ]
    odd = await read(api, "?tail=1", {**EVENTS, "Last-Event-ID": "another's"})
    assert len(split_events(odd)) == 2


@pytest.mark.parametrize("has_tail", [True, False])
async def test_a_resume_shows_nothing_from_before_the_first_event(
    api: Api, engine: MemoryEngine, has_tail: bool
) -> None:
    uid = run(engine)
    engine.write(uid, b"0\n1\n2\n3\n4\n")
    engine.finish(uid)
    third = engine.get_log(uid).frames[2].time
    query = "?tail=3" if has_tail else f"?since={format_time(third)}"
    events = split_events(await read(api, query, EVENTS))
    assert [data.get("line") for _, data in events] == ["2", "3", "4", None]
    seen = [data for _, data in events]
    for number, (event_id, _) in enumerate(events[:-1]):
        rest = split_events(await read(api, query, {**EVENTS, "Last-Event-ID": event_id}))
        assert [data.get("line") for _, data in rest] == [d.get("line") for d in seen[number + 1 :]]
        if len(rest) > 1:
            again = {**EVENTS, "Last-Event-ID": rest[0][0]}
            later = split_events(await read(api, query, again))
            assert [data.get("line") for _, data in later] == [
                d.get("line") for d in seen[number + 2 :]
            ]


@pytest.mark.parametrize("tail", [0, 2])
async def test_who_comes_again_before_a_first_event_misses_nothing(
    api: Api, engine: MemoryEngine, tail: int
) -> None:
    uid = run(engine)
    if not tail:
        engine.write(uid, b"before\n")
    query = f"&tail={tail}"
    async with asyncio.timeout(PATIENCE), await follow(api, query, EVENTS) as reply:
        name, _, place = (await reply.content.readline()).decode().strip().partition(": ")
        assert name == "id"
        assert await reply.content.readline() == b"\n"
    engine.write(uid, b"0\n1\n2\n3\n")
    engine.finish(uid)
    events = split_events(await read(api, f"?tail={tail}", {**EVENTS, "Last-Event-ID": place}))
    assert [data.get("line") for _, data in events] == ["0", "1", "2", "3", None]


async def test_an_event_that_was_rotated_away_hides_no_new_one(
    api: Api, engine: MemoryEngine
) -> None:
    uid = run(engine)
    engine.write(uid, b"0\n1\n2\n3\n")
    first = split_events(await read(api, "", EVENTS))
    engine.get_log(uid).most = 3
    engine.write(uid, b"4\n5\n6\n")
    engine.finish(uid)
    for event_id, _ in first[:-1]:
        rest = split_events(await read(api, "", {**EVENTS, "Last-Event-ID": event_id}))
        assert [data.get("line") for _, data in rest] == ["4", "5", "6", None]
        assert [data.get("lost") for _, data in rest] == [True, None, None, True]


async def test_a_line_before_which_others_were_lost_says_so(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    engine.get_log(uid).most = 2
    async with asyncio.timeout(PATIENCE), await follow(api) as reply:
        engine.write(uid, b"1\n2\n")
        lines = [json.loads(await reply.content.readline()) for _ in range(2)]
        engine.write(uid, b"begun")
        engine.cut_streams()
        engine.write(uid, b" 3\n4\n5\n6\n")
        lines += [json.loads(await reply.content.readline()) for _ in range(2)]
        engine.finish(uid)
        last = json.loads(await reply.content.readline())
    assert [line["line"] for line in lines] == ["1", "2", "5", "6"]
    assert [line.get("lost") for line in lines] == [None, None, True, None]
    assert last["lost"] is True
    assert last["end"]["phase"] == "Succeeded"


async def follow(api: Api, query: str = "", headers: Mapping[str, str] = LINES) -> ClientResponse:
    return await api.client.get(f"/job/job-1/log?follow=true{query}", headers=headers)


async def test_a_pending_job_is_waited_for_after_the_header(api: Api, engine: MemoryEngine) -> None:
    uid = create(engine)
    assert await read(api) == b""
    assert json.loads(await read(api, "", LINES))["end"]["phase"] == "Pending"
    async with asyncio.timeout(PATIENCE), await follow(api) as reply:
        assert reply.status == 200
        engine.run(uid)
        engine.write(uid, b"one\n")
        assert json.loads(await reply.content.readline())["line"] == "one"
        engine.write(uid, b"two\n")
        assert json.loads(await reply.content.readline())["line"] == "two"
        metrics = (await api.get("/metrics")).body
        assert 'dispatcher_watchers{kind="log"} 1.0' in metrics
        engine.finish(uid)
        assert json.loads(await reply.content.readline())["end"]["phase"] == "Succeeded"
        assert await reply.read() == b""
    assert 'dispatcher_watchers{kind="log"} 0.0' in (await api.get("/metrics")).body


async def test_one_line_of_the_log_tells_of_each_stream(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    engine.write(uid, b"12345\n")
    with capture_logs(processors=[merge_contextvars]) as entries:
        async with await follow(api, headers={}) as reply:
            await reply.content.readline()
            engine.finish(uid)
            await reply.read()
        async with asyncio.timeout(PATIENCE):
            while not entries:
                await asyncio.sleep(0.01)
    [entry] = [entry for entry in entries if entry["event"] == "request"]
    assert (entry["bytes"], entry["end"], entry["job"]) == (6, "whole", "job-1")
    assert entry["request_id"]


async def test_a_reader_that_leaves_is_noticed(engine: MemoryEngine) -> None:
    app, uid = make_app(engine), run(engine)
    guard = Guard(choose_hosts("127.0.0.1", ()))
    with capture_logs(processors=[merge_contextvars]) as entries:
        async with asyncio.timeout(PATIENCE), guard.serve(app, "127.0.0.1", 0) as (_, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /job/job-1/log?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not engine.get_log(uid).readings:
                await asyncio.sleep(0.01)
            writer.close()
            while not (found := [e for e in entries if e["event"] == "request"]):
                await asyncio.sleep(0.01)
    assert [(entry["end"], entry["code"]) for entry in found] == [("reader left", 200)]
    assert not engine.get_log(uid).readings


async def test_a_reader_that_stalls_keeps_nothing_open_and_loses_nothing(
    api: Api, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_STALLED", 0.05)
    uid = run(engine)
    blocks = [b"%07d" % number + b"x" * 8000 + b"\n" for number in range(3000)]
    async with asyncio.timeout(PATIENCE), await follow(api, headers={}) as reply:
        for block in blocks:
            engine.write(uid, block)
        begun = await reply.content.readexactly(8)
        while engine.get_log(uid).readings:
            await asyncio.sleep(0.01)
        engine.finish(uid)
        assert begun + await reply.content.read() == b"".join(blocks)


async def test_a_head_has_the_header_alone(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    engine.write(uid, b"one\n")
    async with asyncio.timeout(PATIENCE):
        reply = await api.ask("HEAD", "/job/job-1/log?follow=true", headers=LINES)
    assert (reply.code, reply.body) == (200, "")
    assert reply.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("headers", [{}, LINES])
async def test_a_driver_without_a_log_is_named(
    api: Api, engine: MemoryEngine, headers: Mapping[str, str]
) -> None:
    run(engine, HostConfig={"LogConfig": {"Type": "none"}})
    reply = await api.get("/job/job-1/log?follow=true", headers=headers)
    assert reply.code == 409
    error = reply.body["error"]
    assert (error["reason"], error["driver"]) == ("NoLog", "none")
    assert "none" in error["message"]


@pytest.mark.parametrize(
    ("query", "name"), [("tail=x", "tail"), ("folow=true", "folow"), ("since=x&tail=1", "since")]
)
async def test_a_bad_query_is_refused_before_the_job_is_looked_for(
    api: Api, query: str, name: str
) -> None:
    reply = await api.get(f"/job/nobody/log?{query}")
    assert (reply.code, reply.body["error"]["reason"]) == (400, "InvalidQuery")
    assert name in reply.body["error"]["message"]


async def test_there_is_no_log_without_a_job(api: Api, engine: MemoryEngine) -> None:
    engine.add("stranger", {"Image": "busybox:job", "Cmd": ["x"], "Labels": {NAMESPACE: "other"}})
    for name in ("nobody", "stranger", "a%2Fb", "..%2fx"):
        reply = await api.get(f"/job/{name}/log")
        assert (reply.code, reply.body["error"]["reason"]) == (404, "JobNotFound")


async def test_a_token_that_is_withdrawn_follows_no_further(
    api: Api, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = run(engine)
    async with asyncio.timeout(PATIENCE), await follow(api) as reply:
        engine.write(uid, b"one\n")
        assert json.loads(await reply.content.readline())["line"] == "one"
        monkeypatch.setattr("api.server.logs.handler.is_still_granted", lambda _request: False)
        last = json.loads(await reply.content.readline())
        assert last["error"]["reason"] == "Unauthorized"


async def test_beyond_the_watchers_there_are_no_logs(api: Api, engine: MemoryEngine) -> None:
    run(engine)
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(await follow(api))
        refused = await api.get("/job/job-1/log?follow=true")
        assert (refused.code, refused.body["error"]["reason"]) == (429, "TooManyWatchers")


async def test_who_follows_leaves_its_turn_to_others(
    api: Api, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(handler, "step_aside", lambda request: left.append(request.query_string))
    uid = run(engine)
    await read(api, "?tail=1")
    async with asyncio.timeout(PATIENCE), await follow(api) as reply:
        engine.write(uid, b"one\n")
        await reply.content.readline()
    assert left == ["follow=true"]


async def test_a_token_reads_the_logs_of_its_paths(
    api: Api, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(engine)
    grant = Grant(frozenset({Act.READ}), ("/job/elsewhere",))
    monkeypatch.setattr("api.server.job_handlers.read_grant", lambda _request: grant)
    assert (await api.get("/job/job-1/log")).code == 404


async def test_an_engine_that_stays_away_ends_lines_with_an_error_and_bytes_with_a_break(
    api: Api, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_PATIENCE", 0.1)
    uid = run(engine)
    engine.write(uid, b"one\n")
    async with (
        asyncio.timeout(PATIENCE),
        await follow(api) as lines,
        await follow(api, headers={}) as raw,
    ):
        assert b'"one"' in await lines.content.readline()
        assert await raw.content.readline() == b"one\n"
        engine.go_down()
        error = json.loads(await lines.content.readline())["error"]
        assert (error["code"], error["reason"]) == (502, "EngineUnavailable")
        assert error["requestId"] == lines.headers["X-Request-Id"]
        assert await lines.content.read() == b""
        with pytest.raises(ClientPayloadError):
            await raw.content.read()


async def test_a_short_break_is_not_noticed(api: Api, engine: MemoryEngine) -> None:
    uid = run(engine)
    async with asyncio.timeout(PATIENCE), await follow(api, headers={}) as reply:
        for number in range(3):
            engine.write(uid, b"%d\n" % number)
            engine.fail("logs", EngineInterruptedError("broken"))
            engine.cut_streams()
            assert await reply.content.readline() == b"%d\n" % number
        engine.finish(uid)
        assert await reply.read() == b""


async def test_the_end_of_service_ends_a_follow(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "GRACE", 0.2)
    async with serve(engine) as api:
        run(engine)
        reply = await follow(api)
        async with asyncio.timeout(PATIENCE):
            closing = asyncio.create_task(api.client.server.close())
            [line] = (await reply.read()).splitlines()
            await closing
    assert json.loads(line)["error"]["reason"] == "ShuttingDown"
