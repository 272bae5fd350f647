"""Places for requests: a limit for all, half for one, and turns for those who wait."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from api.server.access.places import PATIENCE, NoPlaceError, Places
from tests.support.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run these tests on virtual time."""
    del item
    return {"loop": VirtualLoop}


class Crowd:
    """Requests that hold a place until they are told to end."""

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def ask(self, *names: str) -> None:
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._work(name))
            await asyncio.sleep(0)

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
            await asyncio.gather(self.tasks[name])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _work(self, name: str) -> None:
        async with self.places.take(name[0]):
            self.served.append(name)
            await self.ends[name].wait()


async def test_one_client_has_half_of_the_places_and_others_find_the_rest() -> None:
    crowd = Crowd(4)
    await crowd.ask("a1", "a2", "a3", "a4", "b1", "c1")
    assert crowd.served == ["a1", "a2", "b1", "c1"]
    await crowd.end("b1")
    assert crowd.served == ["a1", "a2", "b1", "c1"]
    await crowd.end("a1")
    assert crowd.served[4:] == ["a3"]
    await crowd.end("a2", "a3", "a4", "c1")


async def test_those_who_wait_take_turns() -> None:
    crowd = Crowd(4)
    await crowd.ask("a1", "a2", "b1", "b2", "c1", "c2", "d1")
    await crowd.end("a1", "a2", "b1")
    assert crowd.served[4:] == ["c1", "d1", "c2"]


async def test_who_waits_in_vain_is_refused_in_time_and_takes_no_place() -> None:
    crowd = Crowd(2)
    loop = asyncio.get_running_loop()
    await crowd.ask("a1")
    began = loop.time()
    with pytest.raises(NoPlaceError):
        async with crowd.places.take("a"):
            pass
    assert PATIENCE <= loop.time() - began < PATIENCE + 0.5
    await crowd.end("a1")
    await crowd.ask("a2")
    assert crowd.served == ["a1", "a2"]


@pytest.mark.parametrize("served", [False, True])
async def test_who_leaves_gives_its_place_back(*, served: bool) -> None:
    """Also in the very moment in which it is given one."""
    crowd = Crowd(2)
    await crowd.ask("a1", "a2")
    if served:
        crowd.ends["a1"].set()
        await asyncio.gather(crowd.tasks["a1"])
    crowd.tasks["a2"].cancel()
    await asyncio.gather(crowd.tasks["a2"], return_exceptions=True)
    if not served:
        await crowd.end("a1")
    await crowd.ask("a3")
    assert crowd.served[-1] == "a3"


async def test_no_more_wait_than_may_be_served() -> None:
    crowd = Crowd(4)
    await crowd.ask("a1", "a2", "a3", "a4")
    began = asyncio.get_running_loop().time()
    with pytest.raises(NoPlaceError):
        async with crowd.places.take("a"):
            pass
    assert asyncio.get_running_loop().time() - began < PATIENCE / 2
    await crowd.end("a1", "a2", "a3", "a4")
    assert not crowd.places._queued
