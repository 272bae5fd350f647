"""A stream that fell silent is taken for dead; one that speaks is left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.engine.interface import Event
from api.informer import watch as stream_module
from api.informer.watch import Watch
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine

BODY = {"Image": IMAGE, "Cmd": ["true"], "Labels": {NAMESPACE: "ns"}}


class Subscriber:
    def __init__(self, engine: MemoryEngine) -> None:
        self.heard: list[Event] = []
        self.begins = self.ends = 0
        self.stream = Watch(
            engine,
            f"{NAMESPACE}=ns",
            on_begin=self._begin,
            on_event=self.heard.append,
            on_end=self._end,
        )

    def _begin(self) -> None:
        self.begins += 1

    def _end(self) -> None:
        self.ends += 1


@asynccontextmanager
async def subscribe(engine: MemoryEngine) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber(engine)
    task = asyncio.create_task(subscriber.stream.keep())
    try:
        async with asyncio.timeout(10):
            while not subscriber.begins:
                await asyncio.sleep(0)
        yield subscriber
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_UNHEARD", 0.05)


async def test_a_change_that_no_event_announces_restarts_the_stream() -> None:
    engine = MemoryEngine()
    async with subscribe(engine) as subscriber:
        engine.is_mute = True
        subscriber.stream.note_unannounced([engine.add("unheard", BODY)])
        subscriber.stream.check()
        assert subscriber.ends == 0
        await asyncio.sleep(0.06)
        subscriber.stream.check()
        async with asyncio.timeout(10):
            while subscriber.begins < 2:
                await asyncio.sleep(0.01)


async def test_a_change_whose_event_came_before_or_after_the_list_does_not() -> None:
    engine = MemoryEngine()
    async with subscribe(engine) as subscriber:
        before, after = engine.add("before", BODY), engine.add("after", BODY)
        async with asyncio.timeout(10):
            while len(subscriber.heard) < 2:
                await asyncio.sleep(0)
        subscriber.stream.note_unannounced([before])
        await asyncio.sleep(0.06)
        subscriber.stream.check()
        subscriber.stream.note_unannounced([after])
        engine.run("after")
        await asyncio.sleep(0.06)
        subscriber.stream.check()
        await asyncio.sleep(0.02)
        assert (subscriber.begins, subscriber.ends) == (1, 0)
