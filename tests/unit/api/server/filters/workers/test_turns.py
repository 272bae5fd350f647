"""Slow workers take turns, whoever comes and goes."""

import asyncio

from api.server.filters.workers.turns import Lane


class Worker:
    def __init__(self) -> None:
        self.runs = True
        self.turns = 0

    def pause(self) -> None:
        self.runs = False

    def resume(self) -> None:
        self.runs = True
        self.turns += 1


async def test_no_more_run_at_once_than_the_lane_is_wide() -> None:
    lane, workers = Lane(2, 0.01), [Worker() for _ in range(5)]
    for worker in workers:
        lane.add(worker)
    for _ in range(30):
        assert sum(worker.runs for worker in workers) == 2
        await asyncio.sleep(0.005)


async def test_everybody_gets_a_turn() -> None:
    lane, workers = Lane(1, 0.01), [Worker() for _ in range(3)]
    for worker in workers:
        lane.add(worker)
    async with asyncio.timeout(10):
        while min(worker.turns for worker in workers) < 2:
            await asyncio.sleep(0.01)


async def test_one_that_leaves_runs_on_and_makes_room() -> None:
    lane, first, second = Lane(1, 60.0), Worker(), Worker()
    lane.add(first)
    lane.add(second)
    assert (first.runs, second.runs) == (True, False)
    lane.discard(first)
    assert (first.runs, second.runs) == (True, True)
    lane.discard(second)
    lane.discard(second)
    assert second.runs
