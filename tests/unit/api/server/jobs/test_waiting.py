"""Who waits for a job is told of its end within a second, with its true outcome."""

import asyncio
from typing import Any

import pytest

from api.engine.errors import EngineUnavailableError
from api.server.jobs.lookup import Found
from api.v1.condition import derive_condition
from api.v1.mark import Mark, name_mark
from tests.fakes.engine.engine import Script
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.server.jobs.watching import Desk, open_desk


def tell(found: Found | None) -> tuple[Any, ...]:
    """Return what is known of an end."""
    assert found is not None
    condition = derive_condition(found.job, is_silent=found.is_silent)
    return str(condition.phase), found.job.exit_code


async def run(desk: Desk, uid: str, *, after: float, removed_after: float | None = None) -> None:
    await asyncio.sleep(after)
    desk.engine.run(uid)
    if removed_after is not None:
        await asyncio.sleep(removed_after)
        desk.engine.destroy(uid)


@pytest.mark.parametrize("key", ["id", "uid"])
@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
@on_virtual_time
async def test_an_end_is_told_within_a_second_by_id_or_uid(key: str, code: int, phase: str) -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=7, exit_code=code))
        desk.play(run(desk, uid, after=2))
        began = desk.loop.time()
        found = await desk.waiting.wait("job-1" if key == "id" else uid, 60)
        assert tell(found) == (phase, code)
        assert found is not None
        assert found.job.finished_at is not None
        assert 9 <= desk.loop.time() - began < 10


@on_virtual_time
async def test_what_nobody_waits_for_is_not_inspected() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=7))
        await run(desk, uid, after=2)
        await asyncio.sleep(20)
        assert desk.informer.store.known[uid].is_finished
        assert desk.engine.calls["inspect"] == 0


@on_virtual_time
async def test_a_job_that_is_over_already_is_answered_at_once() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=0.1))
        await run(desk, uid, after=0)
        await asyncio.sleep(1)
        began = desk.loop.time()
        assert tell(await desk.waiting.wait("job-1", 60)) == ("Succeeded", 0)
        assert desk.loop.time() == began


@pytest.mark.parametrize("started", [False, True])
@on_virtual_time
async def test_that_time_ran_out_is_no_error(started: bool) -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1")
        if started:
            await run(desk, uid, after=0)
        began = desk.loop.time()
        found = await desk.waiting.wait("job-1", 30)
        assert tell(found) == ("Running" if started else "Pending", None)
        assert 30 <= desk.loop.time() - began < 31


@pytest.mark.parametrize("seconds", [0.2, 2.0, 10.0])
@pytest.mark.parametrize("after", [0.0, 0.1])
@on_virtual_time
async def test_time_runs_out_beside_an_engine_that_does_not_answer_for_the_job(
    seconds: float, after: float
) -> None:
    async with open_desk() as desk:
        desk.add("job-1")
        await asyncio.sleep(1)
        began = desk.loop.time()
        waiting = desk.play(desk.waiting.wait("job-1", seconds))
        await asyncio.sleep(after)
        desk.engine.hang("inspect")
        desk.engine.hang("list")
        assert tell(await waiting)[0] in {"Pending", "Unknown"}
        assert seconds <= desk.loop.time() - began < seconds + 1


@on_virtual_time
async def test_a_job_that_is_collected_while_it_is_looked_for_ended_as_it_did() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=0.1, exit_code=7))
        await asyncio.sleep(1)
        desk.engine.hang("inspect")
        waiting = desk.play(desk.waiting.wait("job-1", 30))
        await run(desk, uid, after=0.1, removed_after=0.15)
        assert tell(await waiting) == ("Failed", 7)


@on_virtual_time
async def test_the_end_of_a_job_is_told_although_its_first_look_is_not_answered() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=1, exit_code=7))
        await asyncio.sleep(1)
        desk.engine.hang("inspect", times=1)
        desk.play(run(desk, uid, after=0.1))
        began = desk.loop.time()
        assert tell(await desk.waiting.wait("job-1", 30)) == ("Failed", 7)
        assert desk.loop.time() - began < 2


@on_virtual_time
async def test_the_time_until_a_job_is_found_counts() -> None:
    async with open_desk() as desk:
        desk.engine.is_mute = True
        uid = desk.add("job-1")
        desk.engine.hang("inspect")
        desk.engine.hang("list")
        began = desk.loop.time()
        waiting = desk.play(desk.waiting.wait(uid, 10))
        await asyncio.sleep(2.5)
        desk.engine.heal()
        assert tell(await waiting) == ("Pending", None)
        assert 10 <= desk.loop.time() - began < 11


@pytest.mark.parametrize("start_seconds", [0.2, 5.0])
@on_virtual_time
async def test_a_start_in_flight_at_a_cancel_is_waited_for(start_seconds: float) -> None:
    async with open_desk(start_seconds=start_seconds) as desk:
        uid = desk.add("job-1")
        before = desk.play(desk.waiting.wait("job-1", 60))
        await asyncio.sleep(1)
        starting = desk.play(desk.engine.start(uid))
        await asyncio.sleep(0.1)
        await desk.engine.create_mark(name_mark(uid), Mark("", uid, desk.engine.now()))
        await asyncio.sleep(0.05)
        after = desk.play(desk.waiting.wait(uid, 60))
        await starting
        await desk.engine.stop(uid, 0)
        assert [tell(await waiting) for waiting in (before, after)] == [("Cancelled", 143)] * 2


