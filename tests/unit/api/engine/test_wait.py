import asyncio
from collections.abc import Iterator

import pytest

from api.engine.wait import wait_until_set
from tests.support.virtual_time import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize(("limit", "waited"), [(3.0, 3.0), (10.0, 5.0), (None, 5.0)])
def test_the_event_or_the_limit_ends_the_wait(
    loop: VirtualLoop, limit: float | None, waited: float
) -> None:
    async def play() -> None:
        event = asyncio.Event()
        loop.call_later(5.0, event.set)
        await wait_until_set(event, limit)

    loop.run(play())
    assert loop.time() == waited


def test_a_cancellation_at_the_moment_of_the_event_is_not_lost(loop: VirtualLoop) -> None:
    async def play() -> bool:
        event = asyncio.Event()
        waiting = asyncio.create_task(wait_until_set(event, 10.0))
        await asyncio.sleep(0)
        event.set()
        waiting.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert loop.run(play())
