"""The event of an end frees a slot at once; how the job ended is read later."""

from dataclasses import replace

import pytest

from api.informer.merge import fold_end, fold_inspect, fold_row
from api.informer.store import JobStore
from api.v1.job import Job, Status
from tests.support.jobs import make_job
from tests.support.listeners import Nobody

RUNNING = make_job("a", Status.RUNNING, detailed=True, started=True, lingers=False)


def row(status: Status) -> Job:
    code = 3 if status is Status.EXITED else None
    return make_job("a", status, started=True, exit_code=code)


def test_an_end_frees_the_slot_and_says_nothing_else() -> None:
    ended = fold_end(RUNNING)
    assert not ended.is_active
    assert not ended.is_pending
    assert not ended.is_finished
    assert replace(ended, ended=False) == RUNNING


@pytest.mark.parametrize(
    "known",
    [
        replace(RUNNING, lingers=True),
        replace(RUNNING, status=Status.RESTARTING),
        replace(RUNNING, status=Status.EXITED),
        replace(RUNNING, status=Status.CREATED, started=False),
    ],
)
def test_an_end_tells_nothing_of_what_does_not_run_for_good(known: Job) -> None:
    assert fold_end(known) == known


def test_what_only_a_list_has_shown_lingers() -> None:
    known = fold_row(None, row(Status.RUNNING), 1)
    assert known is not None
    assert fold_end(known).is_active


def test_a_list_that_knows_less_than_the_event_leads_to_an_inspect() -> None:
    assert fold_row(fold_end(RUNNING), row(Status.RUNNING), 1) is None


def test_a_list_that_shows_the_end_settles_it() -> None:
    known = fold_row(fold_end(RUNNING), row(Status.EXITED), 1)
    assert known is not None
    assert (known.is_finished, known.ended, known.exit_code) == (True, False, 3)


def test_an_inspect_that_shows_it_running_again_takes_the_slot_back() -> None:
    assert fold_inspect(fold_end(RUNNING), RUNNING).is_active


def make_store(*known: Job) -> JobStore:
    store = JobStore(Nobody(), wants_finish=False)
    store._known.update({job.uid: job for job in known})
    return store


NEVER_INSPECTED = replace(RUNNING, detailed=False, lingers=True)
WAITING = make_job("a", Status.CREATED)


@pytest.mark.parametrize(
    "known", [(), (WAITING,), (NEVER_INSPECTED,)], ids=["new", "waits", "runs"]
)
def test_an_end_that_a_list_does_not_show_yet_is_looked_for_once(known: tuple[Job, ...]) -> None:
    """The engine tells of an end before its list shows it, and then no event comes any more."""
    store = make_store(*known)
    store.fold_end(RUNNING.uid)
    rows = [row(Status.RUNNING)]
    assert store.fold_some([RUNNING.uid], rows, store.version()) == {RUNNING.uid}
    assert store.fold_some([RUNNING.uid], rows, store.version()) == set()


def test_an_end_before_the_last_start_is_not_looked_for() -> None:
    store = make_store(NEVER_INSPECTED)
    store.fold_end(RUNNING.uid)
    store.note_start(RUNNING.uid)
    assert store.fold_some([RUNNING.uid], [row(Status.RUNNING)], store.version()) == set()


def test_what_a_list_by_ids_does_not_show_is_gone() -> None:
    store = make_store(RUNNING)
    assert store.fold_some([RUNNING.uid], [], store.version()) == set()
    assert not store.known


def test_what_was_touched_since_such_a_list_was_sent_is_not() -> None:
    store = make_store(RUNNING)
    version = store.version()
    store.invalidate(RUNNING.uid)
    assert store.fold_some([RUNNING.uid], [], version) == {RUNNING.uid}
    assert store.known


def test_what_the_engine_may_be_creating_still_is_not() -> None:
    listed = make_job("b", Status.CREATED)
    store = make_store(listed)
    assert store.fold_some([listed.uid, "c" * 64], [], store.version()) == {listed.uid, "c" * 64}
    assert store.known


def test_what_was_told_to_be_gone_is_not_looked_for_when_a_list_does_not_show_it() -> None:
    store = make_store()
    store.fold_inspect("c" * 64, None)
    assert store.fold_some(["c" * 64], [], store.version()) == set()
