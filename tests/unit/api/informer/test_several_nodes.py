"""What is known of jobs that run on other nodes: they may wait again, and rows show all of them."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from api.engine.interface import Event, EventKind
from api.informer.credence import Credence
from api.informer.informer import Informer
from api.informer.store import JobStore
from api.v1.job import Job, Status
from tests.fakes.engine.cluster import MemoryCluster
from tests.fakes.engine.engine import MemoryEngine
from tests.support.jobs import make_job
from tests.support.listeners import Nobody
from tests.unit.api.informer.stage import open_stage

SECOND = 10**9
WAITS = make_job("uid", Status.CREATED, SECOND, id="job", exact=True, made=True, detailed=True)
STARTING = replace(WAITS, status=Status.STARTING)
REFUSED = replace(WAITS, error="No such image")
RUNS = replace(WAITS, status=Status.RUNNING, started=True, started_at=2 * SECOND)
LOST = replace(RUNS, status=Status.EXITED, lost=True, finished_at=3 * SECOND)
ANEW = replace(WAITS, rerun=1, lost=True, error="node b was lost")


@pytest.mark.parametrize("kind", [MemoryEngine, MemoryCluster])
def test_what_is_new_is_listed_between_lists_of_all_only_where_it_costs_less(
    kind: type[MemoryEngine],
) -> None:
    with open_stage(kind) as stage:
        stage.add("a-job")

        async def look_on(informer: Informer) -> bool:
            with patch.object(stage.engine, "list", wraps=stage.engine.list) as listing:
                # each tick may take the cheap reading, and none that of all
                informer.budget.full_cost, informer.budget.longest = 1.0, 1e9
                await asyncio.sleep(60)
                return any(call.kwargs.get("since") for call in listing.call_args_list)

        assert stage.play(look_on, interval=1.0) is (kind is MemoryEngine)


def make_store(*seen: Job, **settings: Any) -> JobStore:
    store = JobStore(Nobody(), **{"wants_finish": True, **settings})
    for job in seen:
        store.fold_inspect("uid", job)
    return store


def fold_row(store: JobStore, row: Job) -> set[str]:
    return store.fold_all([row], store.version())


def test_a_job_that_is_told_to_start_may_wait_again() -> None:
    store = make_store(WAITS, STARTING)
    assert store.active == {"uid"}
    store.fold_inspect("uid", REFUSED)
    assert store.known["uid"] == REFUSED
    assert not store.active


def test_the_event_of_a_start_is_believed_of_a_job_that_was_told_to() -> None:
    store = make_store(STARTING)
    assert store.fold_start("uid", 2 * SECOND)
    known = store.known["uid"]
    assert (known.status, known.started_at, known.told) == (Status.RUNNING, 2 * SECOND, True)
    assert not store.fold_start("uid", 3 * SECOND)


def test_a_row_that_shows_all_needs_no_inspect() -> None:
    for before in (WAITS, STARTING, RUNS):
        for row in (STARTING, REFUSED, RUNS, LOST):
            if before.started and not row.started:
                continue
            store = make_store(before, doubts_active=True)
            assert fold_row(store, row) == set()
            assert store.known["uid"] == row


def test_a_row_from_before_a_start_does_not_take_it_back() -> None:
    """As a manager that has just restarted may show it."""
    store = make_store(STARTING)
    assert fold_row(store, WAITS) == {"uid"}
    assert store.known["uid"] == STARTING


def test_a_row_that_shows_all_is_taken_as_it_is_where_nothing_was_known() -> None:
    store = make_store(doubts_active=True)
    assert fold_row(store, RUNS) == set()
    assert store.known["uid"] == RUNS


def test_a_row_that_shows_little_leaves_it_to_an_inspect_why_a_job_waits_again() -> None:
    store = make_store(STARTING)
    assert fold_row(store, replace(REFUSED, detailed=False, error="")) == {"uid"}
    assert store.known["uid"] == STARTING


def test_only_a_job_that_is_to_run_anew_is_pending_after_it_was_started() -> None:
    for before in (RUNS, LOST):
        store = make_store(before)
        assert fold_row(store, WAITS) == {"uid"}
        store.fold_inspect("uid", WAITS)
        assert store.known["uid"] == before
        assert fold_row(store, ANEW) == set()
        assert store.known["uid"] == ANEW
        store = make_store(before, ANEW)
        assert store.known["uid"] == ANEW


def test_what_runs_does_not_start_by_an_older_look() -> None:
    """A service that was read before its stop, with its tasks after that, seems to start anew."""
    for before in (RUNS, LOST):
        store = make_store(before)
        store.fold_inspect("uid", STARTING)
        assert store.known["uid"] == before
        fold_row(store, STARTING)
        assert store.known["uid"] == before


def test_what_was_before_a_rerun_is_older_knowledge() -> None:
    for before, older in (
        (ANEW, (WAITS, STARTING)),
        (replace(RUNS, rerun=1), (WAITS, STARTING, RUNS, LOST)),
    ):
        for old in older:
            store = make_store(before)
            assert fold_row(store, old) == {"uid"}
            store.fold_inspect("uid", old)
            assert store.known["uid"] == before


def test_a_loss_that_nobody_has_noted_is_forgotten_where_the_run_goes_on_or_has_ended() -> None:
    for seen in (RUNS, replace(RUNS, status=Status.EXITED, exit_code=255)):
        store = make_store(RUNS, ANEW)
        assert fold_row(store, seen) == {"uid"}
        store.fold_inspect("uid", seen)
        assert store.known["uid"] == seen
        # should the answer have been an old one
        assert fold_row(store, ANEW) == set()
        assert store.known["uid"] == ANEW


ENDED = replace(RUNS, status=Status.EXITED, exit_code=3, finished_at=3 * SECOND)
RERUN = replace(RUNS, rerun=1)
FULL = replace(STARTING, error="no suitable node")


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        (WAITS, ENDED, ENDED),
        (STARTING, RUNS, RUNS),
        (RUNS, ENDED, ENDED),
        (STARTING, STARTING, STARTING),  # nothing new
        (RUNS, replace(RUNS, started_at=SECOND), RUNS),
        (ENDED, ENDED, ENDED),
        (RUNS, STARTING, None),  # an older look
        (ENDED, RUNS, None),
        (STARTING, WAITS, None),  # it may wait again
        (WAITS, STARTING, None),  # and this be from before
        (REFUSED, STARTING, None),
        (WAITS, replace(ENDED, started=False), None),
        (STARTING, FULL, None),  # why may have changed since
        (RUNS, LOST, None),
        (ANEW, STARTING, None),
        (RUNS, RERUN, None),
        (replace(RUNS, detailed=False), RUNS, None),
    ],
)
def test_a_look_that_an_event_shows_is_believed_where_it_is_the_newest(
    known: Job, seen: Job, expected: Job | None
) -> None:
    known, seen = replace(known, lingers=False), replace(seen, lingers=False)
    store = make_store(known)
    assert believe(store, seen) is (expected is not None)
    left = known if expected is None else replace(expected, lingers=False)
    assert store.known["uid"] == left


def believe(store: JobStore, seen: Job) -> bool:
    credence = Credence(store, wants_starts=True)
    event = Event(EventKind.CHANGED, "uid", 9 * SECOND, is_job=True, job=seen)
    return credence.believe(credence.judge(event))


def test_a_look_at_a_job_that_is_run_again_by_the_swarm_is_not_believed() -> None:
    store = make_store(RUNS)
    assert RUNS.lingers
    assert not believe(store, ENDED)
    assert store.known["uid"] == RUNS


def test_a_look_of_an_event_from_before_the_subscription_is_not_believed() -> None:
    store = make_store(replace(STARTING, lingers=False))
    credence = Credence(store, wants_starts=True)
    seen = replace(RUNS, lingers=False)
    event = Event(EventKind.CHANGED, "uid", 9 * SECOND, is_job=True, job=seen)
    credence.judge(event)
    credence.begin()
    assert not credence.believe(credence.judge(event))
    assert store.known["uid"].status is Status.STARTING
