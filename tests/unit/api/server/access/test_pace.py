"""Beside others, requests of one client begin one by one; alone, and if single, they just begin."""

import asyncio
from contextlib import ExitStack

import pytest

from api.server.access.pace import LONGEST, MOST, PATIENCE, SHARE, STEP, Pace
from api.server.clients import RECENT, Client, Company
from tests.support.virtual_time import on_virtual_time


class Door:
    """Requests of clients, and the times at which they began."""

    def __init__(self, *present: str) -> None:
        self.company = Company()
        self.used = 0.0
        self.pace = Pace(lambda: self.used)
        self.begun: list[float] = []
        self.has_come: list[bool] = []
        for name in present:
            self.company.note(name)

    async def ask(self, name: str, seconds: float = 0.0, used: float = 0.0) -> None:
        with ExitStack() as place:
            self.has_come.append(await self.pace.take_turn(Client(name, self.company), place))
            self.begun.append(asyncio.get_running_loop().time())
            self.used += used
            if seconds:
                await asyncio.sleep(seconds)

    async def ask_at_once(
        self, name: str, count: int, seconds: float = 0.0, used: float = 0.0
    ) -> None:
        await asyncio.gather(*(self.ask(name, seconds, used) for _ in range(count)))

    @property
    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.begun, self.begun[1:], strict=False)]


@on_virtual_time
async def test_who_is_alone_begins_at_once() -> None:
    door = Door("a")
    await door.ask_at_once("a", 300, seconds=1.0)
    assert set(door.begun) == {0.0}


@on_virtual_time
async def test_beside_others_those_of_one_moment_begin_in_steps() -> None:
    """Also where each is answered in one go, and so is never seen to be under way."""
    door = Door("b")
    await door.ask_at_once("a", 20)
    assert door.gaps == pytest.approx([STEP] * 19)


@on_virtual_time
async def test_the_next_begins_when_the_one_before_has_ended_but_a_long_one_holds_up_nobody() -> (
    None
):
    door = Door("b")
    await door.ask_at_once("a", 3, seconds=0.01)
    assert door.gaps == pytest.approx([0.01] * 2)
    door = Door("b")
    await door.ask_at_once("a", 3, seconds=60.0)
    assert door.gaps == pytest.approx([LONGEST] * 2)


@on_virtual_time
async def test_a_long_one_that_has_ended_holds_up_nobody_for_what_others_used_meanwhile() -> None:
    door = Door("b")
    lasting = asyncio.create_task(door.ask("a", seconds=600.0))
    await asyncio.sleep(STEP)
    await door.ask("a", seconds=60.0, used=30.0)
    door.company.note("b")
    ended = asyncio.get_running_loop().time()
    await door.ask("a")
    lasting.cancel()
    assert door.has_come[-1]
    assert door.begun[-1] == ended


@pytest.mark.parametrize("seconds", [0.0, LONGEST * 1.5])
@on_virtual_time
async def test_what_used_the_processor_for_long_lets_others_have_theirs(seconds: float) -> None:
    """Also while it has not ended."""
    door = Door("b")
    await door.ask_at_once("a", 3, seconds, used=0.1)
    assert door.gaps == pytest.approx([SHARE * 0.1] * 2)


@on_virtual_time
async def test_a_long_one_holds_up_nobody_for_long_however_busy_all_are() -> None:
    door = Door("b")
    await door.ask_at_once("a", 3, seconds=60.0, used=10.0)
    assert door.gaps == pytest.approx([MOST] * 2)


@on_virtual_time
async def test_one_after_the_other_is_never_slowed_whatever_others_do() -> None:
    door = Door("a", "b")
    crowd = asyncio.create_task(door.ask_at_once("b", 200))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    for _ in range(100):
        began = loop.time()
        await door.ask("a")
        assert loop.time() == began
    await crowd


@on_virtual_time
async def test_who_waited_in_vain_is_told_so() -> None:
    door = Door("b")
    most = round(PATIENCE / LONGEST)
    await door.ask_at_once("a", most + 20, seconds=60.0)
    assert door.has_come.count(True) == pytest.approx(most, abs=2)
    assert max(door.begun) <= PATIENCE + LONGEST


@on_virtual_time
async def test_who_asked_long_ago_is_no_company() -> None:
    door = Door("b")
    await asyncio.sleep(RECENT)
    await door.ask_at_once("a", 20)
    assert len(set(door.begun)) == 1


@pytest.mark.parametrize("moment", [0.0, STEP / 2, STEP])
@on_virtual_time
async def test_who_leaves_holds_up_nobody(moment: float) -> None:
    """Also in the very moment in which its turn comes."""
    door = Door("b")
    tasks = [asyncio.create_task(door.ask("a")) for _ in range(6)]
    await asyncio.sleep(moment)
    for task in tasks[1:4]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(door.begun) >= 3
    assert asyncio.get_running_loop().time() <= 6 * STEP + LONGEST
    assert not door.pace._lines
