"""Who the engine is and whether it answers: known after every break, and logged once a change."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.engine.errors import EngineUnavailableError
from api.informer.informer import Informer
from tests.fakes.engine.engine import MemoryEngine
from tests.support.listeners import Nobody
from tests.support.virtual_time import VirtualLoop
from tests.unit.api.informer.test_informer_machine import virtual_monotonic


class Stage:
    """An engine and its informer, on a clock of their own."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.engine = MemoryEngine(clock=loop.now_ns, timeout=2.0)
        self.informer = Informer(self.engine, "ns", Nobody(), interval=3.0)

    def play(self, story: Coroutine[Any, Any, None]) -> list[tuple[str, str]]:
        """Run a story beside the informer; return what was logged, and at which level."""

        async def run() -> None:
            task = asyncio.create_task(self.informer.run())
            await story
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        with capture_logs() as log:
            self.loop.run(run())
        return [(line["log_level"], line["event"]) for line in log]


@pytest.fixture
def stage() -> Iterator[Stage]:
    loop = VirtualLoop()
    with virtual_monotonic(loop):
        yield Stage(loop)
    loop.close()


def test_an_engine_that_goes_and_comes_is_logged_once_each(stage: Stage) -> None:
    async def story() -> None:
        await asyncio.sleep(1.0)
        stage.engine.go_down()
        await asyncio.sleep(600.0)
        stage.engine.heal()
        await asyncio.sleep(600.0)

    assert stage.play(story()) == [
        ("info", "engine answers"),
        ("warning", "engine lost"),
        ("info", "engine is back"),
    ]


def test_an_engine_that_is_not_there_yet_is_logged_once_with_the_cause(stage: Stage) -> None:
    async def story() -> None:
        stage.engine.is_down = True
        await asyncio.sleep(600.0)
        assert stage.informer.engine_status.error == "the engine is down"
        stage.engine.heal()
        await asyncio.sleep(10.0)

    assert stage.play(story()) == [
        ("warning", "engine does not answer"),
        ("info", "engine is back"),
    ]


def test_an_exchanged_engine_is_known_after_the_break_though_no_call_has_failed(
    stage: Stage,
) -> None:
    async def story() -> None:
        await asyncio.sleep(1.0)
        stage.engine.facts = replace(stage.engine.facts, version="next", api_version=(1, 51))
        stage.engine.cut_streams()
        await asyncio.sleep(5.0)
        assert stage.informer.engine_status.info == stage.engine.facts

    assert stage.play(story()) == [("info", "engine answers"), ("info", "engine answers")]


def test_whoever_wants_to_know_the_engine_first_asks_it(stage: Stage) -> None:
    async def story() -> None:
        stage.engine.is_down = True
        with pytest.raises(EngineUnavailableError):
            await stage.informer.get_info()
        stage.engine.heal()
        stage.engine.fail("list", EngineUnavailableError("not yet"), times=None)
        assert await stage.informer.get_info() == stage.engine.facts
        asked = stage.engine.calls["info"]
        stage.engine.is_down = True
        assert await stage.informer.get_info() == stage.engine.facts
        assert stage.engine.calls["info"] == asked

    stage.play(story())
