"""Event streams: long lines, cuts, silence, reconnects, and no connection left behind."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.engine.docker.engine import DockerEngine
from api.engine.docker.events import EventReader
from api.engine.errors import EngineInterruptedError
from api.engine.interface import Event, EventKind
from api.informer.pace import Pace
from api.v1.spec import JobSpec, encode
from tests.integration.api.engine.docker.conftest import inspect, make_body, read_to_end
from tests.support.private_engine import IMAGE
from tests.support.proxy import FaultProxy


async def wait_for_connections(proxy: FaultProxy, count: int) -> None:
    end = time.monotonic() + 20
    while proxy.open_connections != count:
        assert time.monotonic() < end, f"{proxy.open_connections} connections, not {count}"
        await asyncio.sleep(0.01)


async def test_an_abandoned_stream_leaves_no_connection(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    before = proxy.open_connections
    for _ in range(5):
        async with engine.events():
            pass
        with pytest.raises(TimeoutError):
            async with engine.events() as events, asyncio.timeout(0.05):
                await anext(events)
    await wait_for_connections(proxy, before)


async def test_closing_ends_what_is_open(proxy: FaultProxy, engine: DockerEngine) -> None:
    async with engine.events() as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises((EngineInterruptedError, StopAsyncIteration)):
            await asyncio.wait_for(waiting, 20)
    await wait_for_connections(proxy, 0)


async def test_an_event_beyond_half_a_mebibyte_is_read_and_the_next_ones_too(
    engine: DockerEngine, namespace: str
) -> None:
    huge = "x" * (700 * 1024)
    async with engine.events() as events:
        for text in (huge, "small"):
            name = f"{namespace}-{len(text)}"
            labels = encode(JobSpec(), namespace=namespace, job_id=name, labels={"size": text})
            body = {"Image": IMAGE, "Cmd": ["true"], "Labels": labels}
            uid = (await engine.create(name, body)).uid
            event = await asyncio.wait_for(anext(events), 20)
            assert (event.kind, event.uid) == (EventKind.CREATED, uid)
            await engine.remove(uid)
            assert (await asyncio.wait_for(anext(events), 20)).kind is EventKind.REMOVED


@pytest.mark.parametrize("code", ["\u00b2", "999", "soon"])
async def test_labels_that_overwrite_what_an_event_tells_end_no_stream(
    engine: DockerEngine, namespace: str, code: str
) -> None:
    labels = encode(JobSpec(), namespace=namespace, job_id=f"{namespace}-odd", labels={})
    labels |= {"exitCode": code, "name": "x", "image": "y", "execID": "z", "signal": "\u00b2"}
    body = {"Image": IMAGE, "Cmd": ["false"], "Labels": labels}
    async with engine.events() as events:
        uid = (await engine.create(f"{namespace}-odd", body)).uid
        await engine.start(uid)
        heard: dict[EventKind, Event] = {}
        async with asyncio.timeout(60):
            while EventKind.ENDED not in heard:
                event = await anext(events)
                heard[event.kind] = event
        assert {event.uid for event in heard.values()} == {uid}
        assert heard[EventKind.CREATED].is_job
        assert heard[EventKind.ENDED].exit_code is None
        await engine.remove(uid)


async def test_a_cut_stream_is_an_interruption_and_the_next_one_works(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    async with engine.events() as events:
        proxy.sever("/events")
        with pytest.raises(EngineInterruptedError):
            await asyncio.wait_for(read_to_end(events), 20)
    async with engine.events() as events:
        await engine.start(container)
        while (await asyncio.wait_for(anext(events), 20)).kind is not EventKind.STARTED:
            pass


async def test_the_next_stream_tells_what_a_break_has_swallowed(
    engine: DockerEngine, namespace: str
) -> None:
    container = (
        await engine.create(namespace, make_body(namespace, namespace, "sleep", "0.5"))
    ).uid
    async with engine.events() as events:
        await engine.start(container)
        while (await asyncio.wait_for(anext(events), 20)).kind is not EventKind.STARTED:
            pass
    while (ended := (await inspect(engine, container)).finished_at) is None:
        await asyncio.sleep(0.02)
    await engine.remove(container)
    # longer ago than the second of the past that any stream begins with
    while engine.now() < ended + 4_000_000_000:
        await asyncio.sleep(0.1)
    async with engine.events() as events:
        told: set[EventKind] = set()
        while not {EventKind.ENDED, EventKind.REMOVED} <= told:
            told.add((await asyncio.wait_for(anext(events), 20)).kind)


async def test_a_garbled_line_is_told_as_unreadable_and_the_stream_goes_on(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    proxy.answer("/events", 200, 'nonsense\n{"Action": "die", "Actor": {"ID": "a"}}\n')
    async with engine.events() as events:
        kinds = [event.kind async for event in events]
    assert kinds == [EventKind.UNREADABLE, EventKind.ENDED]


async def test_a_stream_that_ends_in_good_order_just_ends(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    proxy.answer("/events", 200, '{"Action": "die", "Actor": {"ID": "a"}}\n{"Action": "lost"')
    async with engine.events() as events:
        assert [event.kind async for event in events] == [EventKind.ENDED]


async def test_a_silent_stream_stays_open_and_a_new_one_is_told_again(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    async with engine.events() as silent:
        proxy.drop_events_silently()
        waiting = asyncio.ensure_future(_find_start(silent))
        await engine.start(container)
        proxy.heal()
        async with engine.events() as events:
            await asyncio.wait_for(_find_start(events), 20)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def _find_start(events: AsyncIterator[Event]) -> None:
    async for event in events:
        if event.kind is EventKind.STARTED:
            return


async def test_who_asks_for_what_has_come_has_it_read_from_the_socket_too() -> None:
    """Nor does another who asks a moment later miss it."""
    news = asyncio.Queue[bytes]()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while line := await news.get():
            await response.write(line)
            news.task_done()
        return response

    app = web.Application()
    app.router.add_get("/events", stream)
    pace, heard = Pace(3600.0, lambda: False), list[int]()
    async with TestClient(TestServer(app)) as client, client.get("/events") as response:
        nothing = (lambda *_: None, lambda _: None, lambda event: heard.append(event.time))
        reading = asyncio.create_task(
            _read(EventReader(response, "ns", *nothing, pause=pace.pause))
        )
        for number in range(1, 20):
            news.put_nowait(b'{"Action": "die", "Actor": {"ID": "a"}, "timeNano": %d}\n' % number)
            await news.join()
            if number > 1:
                other = asyncio.create_task(pace.flush())
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                await pace.flush()
                assert heard == [*range(1, number + 1)]
                await other
            while not heard:
                await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        news.put_nowait(b"")


async def _read(reader: EventReader) -> None:
    async for _ in reader:
        pass
