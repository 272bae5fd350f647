"""What may wait a moment is read together, and a burst does not keep the engine busy."""

import asyncio

import pytest

from api.informer.batch import Batcher
from tests.support.virtual_time import VirtualLoop


def gather(
    seconds: float, *, delay: float = 0.0, longest: float | None = None, arrivals: int = 40
) -> list[tuple[float, int]]:
    """Add an id every 50 ms; return when each reading began, and how many it read."""
    loop = VirtualLoop()
    readings: list[tuple[float, int]] = []

    async def read(ids: set[str]) -> None:
        readings.append((round(loop.time(), 3), len(ids)))
        await asyncio.sleep(seconds)

    async def play() -> None:
        gatherer = Batcher(read, delay=delay, longest_delay=longest, pauses=(0.1, 0.5))
        task = asyncio.create_task(gatherer.run())
        for number in range(arrivals):
            gatherer.add(str(number))
            await asyncio.sleep(0.05)
        await asyncio.sleep(10)
        assert not gatherer.waiting
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        loop.run(play())
    finally:
        loop.close()
    assert sum(count for _, count in readings) == arrivals
    return readings


def test_the_first_is_read_at_once_and_what_comes_meanwhile_together() -> None:
    assert gather(0.0)[:3] == [(0.0, 1), (0.1, 2), (0.2, 2)]


def test_with_a_delay_even_the_first_waits_for_others() -> None:
    assert gather(0.0, delay=0.25)[0] == (0.25, 5)


@pytest.mark.parametrize(("arrivals", "first"), [(10, (0.95, 10)), (40, (1.2, 24))])
def test_a_burst_is_read_once_it_is_over_or_has_lasted(
    arrivals: int, first: tuple[float, int]
) -> None:
    assert gather(0.0, delay=0.5, longest=1.2, arrivals=arrivals)[0] == first


def test_a_delay_passes_while_others_are_read() -> None:
    (first, _), (second, _) = gather(0.3, delay=0.5)[:2]
    assert first == 0.5
    assert second == pytest.approx(1.3, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "gap"), [(0.001, 0.101), (0.02, 0.22), (0.04, 0.44), (0.3, 0.8), (3.0, 3.5)]
)
def test_the_longer_a_reading_takes_the_longer_the_pause_but_it_has_an_end(
    seconds: float, gap: float
) -> None:
    (first, _), (second, _) = gather(seconds)[:2]
    assert second - first == pytest.approx(gap, abs=0.051)
