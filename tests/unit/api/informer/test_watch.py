"""A stream that fell silent is replaced; one that tells is left alone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from structlog.testing import capture_logs

from api.engine.interface import Event, EventKind
from api.informer.watch import Watch
from tests.unit.api.informer.stage import Stage, open_stage

_TOO_LONG = 5.1


class Subscriber:
    """A watch, and what it called."""

    def __init__(self, stage: Stage) -> None:
        self.events: list[Event] = []
        self.begins = self.ends = 0
        self.watch = Watch(
            stage.engine, on_begin=self._begin, on_event=self.events.append, on_end=self._end
        )

    def _begin(self) -> None:
        self.begins += 1

    def _end(self) -> None:
        self.ends += 1


def play(story: Callable[[Stage, Subscriber], Coroutine[Any, Any, None]]) -> None:
    """Run a story beside a watch that is subscribed."""

    async def run(stage: Stage) -> None:
        subscriber = Subscriber(stage)
        task = asyncio.create_task(subscriber.watch.keep())
        await asyncio.sleep(0.01)
        assert (subscriber.begins, subscriber.ends) == (1, 0)
        await story(stage, subscriber)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with open_stage() as stage:
        stage.loop.run(run(stage))


def test_a_change_that_no_event_announces_replaces_the_stream() -> None:
    async def story(stage: Stage, subscriber: Subscriber) -> None:
        stage.engine.is_mute = True
        subscriber.watch.note_unannounced([stage.add("unheard")])
        subscriber.watch.check()
        await asyncio.sleep(1.0)
        assert subscriber.ends == 0
        await asyncio.sleep(_TOO_LONG)
        subscriber.watch.check()
        await asyncio.sleep(1.0)
        assert (subscriber.begins, subscriber.ends) == (2, 1)

    play(story)


def test_a_change_whose_event_came_before_or_after_the_list_does_not() -> None:
    async def story(stage: Stage, subscriber: Subscriber) -> None:
        before, after = stage.add("before"), stage.add("after")
        await asyncio.sleep(0.01)
        assert len(subscriber.events) == 2
        subscriber.watch.note_unannounced([before])
        await asyncio.sleep(_TOO_LONG)
        subscriber.watch.check()
        subscriber.watch.note_unannounced([after])
        stage.engine.run("after")
        await asyncio.sleep(_TOO_LONG)
        subscriber.watch.check()
        await asyncio.sleep(1.0)
        assert (subscriber.begins, subscriber.ends) == (1, 0)

    play(story)


def test_an_event_that_cannot_be_read_is_skipped_counted_and_logged_once_a_minute() -> None:
    async def story(stage: Stage, subscriber: Subscriber) -> None:
        with capture_logs() as lines:
            for number in range(130):
                for stream in stage.engine._streams:
                    stream._queue.put_nowait(Event(EventKind.UNREADABLE, uid="", time=0))
                await asyncio.sleep(1.0)
                assert subscriber.watch.unreadable == number + 1
        stage.add("heard")
        await asyncio.sleep(0.01)
        assert [event.kind for event in subscriber.events] == [EventKind.CREATED]
        assert [line["skipped"] // 60 for line in lines] == [0, 1, 2]
        assert (subscriber.begins, subscriber.ends) == (1, 0)

    play(story)
