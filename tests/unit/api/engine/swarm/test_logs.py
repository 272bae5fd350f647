"""Logs by way of a manager: what it does not do itself, a bound in time, a deadline, an end."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from api.engine.errors import EngineTimeoutError
from api.engine.interface import LogFrame, LogStream
from api.engine.swarm.logs import Bounded, Followed, find_run
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.scenes import make_service_of, make_task


def make_frame(time: int) -> LogFrame:
    return LogFrame(time, LogStream.STDOUT, b"%d\n" % time)


class Sent:
    """What a node sends: batches, each after some seconds; at the end nothing, or silence."""

    is_exact = True
    room = None

    def __init__(self, *batches: tuple[float, Sequence[int]], is_silent: bool = False) -> None:
        self._batches = list(batches)
        self._is_silent = is_silent
        self._due: float | None = None

    async def read(self) -> Sequence[LogFrame]:
        loop = asyncio.get_running_loop()
        if not self._batches:
            if self._is_silent:
                await asyncio.sleep(10**6)
            return ()
        seconds, times = self._batches[0]
        self._due = self._due or loop.time() + seconds
        await asyncio.sleep(self._due - loop.time())
        self._due = None
        del self._batches[0]
        return [make_frame(time) for time in times]


async def drain(reading: Bounded | Followed) -> list[int]:
    times: list[int] = []
    while frames := await reading.read():
        times += [frame.time for frame in frames]
    return times


@on_virtual_time
async def test_what_is_later_than_until_is_left_out() -> None:
    sent = [(0.0, [1, 2]), (0.0, [5, 3]), (0.0, [9])]
    assert await drain(Bounded(Sent(*sent), 3, patience=10)) == [1, 2, 3]
    assert await drain(Bounded(Sent(*sent), None, patience=10)) == [1, 2, 5, 3, 9]


@on_virtual_time
async def test_a_node_that_sends_nothing_is_a_timeout() -> None:
    reading = Bounded(Sent((5.0, [1]), is_silent=True), None, patience=10)
    assert [frame.time for frame in await reading.read()] == [1]
    with pytest.raises(EngineTimeoutError):
        await reading.read()


@on_virtual_time
async def test_a_follow_ends_two_quiet_seconds_after_its_job() -> None:
    """A manager keeps it open for good; what is late is read all the same."""
    loop = asyncio.get_running_loop()
    looks: list[float] = []

    async def is_over() -> bool:
        looks.append(loop.time())
        return loop.time() > 20

    reading = Followed(Sent((0.1, [1]), (9.5, [2]), (11.5, [3]), is_silent=True), None, is_over)
    assert await drain(reading) == [1, 2, 3]
    assert 22 < loop.time() < 24
    assert await reading.read() == ()
    assert max(b - a for a, b in itertools.pairwise(looks)) <= 2.5


@on_virtual_time
async def test_a_follow_ends_with_what_is_later_than_until() -> None:
    async def is_over() -> bool:
        return False

    reading = Followed(Sent((1, [1]), (5, [4]), is_silent=True), 3, is_over)
    assert await drain(reading) == [1]


def test_the_log_is_that_of_the_last_task_that_had_a_container() -> None:
    service = make_service_of(start=2)
    first = make_task("failed", uid="first", start=1, code=127)
    second = make_task("running", uid="second", start=2)
    waiting = make_task("pending", uid="third", start=2, created=9)
    assert find_run(service, [first, second]) == second
    assert find_run(service, [first, second, waiting]) == second
    assert find_run(service, [waiting]) is None
    assert find_run(service, []) is None
