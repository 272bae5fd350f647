"""What is remembered of jobs that are gone, of which events told more than any list."""

import pytest

from api.engine.interface import Event, EventKind
from api.informer.store import JobStore
from api.server.jobs.collected import Collected
from api.v1.condition import derive_condition
from api.v1.job import Phase, Reason, Status
from tests.support.jobs import make_job

UID = "a" * 64


def remember() -> tuple[Collected, JobStore]:
    collected = Collected()
    store = JobStore(collected, wants_finish=False)
    collected.attach(store)
    return collected, store


@pytest.mark.parametrize("code", [0, 7, 127])
def test_an_end_that_is_told_before_the_job_is_known_is_its_end(code: int) -> None:
    collected, store = remember()
    collected.on_event(Event(EventKind.STARTED, UID, 10))
    collected.on_event(Event(EventKind.ENDED, UID, 20, exit_code=code))
    store.fold_created(make_job(UID, Status.REMOVING))
    collected.on_event(Event(EventKind.REMOVED, UID, 30))
    store.fold_missing(UID)
    gone = collected.find(UID)
    assert gone is not None
    assert gone.job.exit_code == code
    phase = Phase.FAILED if code else Phase.SUCCEEDED
    assert derive_condition(gone.job).phase is phase


def test_the_ends_of_what_is_no_job_are_forgotten() -> None:
    collected, _ = remember()
    for number in range(3000):
        collected.on_event(Event(EventKind.ENDED, f"{number:064x}", number, exit_code=0))
    collected.on_resync()
    assert not collected._heard


@pytest.mark.parametrize("status", [Status.REMOVING, Status.DEAD])
def test_of_a_removal_that_a_list_shows_nobody_knows_whether_the_job_ran(status: Status) -> None:
    collected, store = remember()
    store.fold_created(make_job(UID, status, made=True))
    collected.on_event(Event(EventKind.REMOVED, UID, 30))
    store.fold_missing(UID)
    gone = collected.find(UID)
    assert gone is not None
    assert derive_condition(gone.job).phase is Phase.UNKNOWN


@pytest.mark.parametrize("status", [Status.CREATED, Status.REMOVING])
def test_what_was_seen_not_to_have_run_has_failed(status: Status) -> None:
    collected, store = remember()
    store.fold_created(make_job(UID, status, made=True, detailed=True))
    collected.on_event(Event(EventKind.REMOVED, UID, 30))
    store.fold_missing(UID)
    gone = collected.find(UID)
    assert gone is not None
    assert derive_condition(gone.job).reason is Reason.DEAD
