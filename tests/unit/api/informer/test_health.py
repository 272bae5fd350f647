"""Who the engine is and whether it answers: known after every break, and logged once a change."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.engine.errors import EngineUnavailableError
from api.informer.health import EngineHealth
from api.informer.informer import Informer
from tests.unit.api.informer.stage import Stage, open_stage

Story = Callable[[Informer], Coroutine[Any, Any, None]]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def read_log(stage: Stage, story: Story) -> list[tuple[str, str]]:
    """Run a story; return what was logged, and at which level."""
    with capture_logs() as log:
        stage.play(story, interval=3.0)
    return [(line["log_level"], line["event"]) for line in log]


def test_an_engine_that_goes_and_comes_is_logged_once_each(stage: Stage) -> None:
    async def story(_: Informer) -> None:
        await asyncio.sleep(1.0)
        stage.engine.go_down()
        await asyncio.sleep(600.0)
        stage.engine.heal()
        await asyncio.sleep(600.0)

    assert read_log(stage, story) == [
        ("info", "engine answers"),
        ("warning", "engine lost"),
        ("info", "engine is back"),
    ]


def test_an_engine_that_is_not_there_yet_is_logged_once_with_the_cause(stage: Stage) -> None:
    stage.engine.is_down = True

    async def story(informer: Informer) -> None:
        await asyncio.sleep(600.0)
        assert informer.engine_status.error == "the engine is down"
        stage.engine.heal()
        await asyncio.sleep(10.0)

    assert read_log(stage, story) == [
        ("warning", "engine does not answer"),
        ("info", "engine is back"),
    ]


def test_an_exchanged_engine_is_known_after_the_break_though_no_call_has_failed(
    stage: Stage,
) -> None:
    async def story(informer: Informer) -> None:
        await asyncio.sleep(1.0)
        stage.engine.facts = replace(stage.engine.facts, version="next", api_version=(1, 51))
        stage.engine.cut_streams()
        await asyncio.sleep(5.0)
        assert informer.engine_status.info == stage.engine.facts

    assert read_log(stage, story) == [("info", "engine answers"), ("info", "engine answers")]


def test_whoever_wants_to_know_the_engine_first_asks_it(stage: Stage) -> None:
    async def story() -> None:
        health = EngineHealth(stage.engine)
        stage.engine.is_down = True
        with pytest.raises(EngineUnavailableError):
            await health.get_info()
        stage.engine.heal()
        assert await health.get_info() == stage.engine.facts
        stage.engine.is_down = True
        assert await health.get_info() == stage.engine.facts
        assert stage.engine.calls["info"] == 2

    stage.loop.run(story())


def test_another_engine_counts_only_once_everything_was_read_from_it(stage: Stage) -> None:
    async def story(informer: Informer) -> None:
        before = informer.engine_status.info
        stage.engine.facts = replace(stage.engine.facts, id="another")
        stage.engine.fail("list", EngineUnavailableError("not yet"), times=None)
        stage.engine.cut_streams()
        await asyncio.sleep(60.0)
        assert stage.engine.calls["info"] > 1
        assert informer.engine_status.info == before
        stage.engine.heal()
        await asyncio.sleep(10.0)
        assert informer.engine_status.info == stage.engine.facts

    stage.play(story)
