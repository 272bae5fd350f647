"""Many jobs that cannot start: how long a sound one waits behind them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from api.engine.errors import EngineRefusedError
from api.v1.job import Status
from api.v1.labels import NAMESPACE
from controller.outcome import Result
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.unit.controller.rig import Bench, until

BAD = Script(refusal=EngineRefusedError(400, "no such command"))
SOUND = Script(seconds=0.1)
START = 0.18
MOST = 7
"""A start takes 0.27 s of an engine, a failing one as well: so many are two seconds."""
OTHER = "other:1"


@pytest.fixture
def bench(make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine]) -> Bench:
    engine = make_engine(start_seconds=START)
    engine.add_image(OTHER)
    return make(Policy(max_concurrent=2), engine)


def add(bench: Bench, name: str, script: Script, image: str = IMAGE, program: str = "true") -> None:
    bench.engine.add(name, {"Image": image, "Cmd": [program], "Labels": {NAMESPACE: "ns"}})
    bench.engine.script(name, script)


def add_bad(
    bench: Bench, number: int, prefix: str = "bad", image: str = IMAGE, program: str = "true"
) -> None:
    """Add jobs that cannot start; a ``{}`` in ``program`` is the number of each."""
    for index in range(number):
        add(bench, f"{prefix}{index}", BAD, image, program.format(index))


async def measure(bench: Bench, name: str = "good") -> float:
    """Return after how many starts' time a job has started."""
    began = asyncio.get_running_loop().time()
    await until(lambda: bench.runs(name) == 1, patience=200)
    return (asyncio.get_running_loop().time() - began) / START


@pytest.mark.parametrize("image", [IMAGE, OTHER])
async def test_behind_300_that_cannot_start_a_sound_job_waits_for_a_few(
    bench: Bench, image: str
) -> None:
    add_bad(bench, 300)
    add(bench, "good", SOUND, image)
    async with bench.running():
        assert await measure(bench) <= MOST


@pytest.mark.parametrize("limit", [1, 2, 3, 8, None])
@pytest.mark.parametrize("program", ["true", "/nope", "/nope{}"])
async def test_so_it_does_with_any_limit_and_whatever_the_others_have_in_common(
    make: Callable[..., Bench],
    make_engine: Callable[..., MemoryEngine],
    limit: int | None,
    program: str,
) -> None:
    bench = make(Policy(max_concurrent=limit), make_engine(start_seconds=START))
    add_bad(bench, 300, program=program)
    add(bench, "good", SOUND)
    async with bench.running():
        assert await measure(bench) <= MOST


async def test_sound_jobs_among_others_of_another_program_start_in_their_order(
    bench: Bench,
) -> None:
    add_bad(bench, 50, "early", program="/nope")
    names = [f"good{index}" for index in range(10)]
    for name in names:
        add(bench, name, SOUND)
        add_bad(bench, 20, f"beside-{name}-", program="/nope")
    async with bench.running():
        assert await measure(bench, names[0]) <= MOST
        # one start in two may be one of those that cannot start
        assert await measure(bench, names[-1]) <= 2 * len(names) + MOST
    assert bench.started() == names


async def test_sound_jobs_behind_many_kinds_that_cannot_start_start_in_their_order(
    bench: Bench,
) -> None:
    add_bad(bench, 300, program="/nope{}")
    names = [f"good{index}" for index in range(10)]
    for name in names:
        add(bench, name, SOUND)
    async with bench.running():
        assert await measure(bench, names[0]) <= MOST
        assert await measure(bench, names[-1]) <= 2 * len(names) + MOST
    assert bench.started() == names


@pytest.mark.parametrize("image", [IMAGE, OTHER])
@pytest.mark.parametrize("failed", [1, 2, 3, 4, 50, 330])
async def test_so_does_one_that_comes_while_they_are_tried_or_tried_again(
    bench: Bench, failed: int, image: str
) -> None:
    add_bad(bench, 300)
    async with bench.running():
        await until(lambda: bench.seen.starts.count(Result.REFUSED) >= failed, patience=200)
        add(bench, "good", SOUND, image)
        assert await measure(bench) <= MOST


