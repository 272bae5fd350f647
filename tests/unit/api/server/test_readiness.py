"""The engine is asked once a second, however many want to know."""

import asyncio

from api.server.readiness import FRESH, Readiness
from tests.fakes.engine.engine import MemoryEngine
from tests.support.virtual_time import on_virtual_time


class Counting(MemoryEngine):
    pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(0.01)
        await super().ping()


@on_virtual_time
async def test_many_who_ask_at_once_share_one_ping_a_second() -> None:
    engine = Counting()
    readiness = Readiness(engine, int, bool)
    for _ in range(3):
        assert await asyncio.gather(*(readiness.find_failure() for _ in range(50))) == [None] * 50
    assert engine.pings == 1
    await asyncio.sleep(FRESH)
    engine.is_down = True
    failures = await asyncio.gather(*(readiness.find_failure() for _ in range(50)))
    assert all(failures)
    assert engine.pings == 2
    engine.is_down = False
    await asyncio.sleep(FRESH)
    assert await readiness.find_failure() is None


@on_virtual_time
async def test_an_answer_from_before_the_engine_was_lost_counts_no_more() -> None:
    engine, up = Counting(), [True]
    readiness = Readiness(engine, int, lambda: up[0])
    assert await readiness.find_failure() is None
    engine.is_down, up[0] = True, False
    assert await readiness.find_failure()
    assert engine.pings == 2


@on_virtual_time
async def test_who_leaves_takes_the_answer_from_nobody() -> None:
    readiness = Readiness(Counting(), int, bool)
    leaving, staying = (asyncio.create_task(readiness.find_failure()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is None


@on_virtual_time
async def test_an_engine_that_hangs_is_no_answer_in_time() -> None:
    class Hanging(MemoryEngine):
        async def ping(self) -> None:
            await asyncio.sleep(3600)

    assert await Readiness(Hanging(), int, bool).find_failure() == "no answer in time"


@on_virtual_time
async def test_the_backlog_is_counted_once_a_second() -> None:
    counts = iter((1, 2))
    readiness = Readiness(MemoryEngine(), lambda: next(counts), bool)
    assert [readiness.count_backlog() for _ in range(5)] == [1] * 5
    await asyncio.sleep(FRESH)
    assert readiness.count_backlog() == 2
