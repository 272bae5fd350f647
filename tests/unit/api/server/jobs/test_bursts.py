"""All clients ask at once where an engine or an API is back: that must not cost a look for each."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from api.engine.errors import EngineRefusedError, EngineTimeoutError, EngineUnavailableError
from api.v1.job import Job
from tests.fakes.engine.engine import MemoryEngine
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.server.jobs.watching import Desk, open_desk


async def come_back(desk: Desk) -> None:
    """Let the engine be away until the informer has tried again, and come back unnoticed."""
    desk.engine.go_down()
    await asyncio.sleep(5)
    desk.engine.heal()
    desk.engine.calls.clear()


@on_virtual_time
async def test_one_list_tells_of_all_jobs_that_are_not_there_once_the_engine_is_back() -> None:
    async with open_desk() as desk:
        await come_back(desk)
        began = desk.loop.time()
        asked = (desk.jobs.find(f"absent-{number}") for number in range(200))
        assert [*await asyncio.gather(*asked)] == [None] * 200
        assert desk.loop.time() - began < 0.1
        assert desk.engine.calls["inspect"] == 0
        assert desk.engine.calls["list"] == 1


@on_virtual_time
async def test_a_job_that_was_recorded_while_the_engine_was_away_is_found() -> None:
    async with open_desk() as desk:
        await come_back(desk)
        uid = desk.add("job-1")
        by_id, by_uid = await asyncio.gather(desk.jobs.find("job-1"), desk.jobs.find(uid))
        assert by_id == by_uid
        assert by_id is not None
        assert by_id.job.detailed


@on_virtual_time
async def test_a_list_that_was_asked_for_before_a_job_was_created_does_not_deny_it() -> None:
    async with open_desk() as desk:
        select = desk.engine._select

        async def select_late(wanted: Any) -> list[Job]:
            rows = await select(wanted)
            await asyncio.sleep(0.3)
            return rows

        await come_back(desk)
        with patch.object(MemoryEngine, "_select", staticmethod(select_late)):
            first = desk.play(desk.jobs.find("absent"))
            await asyncio.sleep(0.1)
            desk.engine.is_mute = True
            desk.add("job-1")
            assert await desk.jobs.find("job-1") is not None
            assert await first is None


@pytest.mark.parametrize("error", [EngineRefusedError(500, "x"), EngineTimeoutError("x"), None])
@on_virtual_time
async def test_a_job_is_found_by_an_inspect_where_the_list_is_none(error: Any) -> None:
    async with open_desk() as desk:
        await come_back(desk)
        desk.engine.is_mute = True
        desk.add("job-1")
        if error is None:
            desk.engine.hang("list")
        else:
            desk.engine.fail("list", error, times=None)
        began = desk.loop.time()
        assert await desk.jobs.find("job-1") is not None
        assert await desk.jobs.find("absent") is None
        assert desk.loop.time() - began < 2.5


@on_virtual_time
async def test_of_an_engine_that_is_away_it_is_told_at_once_and_by_few_calls() -> None:
    async with open_desk() as desk:
        desk.engine.go_down()
        await asyncio.sleep(5)
        desk.engine.calls.clear()
        began = desk.loop.time()
        asked = (desk.jobs.find(f"absent-{number}") for number in range(200))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(answer, EngineUnavailableError) for answer in answers)
        assert desk.loop.time() - began < 0.1
        assert desk.engine.calls.total() < 10


@on_virtual_time
async def test_before_the_first_list_one_is_enough_for_all_who_record() -> None:
    async with open_desk() as desk:
        fresh = Desk()
        running = desk.play(fresh.informer.run())
        asked = (fresh.jobs.find_by_id(f"new-{number}") for number in range(50))
        assert [*await asyncio.gather(*asked)] == [None] * 50
        assert fresh.engine.calls["list"] <= 2
        assert not running.done()
