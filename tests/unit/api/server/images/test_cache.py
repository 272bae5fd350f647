"""An image is looked at once a minute, by one request, and anew after a pull."""

import asyncio

import pytest

from api.engine.errors import EngineTimeoutError, NotFoundError
from api.server.images.cache import ImageCache
from tests.fakes.engine.engine import IMAGE, MemoryEngine


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[MemoryEngine, ImageCache, Clock]:
    engine, clock = MemoryEngine(), Clock()
    engine.image_configs[IMAGE] = {"Cmd": ["true"]}
    return engine, ImageCache(engine, clock), clock


async def test_an_image_is_read_once_a_minute() -> None:
    engine, cache, clock = make()
    for now in (0.0, 1.0, 59.0):
        clock.now = now
        assert (await cache.look(IMAGE)).command == 5
    assert engine.calls["image_config"] == 1
    engine.image_configs[IMAGE] = {"Cmd": ["false"]}
    clock.now = 60.0
    found = await asyncio.gather(*(cache.look(IMAGE) for _ in range(10)))
    assert {each.command for each in found} == {5, 6}
    assert engine.calls["image_config"] == 2
    assert (await cache.look(IMAGE)).command == 6


async def test_after_a_pull_every_image_is_read_anew_and_no_older_answer_is_kept() -> None:
    engine, cache, _ = make()
    await cache.look(IMAGE)
    cache.forget()
    late = asyncio.create_task(cache.look(IMAGE))
    await asyncio.sleep(0)
    cache.forget()
    await late
    await cache.look(IMAGE)
    assert engine.calls["image_config"] == 3


async def test_what_cannot_be_read_is_not_kept() -> None:
    engine, cache, _ = make()
    with pytest.raises(NotFoundError):
        await cache.look("none:such")
    engine.fail("image_config", EngineTimeoutError("late"))
    with pytest.raises(EngineTimeoutError):
        await cache.look(IMAGE)
    assert (await cache.look(IMAGE)).command == 5


async def test_names_of_images_do_not_pile_up() -> None:
    engine, cache, _ = make()
    for number in range(2500):
        engine.add_image(f"image:{number}")
        await cache.look(f"image:{number}")
    assert len(cache._known) <= 1000
