"""The engine's clock is taken from its replies; retries of calls are few and short."""

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from api.engine.docker.clock import EngineClock
from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    OverloadedError,
)
from api.engine.retry import compute_delay, idempotent
from tests.support.virtual_time import VirtualLoop

SECOND = 1_000_000_000


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def observe(clock: EngineClock, ahead: float, spread: int = 1_000_000) -> None:
    """Have the clock see a reply of an engine that is ``ahead`` seconds ahead of this host."""
    now = time.time_ns()
    clock.observe(formatdate(now / SECOND + ahead, usegmt=True), now - spread, now)


def test_an_engine_in_step_leaves_this_hosts_clock_as_it_is() -> None:
    clock = EngineClock()
    for ahead in (0, 0.3, -0.3):
        observe(clock, ahead)
    assert abs(clock.now() - time.time_ns()) < SECOND // 10


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 5.0, -86_400.0 * 400])
def test_an_engine_out_of_step_is_followed_to_a_second(ahead: float) -> None:
    clock = EngineClock()
    observe(clock, ahead)
    assert abs(clock.now() - time.time_ns() - ahead * SECOND) < 2 * SECOND


def test_an_engine_set_right_is_followed_back() -> None:
    clock = EngineClock()
    observe(clock, 3600)
    observe(clock, 0)
    assert abs(clock.now() - time.time_ns()) < SECOND // 10


def test_replies_that_fit_do_not_move_the_clock() -> None:
    clock = EngineClock()
    observe(clock, 100)
    offset = clock._offset
    for _ in range(20):
        observe(clock, 100)
        assert abs(clock._offset - offset) < 2 * SECOND


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Foo 2020 00:00:00 GMT"])
def test_a_reply_without_a_date_tells_nothing(date: str | None) -> None:
    clock = EngineClock()
    for ahead in (0, 3600):
        now = time.time_ns()
        clock.observe(date, now - 1_000_000, now)
        assert abs(clock.now() - time.time_ns() - ahead * SECOND) < 2 * SECOND
        observe(clock, 3600)


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (EngineUnavailableError("down"), 3),
        (EngineInterruptedError("cut"), 3),
        (EngineTimeoutError("silent"), 1),
        (ConflictError(409, "taken"), 1),
        (OverloadedError(503, "later"), 1),
    ],
)
def test_only_trouble_of_the_transport_is_tried_again(
    loop: VirtualLoop, error: EngineError, calls: int
) -> None:
    made = 0

    @idempotent
    async def call() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(type(error)):
        loop.run(call())
    assert made == calls


def test_a_second_try_may_do(loop: VirtualLoop) -> None:
    errors: list[EngineError] = [EngineInterruptedError("cut")]

    @idempotent
    async def call() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert loop.run(call()) == "answer"


def test_the_second_wait_is_longer_than_the_first(loop: VirtualLoop) -> None:
    made: list[float] = []

    @idempotent
    async def call() -> None:
        made.append(loop.time())
        raise EngineUnavailableError("down")

    for _ in range(10):
        made.clear()
        with pytest.raises(EngineUnavailableError):
            loop.run(call())
        first, second, third = made
        assert third - second > second - first > 0


def test_delays_double_up_to_the_cap_with_a_tenth_added_at_most() -> None:
    for attempt, base in enumerate([2, 4, 8, 16, 30, 30], start=1):
        for _ in range(20):
            delay = compute_delay(attempt, initial=2, maximum=30)
            assert base <= delay <= base * 1.1
    assert len({compute_delay(50, initial=2, maximum=30) for _ in range(10)}) > 1
