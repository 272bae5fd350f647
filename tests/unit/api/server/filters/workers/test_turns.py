"""Slow workers take turns, whoever comes and goes; in virtual time."""

import asyncio
from collections.abc import Iterator

import pytest

from api.server.filters.workers.turns import Lane
from tests.support.virtual_time import VirtualLoop


class Worker:
    def __init__(self) -> None:
        self.runs = True
        self.turns = 0

    def pause(self) -> None:
        self.runs = False

    def resume(self) -> None:
        self.runs = True
        self.turns += 1


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_no_more_run_at_once_than_the_lane_is_wide(loop: VirtualLoop) -> None:
    async def watch() -> None:
        lane, workers = Lane(2, 0.01), [Worker() for _ in range(5)]
        for worker in workers:
            lane.add(worker)
        for _ in range(30):
            assert sum(worker.runs for worker in workers) == 2
            await asyncio.sleep(0.005)

    loop.run(watch())


def test_everybody_gets_a_turn_as_often_as_the_others(loop: VirtualLoop) -> None:
    async def watch() -> None:
        lane, workers = Lane(1, 0.01), [Worker() for _ in range(3)]
        for worker in workers:
            lane.add(worker)
        await asyncio.sleep(0.3005)
        # thirty turns and the one that began it
        assert sorted(worker.turns for worker in workers) == [10, 10, 11]

    loop.run(watch())


def test_one_that_leaves_runs_on_and_makes_room(loop: VirtualLoop) -> None:
    async def watch() -> None:
        lane, first, second = Lane(1, 60.0), Worker(), Worker()
        lane.add(first)
        lane.add(second)
        assert (first.runs, second.runs) == (True, False)
        lane.discard(first)
        assert (first.runs, second.runs) == (True, True)
        lane.discard(second)
        lane.discard(second)
        assert second.runs

    loop.run(watch())
