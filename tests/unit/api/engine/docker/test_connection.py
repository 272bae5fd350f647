"""Who the engine is, is asked once however many want to know."""

import asyncio

import pytest

from api.engine.docker.connection import Connection
from api.engine.docker.endpoint import Endpoint
from api.engine.errors import EngineUnavailableError
from api.engine.interface import EngineInfo

FACTS = EngineInfo(id="engine", version="20.10", api_version=(1, 41), cpus=2)


class Gate(Connection):
    """An engine that answers once ``answer`` has come, or fails."""

    def __init__(self) -> None:
        super().__init__(Endpoint("http://127.0.0.1:1"), timeout=30.0)
        self.asked = 0
        self.answer: asyncio.Future[EngineInfo] = asyncio.get_running_loop().create_future()

    async def _negotiate(self) -> EngineInfo:
        self.asked += 1
        return await self.answer


async def test_many_who_want_to_know_at_once_ask_once() -> None:
    gate = Gate()
    waiting = [asyncio.create_task(gate.negotiate()) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.answer.set_result(FACTS)
    assert {await task for task in waiting} == {FACTS}
    assert gate.asked == 1
    assert await gate.negotiate() == FACTS
    assert gate.asked == 2
    await gate.close()


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    gate = Gate()
    leaving, staying = (asyncio.create_task(gate.negotiate()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    gate.answer.set_result(FACTS)
    assert await staying == FACTS
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await gate.close()


async def test_a_failure_is_everybodys_and_the_next_one_asks_again() -> None:
    gate = Gate()
    waiting = [asyncio.create_task(gate.negotiate()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.answer.set_exception(EngineUnavailableError("down"))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [EngineUnavailableError] * 3
    gate.answer = asyncio.get_running_loop().create_future()
    gate.answer.set_result(FACTS)
    assert await gate.negotiate() == FACTS
    await gate.close()
