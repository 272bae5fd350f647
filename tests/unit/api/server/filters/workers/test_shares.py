"""Beside others half of the workers for one client, and whoever cost one comes last."""

from dataclasses import dataclass

from api.server.clients import Client
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.shares import MEMORY, Shares
from tests.support.clients import meet
from tests.support.virtual_time import on_virtual_time

LIMITS = FilterLimits(size=3, most_slow=4)


@dataclass
class Work:
    client: Client | None
    slow: bool = False
    failure: Exception | None = None


@on_virtual_time
async def test_beside_others_a_client_has_half_of_the_workers_at_most() -> None:
    a, b = meet("a", "b")
    shares = Shares(LIMITS)
    runs = [Work(a)]
    assert shares.may_begin(a, runs, 0)
    runs.append(Work(a))
    assert not shares.may_begin(a, runs, 0)
    assert shares.may_begin(b, runs, 0)
    runs[0].slow = True
    assert shares.may_begin(a, runs, 0)


@on_virtual_time
async def test_beside_others_a_client_has_half_of_the_slow_runs_at_most() -> None:
    a, b = meet("a", "b")
    shares = Shares(LIMITS)
    slow = [Work(a, slow=True)]
    assert shares.may_be_slow(a, slow)
    slow.append(Work(a, slow=True))
    assert not shares.may_be_slow(a, slow)
    assert shares.may_be_slow(b, slow)


@on_virtual_time
async def test_who_cost_a_worker_is_last_and_takes_one_after_the_other() -> None:
    a, b = meet("a", "b")
    shares = Shares(LIMITS)
    assert not shares.may_follow(a, [], 5)
    shares.note_offence(a, 5)
    assert not shares.may_begin(a, [], 5)
    assert shares.may_begin(b, [], 5)
    assert shares.may_follow(a, [Work(b), Work(a, slow=True)], 5)
    for run in (Work(a), Work(a, slow=True, failure=RuntimeError())):
        assert not shares.may_follow(a, [run], 5)
    later = 5 + MEMORY
    assert shares.may_begin(a, [], later)
    assert not shares.may_follow(a, [], later)


@on_virtual_time
async def test_who_is_alone_has_all_whatever_it_has_done() -> None:
    (a,) = meet("a")
    shares = Shares(LIMITS)
    shares.note_offence(a, 5)
    assert shares.may_begin(a, [Work(a)] * 2, 5)
    assert shares.may_be_slow(a, [Work(a, slow=True)] * 3)
    assert not shares.may_be_slow(a, [Work(a, slow=True)] * 4)


def test_an_offence_is_forgotten_when_it_is_old() -> None:
    shares = Shares(LIMITS)
    for number in range(100):
        shares.note_offence(Client(f"{number}"), number * MEMORY)
    assert len(shares._offences) == 1


def test_where_no_client_is_named_there_are_no_shares() -> None:
    shares = Shares(LIMITS)
    shares.note_offence(None, 0)
    assert shares.may_begin(None, [Work(None)] * 3, 0)
    assert shares.may_be_slow(None, [Work(None, slow=True)] * 3)
    assert not shares.may_be_slow(None, [Work(None, slow=True)] * 4)
