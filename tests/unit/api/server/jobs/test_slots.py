"""Which jobs are said to have held a slot, from when until when, and how many are remembered."""

import asyncio

import pytest

from api.informer.store import JobStore
from api.server.jobs import slots
from api.server.jobs.collected import Collected
from api.server.jobs.slots import WINDOW, Slots
from api.v1.condition import derive_condition
from api.v1.job import Phase, Status
from api.v1.times import SECOND
from tests.fakes.engine.engine import Script
from tests.support.jobs import make_job
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.server.jobs.watching import open_desk

UID = "a" * 64
START = 100 * WINDOW
MOMENT = SECOND // 1000


class Clock:
    """The engine's clock (ns), and what listens by it."""

    def __init__(self) -> None:
        self.now = START
        collected = Collected()
        collected.attach(JobStore(collected, wants_finish=False))
        self.slots = Slots(collected, lambda: self.now)

    def see(
        self,
        status: Status,
        *,
        at: int,
        uid: str = UID,
        started_at: int | None = None,
        finished_at: int | None = None,
        ended: bool = False,
    ) -> None:
        """Tell of a job at a second; its times are seconds, too."""
        self.now = START + at * SECOND
        began, over = (
            second if second is None else START + second * SECOND
            for second in (started_at, finished_at)
        )
        job = make_job(uid, status, ended=ended, started_at=began, finished_at=over)
        self.slots.on_change(None, job)

    def tell(self) -> list[tuple[int, int | None]]:
        """Return from when until when jobs held a slot, in seconds."""
        return [
            (
                (hold.started - START) // SECOND,
                None if hold.ended is None else (hold.ended - START) // SECOND,
            )
            for hold in self.slots.list_holds()
        ]


def test_a_job_holds_a_slot_from_its_start_to_its_end() -> None:
    clock = Clock()
    clock.see(Status.CREATED, at=0)
    assert clock.tell() == []
    clock.see(Status.RUNNING, at=5, started_at=4)
    assert clock.tell() == [(4, None)]
    clock.see(Status.PAUSED, at=6, started_at=4)
    assert clock.tell() == [(4, None)]
    clock.see(Status.EXITED, at=9, started_at=4, finished_at=8)
    assert clock.tell() == [(4, 8)]


def test_what_was_not_seen_is_what_was_seen_until_it_is_known() -> None:
    clock = Clock()
    clock.see(Status.RUNNING, at=5)
    assert clock.tell() == [(5, None)]
    clock.see(Status.RUNNING, at=6, started_at=-3)
    assert clock.tell() == [(-3, None)]
    clock.see(Status.RUNNING, at=9, started_at=-3, ended=True)
    assert clock.tell() == [(-3, 9)]
    # a list knows no times
    clock.see(Status.EXITED, at=10)
    assert clock.tell() == [(-3, 9)]
    clock.see(Status.EXITED, at=11, started_at=-3, finished_at=7)
    assert clock.tell() == [(-3, 7)]


def test_a_restarted_job_holds_its_slot_between_its_runs() -> None:
    clock = Clock()
    clock.see(Status.RUNNING, at=1, started_at=1)
    clock.see(Status.RESTARTING, at=3, started_at=1, finished_at=2)
    clock.see(Status.RUNNING, at=5, started_at=5, finished_at=2)
    clock.see(Status.EXITED, at=9, started_at=5, finished_at=8)
    assert clock.tell() == [(1, 8)]


def test_of_a_job_that_somebody_runs_again_the_last_run_counts() -> None:
    clock = Clock()
    clock.see(Status.RUNNING, at=1, started_at=1)
    clock.see(Status.EXITED, at=3, started_at=1, finished_at=2)
    # what is known of its start is still the first one's
    clock.see(Status.RUNNING, at=10, started_at=1, finished_at=2)
    assert clock.tell() == [(10, None)]
    clock.see(Status.RUNNING, at=11, started_at=9, finished_at=2)
    assert clock.tell() == [(9, None)]
    # how it ended is not read yet
    clock.see(Status.RUNNING, at=12, started_at=9, finished_at=2, ended=True)
    assert clock.tell() == [(9, 12)]