@on_virtual_time
async def test_the_end_of_a_cancelled_job_that_waits_is_told_once_the_engine_answers() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1")
        await desk.engine.create_mark(name_mark(uid), Mark("", uid, desk.engine.now()))
        await asyncio.sleep(1)
        desk.engine.go_down()
        assert tell(await desk.waiting.wait("job-1", 5)) == ("Unknown", None)
        waiting = desk.play(desk.waiting.wait("job-1", 60))
        await asyncio.sleep(5)
        desk.engine.heal()
        began = desk.loop.time()
        assert tell(await waiting) == ("Cancelled", None)
        assert desk.loop.time() - began < 5


@on_virtual_time
async def test_an_unknown_job_is_none_at_once() -> None:
    async with open_desk() as desk:
        began = desk.loop.time()
        for ref in ("nobody", "f" * 64, "a b", "", "../x"):
            assert await desk.waiting.wait(ref, 30) is None
        assert desk.loop.time() == began


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 5.0])
@pytest.mark.parametrize("removed_after", [0.0, 0.001, 0.2])
@pytest.mark.parametrize("code", [0, 7])
@on_virtual_time
async def test_a_job_that_is_collected_right_after_its_end_ended_as_it_did(
    seconds: float, removed_after: float, code: int
) -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=seconds, exit_code=code))
        desk.play(run(desk, uid, after=1, removed_after=seconds + removed_after + 1e-6))
        began = desk.loop.time()
        found = await desk.waiting.wait("job-1", 60)
        assert tell(found) == ("Failed" if code else "Succeeded", code)
        assert desk.loop.time() - began < seconds + 2


@on_virtual_time
async def test_a_job_that_was_collected_before_is_recalled_for_who_recorded_it() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=0.2, exit_code=7))
        await asyncio.sleep(1)
        await run(desk, uid, after=0, removed_after=0.3)
        await asyncio.sleep(1)
        assert await desk.waiting.wait(uid, 30) is None
        assert tell(await desk.waiting.wait(uid, 30, recalls=True)) == ("Failed", 7)


@on_virtual_time
async def test_a_job_that_somebody_removes_before_it_ran_has_failed() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1")
        await asyncio.sleep(1)
        waiting = desk.play(desk.waiting.wait("job-1", 60))
        await asyncio.sleep(1)
        desk.engine.destroy(uid)
        found = await waiting
        assert tell(found) == ("Failed", None)
        assert found is not None
        assert derive_condition(found.job).message == "it was removed before it ran"


@on_virtual_time
async def test_an_end_that_no_event_tells_of_is_found_all_the_same() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=4))
        await asyncio.sleep(1)
        desk.engine.is_mute = True
        desk.play(run(desk, uid, after=0))
        began = desk.loop.time()
        assert tell(await desk.waiting.wait("job-1", 60)) == ("Succeeded", 0)
        assert desk.loop.time() - began < 4 + 2.5


@on_virtual_time
async def test_a_wait_goes_on_while_the_engine_is_away() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=30, exit_code=1))
        await run(desk, uid, after=0)
        await asyncio.sleep(1)
        desk.engine.go_down()
        waiting = desk.play(desk.waiting.wait("job-1", 100))
        with pytest.raises(EngineUnavailableError):
            await desk.waiting.wait("unknown", 10)
        await asyncio.sleep(40)
        assert not waiting.done()
        desk.engine.heal()
        back = desk.loop.time()
        assert tell(await waiting) == ("Failed", 1)
        # the informer asks every two seconds whether the engine is back
        assert desk.loop.time() - back < 4


@on_virtual_time
async def test_a_restarted_run_is_no_end() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=1, exit_code=1))
        desk.engine.update(uid, "always")
        await run(desk, uid, after=0)
        assert tell(await desk.waiting.wait("job-1", 5))[0] == "Running"


@on_virtual_time
async def test_the_end_of_service_answers_everybody_at_once() -> None:
    async with open_desk() as desk:
        desk.add("job-1")
        waiting = [desk.play(desk.waiting.wait("job-1", 100)) for _ in range(5)]
        await asyncio.sleep(1)
        began = desk.loop.time()
        await desk.waiting.end()
        assert {tell(await each)[0] for each in waiting} == {"Pending"}
        assert desk.loop.time() == began


@on_virtual_time
async def test_who_has_left_does_not_wait_on() -> None:
    async with open_desk() as desk:
        desk.add("job-1")
        has_left = False
        waiting = desk.play(desk.waiting.wait("job-1", 100, is_left=lambda: has_left))
        await asyncio.sleep(1)
        has_left = True
        await asyncio.sleep(1.1)
        assert waiting.done()
        assert not desk.waiting._watched


@on_virtual_time
async def test_many_waits_for_one_job_inspect_it_once_and_seldom() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=100))
        await run(desk, uid, after=0)
        await asyncio.sleep(1)
        waiting = [desk.play(desk.waiting.wait(uid, 40)) for _ in range(50)]
        await asyncio.sleep(1)
        before = desk.engine.calls["inspect"]
        await asyncio.sleep(30)
        assert desk.engine.calls["inspect"] - before <= 50
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("key", ["id", "uid"])
@on_virtual_time
async def test_a_job_that_is_found_gone_before_an_event_tells_of_it_is_remembered(key: str) -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=0.1, exit_code=7))
        await run(desk, uid, after=0)
        await asyncio.sleep(1)
        desk.engine.is_mute = True
        desk.engine.destroy(uid)
        assert await desk.waiting.wait("job-1" if key == "id" else uid, 30) is None
        gone = desk.collected.find(uid)
        assert gone is not None
        assert gone.job.exit_code == 7