async def test_one_of_another_image_may_stand_anywhere_among_them(bench: Bench) -> None:
    add_bad(bench, 150, "early")
    add(bench, "good", SOUND, OTHER)
    add_bad(bench, 150, "late")
    async with bench.running():
        assert await measure(bench) <= MOST


async def test_one_of_each_image_is_found_where_the_starts_of_several_fail(bench: Bench) -> None:
    images = [f"image{number}:1" for number in range(4)]
    for number, image in enumerate(images):
        bench.engine.add_image(image)
        add_bad(bench, 75, f"bad{number}-", image)
    for number, image in enumerate(images):
        add(bench, f"good{number}", SOUND, image)
    async with bench.running():
        waited = [await measure(bench, f"good{number}") for number in range(4)]
        # the images have their turns, between which what failed is tried again
        assert sum(waited) <= 5 * MOST


async def test_sound_jobs_that_keep_coming_starve_neither_one_put_aside_nor_the_others(
    bench: Bench,
) -> None:
    add_bad(bench, 300)

    async def keep_adding() -> None:
        for number in range(10_000):
            add(bench, f"stream{number}", SOUND, OTHER)
            await asyncio.sleep(START)

    async with bench.running():
        await until(lambda: bench.seen.starts.count(Result.REFUSED) >= 10, patience=200)
        stream = asyncio.create_task(keep_adding())
        add(bench, "good", SOUND)
        assert await measure(bench) <= 2 * MOST
        seen = bench.seen.starts.copy()
        await asyncio.sleep(40 * START)
        new = bench.seen.starts[len(seen) :]
        assert new.count(Result.DONE) >= 15
        assert new.count(Result.REFUSED) >= 10
        stream.cancel()
        with suppress(asyncio.CancelledError):
            await stream


async def test_after_a_restart_300_that_an_earlier_process_tried_delay_nobody(
    bench: Bench,
) -> None:
    add_bad(bench, 300)
    for index in range(300):
        bench.engine.edit(f"bad{index}", error="no such command", exit_code=127)
    add(bench, "good", SOUND)
    async with bench.running():
        assert await measure(bench) <= MOST


async def test_a_few_failures_among_sound_jobs_leave_their_order(bench: Bench) -> None:
    names = [f"job{index}" for index in range(20)]
    for index, name in enumerate(names):
        add(bench, name, BAD if index % 5 in {1, 2} else SOUND)
    async with bench.running():
        sound = [name for index, name in enumerate(names) if index % 5 not in {1, 2}]
        await until(lambda: bench.status(sound[-1]) is Status.EXITED, patience=200)
    assert bench.started() == sound


async def test_once_one_has_started_the_queue_has_its_order_again(bench: Bench) -> None:
    add_bad(bench, 3)
    names = [f"good{index}" for index in range(6)]
    for name in names:
        add(bench, name, SOUND)
    async with bench.running():
        await until(lambda: all(bench.runs(name) for name in names), patience=200)
    assert bench.started() == [names[-1], *names[:-1]]


async def test_what_is_put_aside_is_explained(bench: Bench) -> None:
    add_bad(bench, 20)
    async with bench.running():
        await until(lambda: bench.seen.starts.count(Result.REFUSED) >= 4)
        plan = str(bench.reconciler.plan(explain=100).narrow("bad9"))
    assert plan.startswith("wait   job/bad9  4 starts of jobs like it have failed: it")


@pytest.mark.parametrize("image", [IMAGE, OTHER])
async def test_a_successor_waits_for_a_start_that_went_before_its_turn(
    make: Callable[..., Bench], make_engine: Callable[..., MemoryEngine], image: str
) -> None:
    engine = make_engine(start_seconds=START)
    engine.add_image(OTHER)
    bench = make(Policy(max_concurrent=1), engine)
    for number in range(30):
        add(bench, f"old{number}", Script(seconds=None))
    add(bench, "early", Script(seconds=None), image)
    predecessor = asyncio.create_task(engine.start(engine.get("early").id))
    await asyncio.sleep(START / 3)
    async with bench.running():
        await until(lambda: bench.runs("early") == 1)
        await asyncio.sleep(5 * START)
    await predecessor
    assert bench.started() == ["early"]
    assert bench.seen.foreign == 0
