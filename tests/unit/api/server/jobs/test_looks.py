"""Inspects for requests are bounded, shared by those that wait for a turn, and never too old."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from api.engine.errors import NotFoundError
from api.server.jobs.looks import Looks
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.virtual_time import on_virtual_time


class SlowEngine(MemoryEngine):
    """An engine whose inspects take a second, and show what was at their beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.open = self.most = 0
        self.begun: Counter[str] = Counter()

    async def inspect(self, ref: str) -> Any:
        self.begun[ref] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            seen = self.get(self._store.find(ref).id).status if ref in self.names() else None
            await asyncio.sleep(1)
        finally:
            self.open -= 1
        if seen is None:
            raise NotFoundError(404, ref)
        return seen


@on_virtual_time
async def test_a_look_that_nobody_waits_for_a_turn_with_begins_at_once() -> None:
    engine = SlowEngine()
    looks = Looks(engine)
    began = asyncio.get_running_loop().time()
    asked = (looks.inspect(f"job-{number}") for number in range(30))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, NotFoundError) for answer in answers)
    assert asyncio.get_running_loop().time() == began + 1


@on_virtual_time
async def test_many_who_ask_for_few_jobs_share_looks_and_keep_within_the_lane() -> None:
    engine = SlowEngine()
    looks = Looks(engine)
    asked = (looks.inspect(f"job-{number % 60}") for number in range(600))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, NotFoundError) for answer in answers)
    assert engine.most <= 32
    assert engine.begun.total() <= 2 * 60
    assert len(engine.begun) == 60


@pytest.mark.parametrize("delay", [0.1, 0.9])
@on_virtual_time
async def test_no_look_that_had_begun_before_answers_for_a_job(delay: float) -> None:
    engine = SlowEngine()
    looks = Looks(engine)
    before = [asyncio.create_task(looks.inspect("job-1")) for _ in range(5)]
    await asyncio.sleep(delay)
    # three of the five wait for their turn, and may be told of it as well
    engine.add("job-1", {"Image": IMAGE, "Cmd": ["true"], "Labels": {}})
    asked = [asyncio.create_task(looks.inspect("job-1")) for _ in range(5)]
    assert None not in await asyncio.gather(*asked)
    assert engine.begun["job-1"] == 3
    await asyncio.gather(*before, return_exceptions=True)


@on_virtual_time
async def test_who_leaves_takes_no_place_with_them_and_ends_nobody_elses_look() -> None:
    engine = SlowEngine()
    looks = Looks(engine)
    lane = [asyncio.create_task(looks.inspect(f"job-{number}")) for number in range(32)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(looks.inspect("late")) for _ in range(3)]
    others = [asyncio.create_task(looks.inspect(f"left-{number}")) for number in range(40)]
    await asyncio.sleep(0.5)
    for task in (*others, waiting[0], *lane[:3]):
        task.cancel()
    await asyncio.sleep(0)
    done = await asyncio.gather(*waiting[1:], return_exceptions=True)
    assert all(isinstance(answer, NotFoundError) for answer in done)
    assert engine.begun["late"] == 1
    assert not any(ref.startswith("left") for ref in engine.begun)
    await asyncio.gather(*lane, *others, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    began = asyncio.get_running_loop().time()
    asked = (looks.inspect(f"again-{number}") for number in range(32))
    await asyncio.gather(*asked, return_exceptions=True)
    assert asyncio.get_running_loop().time() == began + 1


@on_virtual_time
async def test_a_job_that_the_engine_does_not_answer_for_holds_up_no_other() -> None:
    engine = MemoryEngine()
    looks = Looks(engine)
    engine.hang("inspect", ref="wedged")
    wedged = [asyncio.create_task(looks.inspect("wedged")) for _ in range(100)]
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(NotFoundError):
        await looks.inspect("job-1")
    assert asyncio.get_running_loop().time() == began
    engine.heal()
    answers = await asyncio.gather(*wedged, return_exceptions=True)
    assert all(isinstance(answer, NotFoundError) for answer in answers)
