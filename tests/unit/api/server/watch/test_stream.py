"""A stream goes on for as long as its client listens, and holds little for one that does not."""

import asyncio
import json
from typing import Any

import pytest

from api.server.jobs.query import JobFilter
from api.server.watch import stream as stream_module
from api.server.watch.feed import Feed, Kind, Message
from api.server.watch.stream import EventStream
from api.server.watch.wire import EVENTS, LINES, choose_type, spell
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.server.jobs.test_index import STATES
from tests.unit.api.server.watch.test_feed import Origin


class Sink:
    """A client that reads what it is sent, or stops to."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.writes = 0
        self.largest = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_left = False

    async def write(self, data: bytes) -> None:
        if self.has_left:
            raise ConnectionResetError
        self.writes += 1
        self.largest = max(self.largest, len(data))
        await self.reads.wait()
        self.lines += [json.loads(line) for line in data.splitlines()]

    @property
    def kinds(self) -> list[str]:
        return [line["type"] for line in self.lines]


def follow(origin: Origin, sink: Sink, **options: Any) -> tuple[EventStream, asyncio.Task[str]]:
    stream = EventStream(Feed(origin.log, origin, JobFilter()), origin.log, sink, LINES, **options)
    return stream, asyncio.create_task(stream.run())


@on_virtual_time
async def test_an_idle_stream_is_told_a_bookmark_every_fifteen_seconds() -> None:
    origin, sink = Origin(), Sink()
    _, running = follow(origin, sink)
    await asyncio.sleep(46)
    assert sink.kinds == ["synced", "bookmark", "bookmark", "bookmark"]
    assert {line["version"] for line in sink.lines} == {origin.log.spell(origin.log.head)}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@on_virtual_time
async def test_a_change_is_told_at_once_and_a_burst_in_few_writings() -> None:
    origin, sink = Origin(), Sink()
    _, running = follow(origin, sink)
    await asyncio.sleep(1)
    origin.show_job("u1", 1)
    await asyncio.sleep(0.001)
    assert sink.kinds == ["synced", "added"]
    for number in range(1000):
        origin.show_job(f"v{number}", number)
        await asyncio.sleep(0.0005)
    await asyncio.sleep(1)
    assert len(sink.lines) == 1002
    assert sink.writes < 50
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@on_virtual_time
async def test_a_client_that_reads_nothing_for_an_hour_costs_little_and_is_not_dropped() -> None:
    origin, sink = Origin(), Sink()
    stream, running = follow(origin, sink)
    await asyncio.sleep(1)
    sink.reads.clear()
    for number in range(5000):
        origin.show_job(f"u{number % 2000}", number, STATES[number % 4])
        await asyncio.sleep(0.7)
    assert sink.largest < 100_000
    assert len(stream.feed._due) <= 1000
    sink.reads.set()
    await asyncio.sleep(5)
    assert not running.done()
    folded = {line["job"]["uid"]: line["job"] for line in sink.lines if "job" in line}
    assert folded == origin.shows(JobFilter())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("reads", [True, False])
@on_virtual_time
async def test_the_end_of_service_ends_a_stream_at_once_whether_it_is_read_or_not(
    reads: bool,
) -> None:
    origin, sink = Origin(), Sink()
    _, running = follow(origin, sink)
    await asyncio.sleep(1)
    if not reads:
        sink.reads.clear()
        origin.show_job("u1", 1)
        await asyncio.sleep(1)
    await origin.log.end()
    await asyncio.sleep(0 if reads else 1)
    await asyncio.sleep(0)
    assert await running == stream_module.ENDING
    assert sink.kinds == (["synced", "bookmark"] if reads else ["synced"])


@on_virtual_time
async def test_a_client_that_leaves_ends_its_stream() -> None:
    origin, sink = Origin(), Sink()
    left = False
    _, running = follow(origin, sink, is_left=lambda: left)
    await asyncio.sleep(1)
    left = True
    await asyncio.sleep(1.1)
    assert await running == stream_module.LEFT
    assert not origin.log.has_readers
    broken = Sink()
    broken.has_left = True
    _, running = follow(origin, broken)
    assert await running == stream_module.LEFT


@on_virtual_time
async def test_a_token_that_is_revoked_ends_its_streams() -> None:
    origin, sink = Origin(), Sink()
    _, running = follow(origin, sink, is_allowed=lambda: False)
    await asyncio.sleep(14)
    assert not running.done()
    await asyncio.sleep(2)
    assert await running == stream_module.REVOKED


def test_an_event_has_an_id_only_where_it_can_be_resumed_behind() -> None:
    told = Message(Kind.ADDED, 7, b'{"id": "a"}')
    line = b'{"type": "added", "version": "e-7", "job": {"id": "a"}}'
    assert spell(told, "e-7", LINES) == line + b"\n"
    assert spell(told, "e-7", EVENTS) == b"id: e-7\ndata: " + line + b"\n\n"
    shown = spell(Message(Kind.ADDED, 0, b"{}"), "e-0", EVENTS)
    assert shown == b'data: {"type": "added", "version": "e-0", "job": {}}\n\n'
    assert spell(Message(Kind.RESET, 0), "e-0", LINES) == b'{"type": "reset", "version": "e-0"}\n'


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, LINES),
        ("*/*", LINES),
        ("application/json", LINES),
        ("text/event-stream", EVENTS),
        ("text/html, Text/Event-Stream;q=0.9", EVENTS),
    ],
)
def test_events_are_for_who_asks_for_them(accept: str | None, kind: str) -> None:
    assert choose_type(accept) == kind
