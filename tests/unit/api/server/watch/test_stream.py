"""A stream goes on for as long as its client listens, and holds little for one that does not."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from api.server.clients import CLIENT
from api.server.jobs.query import JobFilter
from api.server.watch import stream as stream_module
from api.server.watch.feed import Feed, Kind, Message
from api.server.watch.stream import EventStream
from api.server.watch.wire import EVENTS, LINES, choose_type, spell
from tests.support.clients import meet
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.server.jobs.test_index import STATES
from tests.unit.api.server.watch.test_feed import Origin


class Sink:
    """A client that reads what it is sent, or stops to."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.writes = 0
        self.largest = 0
        self.pause = 0.0
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_left = False

    async def write(self, data: bytes) -> None:
        if self.has_left:
            raise ConnectionResetError
        self.writes += 1
        self.largest = max(self.largest, len(data))
        await self.reads.wait()
        if self.pause:
            await asyncio.sleep(self.pause)
        self.lines += [json.loads(line) for line in data.splitlines()]

    @property
    def kinds(self) -> list[str]:
        return [line["type"] for line in self.lines]

    def fold(self) -> dict[str, Any]:
        """Return the jobs that a client knows of."""
        known: dict[str, Any] = {}
        for line in self.lines:
            if line["type"] == "removed":
                known.pop(line["job"]["uid"], None)
            elif "job" in line:
                known[line["job"]["uid"]] = line["job"]
        return known


def follow(origin: Origin, sink: Sink, **options: Any) -> tuple[EventStream, asyncio.Task[str]]:
    stream = EventStream(Feed(origin.log, origin, JobFilter()), origin.log, sink, LINES, **options)
    return stream, asyncio.create_task(stream.run())


def follow_all(
    origin: Origin, filters: Iterable[JobFilter]
) -> tuple[list[Sink], list[asyncio.Task[str]]]:
    """Have one client follow by each filter."""
    sinks, running = [], []
    for wanted in filters:
        sinks.append(Sink())
        stream = EventStream(Feed(origin.log, origin, wanted), origin.log, sinks[-1], LINES)
        running.append(asyncio.create_task(stream.run()))
    return sinks, running


async def end(running: Sequence[asyncio.Task[str]]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


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
async def test_a_client_that_is_never_through_is_told_bookmarks_and_stops_with_its_token() -> None:
    origin, sink = Origin(), Sink()
    is_granted = True
    stream, running = follow(origin, sink, is_allowed=lambda: is_granted)
    write = sink.write

    async def write_slowly(data: bytes) -> None:
        await write(data)
        await asyncio.sleep(0.1)
        origin.show_job(f"u{sink.writes}", sink.writes)

    sink.write = write_slowly  # type: ignore[method-assign]
    await asyncio.sleep(46)
    assert sink.writes > 100
    assert sink.kinds.count("bookmark") == 3
    is_granted = False
    async with asyncio.timeout(16):
        assert await running == stream_module.REVOKED
    assert stream.sent


@on_virtual_time
async def test_each_change_is_spelt_once_for_all_streams_of_a_filter_over_bookmarks_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origin, spelt = Origin(), Counter[Kind]()

    def count_spelt(message: Message, version: str, media_type: str) -> bytes:
        spelt[message.kind] += 1
        return spell(message, version, media_type)

    monkeypatch.setattr(stream_module, "spell", count_spelt)
    sinks, running = follow_all(origin, [JobFilter()] * 20)
    for sink in sinks:
        sink.pause = 0.15  # never through with what is new
    await asyncio.sleep(1)
    for number in range(8000):
        origin.show_job(f"u{number}", number)
        if number % 50 == 0:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    assert spelt[Kind.ADDED] == 8000
    assert {len(sink.fold()) for sink in sinks} == {8000}
    assert {sink.kinds.count("bookmark") for sink in sinks} == {1}
    await end(running)


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


@on_virtual_time
async def test_others_have_a_turn_between_what_two_streams_tell_of_a_snapshot() -> None:
    origin = Origin()
    for number in range(500):
        origin.show_job(f"u{number}", number)
    sinks, running = follow_all(origin, [JobFilter()] * 20)
    written, rounds = 0, []
    while "synced" not in sinks[-1].kinds[-1:]:
        await asyncio.sleep(0)
        written, before = sum(sink.writes for sink in sinks), written
        rounds.append(written - before)
    assert max(rounds) == 1
    assert len(rounds) <= 2 * sum(sink.writes for sink in sinks)
    await end(running)


@on_virtual_time
async def test_a_snapshot_is_made_once_for_all_streams_of_a_filter() -> None:
    origin, shown = Origin(), Counter[tuple[str, str | None]]()
    for number in range(300):
        origin.show_job(f"u{number}", number, path=f"/job/{'ab'[number % 2]}")
    show = origin.show

    def count_shown(uid: str, wanted: JobFilter) -> bytes | None:
        shown[uid, wanted.path] += 1
        return show(uid, wanted)

    origin.show = count_shown  # type: ignore[method-assign]
    sinks, running = follow_all(origin, [JobFilter(), JobFilter(path="/job/a")] * 10)
    await asyncio.sleep(0.1)
    assert {*shown.values()} == {1}
    assert [len(sink.lines) for sink in sinks[:2]] == [301, 151]
    await end(running)


@on_virtual_time
async def test_streams_that_share_a_snapshot_know_at_its_end_what_has_changed_meanwhile() -> None:
    origin, filters = Origin(), [JobFilter(), JobFilter(path="/job/a")] * 5
    for number in range(150):
        origin.show_job(f"u{number}", number, path=f"/job/{'ab'[number % 2]}")
    sinks, running = follow_all(origin, filters)
    for number in range(150):
        for _ in range(0 if number % 20 else 14):
            await asyncio.sleep(0)
        changed = number * 7 % 150
        origin.show_job(f"u{changed}", changed, STATES[1 + number % 3], path="/job/a")
        if number % 4 == 0:
            origin.store.fold_missing(f"u{number * 11 % 150}")
    await asyncio.sleep(2)
    for sink, wanted in zip(sinks, filters, strict=True):
        assert sink.kinds.count("synced") == 1
        assert sink.fold() == origin.shows(wanted)
    await end(running)


@on_virtual_time
async def test_one_client_has_its_snapshot_as_soon_beside_twenty_of_another_as_beside_one() -> None:
    origin = Origin()
    for number in range(500):
        origin.show_job(f"u{number}", number)
    one, other = meet("one", "other")
    CLIENT.set(other)
    _, crowd = follow_all(origin, [JobFilter()] * 20)
    CLIENT.set(one)
    (sink,), running = follow_all(origin, [JobFilter()])
    rounds = 0
    while "synced" not in sink.kinds:
        await asyncio.sleep(0)
        rounds += 1
    assert rounds <= 3 * sink.writes
    await end([*crowd, *running])


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
