import asyncio
from dataclasses import replace

import pytest

from api.engine.errors import EngineUnavailableError
from api.server.acquaintance import Acquaintance
from tests.fakes.engine.engine import MemoryEngine


async def test_many_who_want_to_know_at_once_ask_once() -> None:
    engine = MemoryEngine()
    acquaintance = Acquaintance(engine)
    told = await asyncio.gather(*(acquaintance.require() for _ in range(10)))
    assert set(told) == {engine.facts}
    assert engine.calls["info"] == 1


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    engine = MemoryEngine()
    engine.hang("info")
    acquaintance = Acquaintance(engine)
    leaving, staying = (asyncio.create_task(acquaintance.require()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    engine.heal()
    assert await staying == engine.facts
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_an_engine_that_is_away_is_an_error_until_it_was_ever_known() -> None:
    engine = MemoryEngine()
    engine.is_down = True
    acquaintance = Acquaintance(engine)
    with pytest.raises(EngineUnavailableError):
        await acquaintance.require()
    engine.heal()
    await acquaintance.require()
    engine.is_down = True
    assert await acquaintance.require() == engine.facts


async def test_an_exchanged_engine_is_known_once_doubted() -> None:
    engine = MemoryEngine()
    acquaintance = Acquaintance(engine)
    keeping = asyncio.create_task(acquaintance.keep())
    async with asyncio.timeout(10):
        while acquaintance.info is None:
            await asyncio.sleep(0)
        engine.facts = replace(engine.facts, version="next", api_version=(1, 51))
        acquaintance.doubt()
        while acquaintance.info != engine.facts:
            await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