def test_a_run_between_two_looks_counts_and_what_lists_show_of_old_ends_does_not() -> None:
    clock = Clock()
    clock.see(Status.EXITED, at=5, uid="1", started_at=3, finished_at=4)
    clock.see(Status.EXITED, at=5, uid="2")
    clock.see(Status.EXITED, at=5, uid="3", started_at=-9000, finished_at=-8000)
    clock.see(Status.DEAD, at=5, uid="4")
    assert clock.tell() == [(3, 4)]


def test_an_end_before_its_start_is_no_time_at_all() -> None:
    clock = Clock()
    clock.see(Status.EXITED, at=5, started_at=4, finished_at=3)
    assert clock.tell() == [(4, 5)]


def test_they_are_forgotten_an_hour_after_their_ends() -> None:
    clock = Clock()
    clock.see(Status.RUNNING, at=0, uid="1", started_at=0)
    clock.see(Status.RUNNING, at=0, uid="2", started_at=0)
    clock.see(Status.EXITED, at=9, uid="1", started_at=0, finished_at=9)
    clock.now = START + 3608 * SECOND
    assert clock.tell() == [(0, 9), (0, None)]
    assert clock.slots.find_beginning(clock.now) == clock.now - WINDOW
    clock.now = START + 3609 * SECOND
    assert clock.tell() == [(0, None)]
    assert clock.slots.find_beginning(clock.now) == clock.now - WINDOW


def test_no_more_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST", 10)
    clock = Clock()
    clock.see(Status.RUNNING, at=0, uid="long", started_at=0)
    for number in range(100):
        uid = f"{number:04}"
        clock.see(Status.RUNNING, at=number, uid=uid, started_at=number)
        clock.see(Status.EXITED, at=number, uid=uid, started_at=number, finished_at=number)
    assert clock.tell() == [(0, None), *((number, number) for number in range(91, 100))]
    assert clock.slots.find_beginning(clock.now) == START + 90 * SECOND
    # one that was dropped is not taken up again when more is told of it
    clock.see(Status.EXITED, at=101, uid="0050", started_at=50, finished_at=50)
    assert len(clock.tell()) == 10
    assert (50, 50) not in clock.tell()
    for number in range(100):
        clock.see(Status.RUNNING, at=200 + number, uid=f"new-{number}", started_at=200)
    assert len(clock.tell()) == 10


@pytest.mark.parametrize("known_for", [0, 5])
@on_virtual_time
async def test_a_job_is_followed_from_its_start_until_it_is_collected(known_for: float) -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=7))
        await asyncio.sleep(known_for)
        assert desk.slots.list_holds() == []
        began = desk.engine.now()

        def tell() -> list[tuple[int, int | None]]:
            """Return the times since the start; events come a moment later than what they tell."""
            return [
                ((h.started - began) // MOMENT, h.ended and (h.ended - began) // MOMENT)
                for h in desk.slots.list_holds()
            ]

        desk.engine.run(uid)
        await asyncio.sleep(1)
        assert tell() == [(0, None)]
        await asyncio.sleep(10)
        assert tell() == [(0, 7 * SECOND // MOMENT)]
        desk.engine.destroy(uid)
        await asyncio.sleep(10)
        assert uid not in desk.informer.store.known
        assert tell() == [(0, 7 * SECOND // MOMENT)]
        [hold] = desk.slots.list_holds()
        assert derive_condition(hold.job).phase is Phase.SUCCEEDED
        # nothing was asked of the engine for it
        assert desk.engine.calls["inspect"] == 0


def test_ends_may_be_learnt_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST", 2)
    clock = Clock()
    for number in (3, 2, 1):
        uid = str(number) * 64
        clock.see(
            Status.EXITED, at=10, uid=uid, started_at=number, finished_at=number + 1, ended=True
        )
    # the one that ended first has no room any more
    assert clock.tell() == [(2, 3), (3, 4)]
    assert clock.slots.find_beginning(clock.now) == START + 2 * SECOND
    clock.now = START + WINDOW + 3 * SECOND
    assert clock.tell() == [(3, 4)]
