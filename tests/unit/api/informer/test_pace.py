"""The events of a busy engine are read together, and at once for whoever is in a hurry."""

import asyncio
from collections.abc import Iterator

import pytest

from api.engine.interface import Event
from api.informer.informer import Informer
from api.informer.pace import Pace
from tests.unit.api.informer.stage import Stage, open_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Yield an engine in memory on a virtual clock."""
    with open_stage() as stage:
        yield stage


class Reading:
    """A story beside an informer whose readings are 0.25 s apart: when each event was heard."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.is_urgent = False
        self.pace = Pace(0.25, lambda: self.is_urgent)
        self.heard: list[float] = []
        self.began = 0.0

    async def begin(self) -> None:
        """Wait until the past of the stream is read, and count seconds from now."""
        await asyncio.sleep(5.0)
        self.heard.clear()
        self.began = self.stage.loop.time()

    def note(self, _: Event) -> None:
        """Note when an event is heard."""
        self.heard.append(round(self.stage.loop.time() - self.began, 2))

    def play(self, *pauses: float) -> list[float]:
        """Create a job after each of ``pauses``; return when the events were heard."""

        async def story(_: Informer) -> list[float]:
            await self.begin()
            for number, pause in enumerate(pauses):
                await asyncio.sleep(pause)
                self.stage.add(f"job-{number}")
            await asyncio.sleep(5.0)
            return self.heard

        return self.stage.play(story, pause=self.pace.pause, on_event=self.note)


def test_the_first_event_is_heard_at_once_and_what_follows_together(stage: Stage) -> None:
    assert Reading(stage).play(0.0, 0.1, 0.1, 0.1) == [0.0, 0.25, 0.25, 0.5]


def test_events_far_apart_are_heard_at_once(stage: Stage) -> None:
    assert Reading(stage).play(0.0, 0.3, 0.4) == [0.0, 0.3, 0.7]


def test_nothing_is_waited_for_while_somebody_is_in_a_hurry(stage: Stage) -> None:
    reading = Reading(stage)
    reading.is_urgent = True
    assert reading.play(0.0, 0.1, 0.1) == [0.0, 0.1, 0.2]


def test_whoever_asks_hears_all_that_has_come(stage: Stage) -> None:
    reading = Reading(stage)

    async def story(_: Informer) -> None:
        await reading.begin()
        stage.add("first")
        await asyncio.sleep(0.1)
        stage.add("second")
        await asyncio.sleep(0.01)
        assert reading.heard == [0.0]
        await reading.pace.flush()
        assert reading.heard == [0.0, 0.11]
        stage.add("third")
        await asyncio.sleep(1.0)
        # the pause begins anew
        assert reading.heard == [0.0, 0.11, 0.36]

    stage.play(story, pause=reading.pace.pause, on_event=reading.note)


def test_who_comes_to_be_in_a_hurry_ends_a_pause(stage: Stage) -> None:
    reading = Reading(stage)

    async def story(_: Informer) -> None:
        await reading.begin()
        for name in ("first", "second"):
            stage.add(name)
            await asyncio.sleep(0.1)
        reading.is_urgent = True
        reading.pace.hurry()
        await asyncio.sleep(0.1)
        stage.add("third")
        await asyncio.sleep(1.0)
        assert reading.heard == [0.0, 0.2, 0.3]

    stage.play(story, pause=reading.pace.pause, on_event=reading.note)
