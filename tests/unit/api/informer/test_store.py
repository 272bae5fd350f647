"""A list that shows an older state than an inspect did is not believed: the inspect is repeated."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from api.informer.store import JobStore
from api.v1.job import Job, Status
from tests.support.jobs import make_job
from tests.support.listeners import Nobody

SECOND = 10**9
ROW = make_job("uid", Status.RUNNING, SECOND, id="job", started=True, text="Up 14 seconds")
ENDED = make_job(
    "uid",
    Status.EXITED,
    SECOND,
    id="job",
    exact=True,
    detailed=True,
    started=True,
    started_at=2 * SECOND,
    finished_at=3 * SECOND,
    exit_code=0,
)


def make_store() -> JobStore:
    return JobStore(Nobody(), wants_finish=True)


@pytest.mark.parametrize("shown", [Status.RUNNING, Status.RESTARTING, Status.REMOVING])
@pytest.mark.parametrize("known", [Status.EXITED, Status.DEAD])
def test_a_list_never_takes_a_finished_job_back(known: Status, shown: Status) -> None:
    store = make_store()
    store.fold_inspect("uid", replace(ENDED, status=known))
    to_inspect = store.fold_all([replace(ROW, status=shown)], store.version())
    assert to_inspect == {"uid"}
    assert store.known["uid"].status is known


def test_what_a_list_shows_first_is_inspected_once_it_has_started() -> None:
    for status in (Status.RUNNING, Status.REMOVING, Status.EXITED, Status.DEAD):
        store = make_store()
        row = replace(ROW, status=status)
        assert store.fold_all([row], store.version()) == {"uid"}
        store.fold_inspect("uid", replace(ENDED, status=status))
        assert store.fold_all([row], store.version()) == set() or status is Status.REMOVING
    store = make_store()
    waiting = replace(ROW, status=Status.CREATED, started=False)
    assert store.fold_all([waiting], store.version()) == set()


def test_a_job_is_found_by_its_id_for_as_long_as_it_is_there() -> None:
    store = make_store()
    assert (store.find_uid("job"), store.has_read_all) == (None, False)
    store.fold_all([ROW], store.version())
    assert (store.find_uid("job"), store.has_read_all) == ("uid", True)
    store.fold_inspect("uid", replace(ENDED, id="renamed"))
    assert (store.find_uid("job"), store.find_uid("renamed")) == (None, "uid")
    store.fold_inspect("uid", None)
    assert store.find_uid("renamed") is None


def test_of_two_jobs_with_one_id_the_one_that_stays_is_found() -> None:
    store = make_store()
    other = replace(ROW, uid="other")
    store.fold_all([other, ROW], store.version())
    store.fold_inspect("uid", None)
    assert store.find_uid("job") == "other"


def test_a_text_that_was_true_for_a_moment_is_not_kept() -> None:
    store = make_store()
    store.fold_all([ROW], store.version())
    assert store.known["uid"].text == ""


def test_what_is_read_again_unchanged_tells_nobody() -> None:
    changes: list[tuple[Job | None, Job | None]] = []

    class Witness(Nobody):
        def on_change(self, old: Job | None, new: Job | None) -> None:
            changes.append((old, new))

    store = JobStore(Witness(), wants_finish=False)
    for _ in range(3):
        store.fold_all([ROW], store.version())
    assert len(changes) == 1


CREATED = replace(ROW, status=Status.CREATED, started=False, made=True)


def test_what_this_process_created_is_known_at_once_and_no_older_list_takes_it_away() -> None:
    store = make_store()
    version = store.version()
    store.fold_created(CREATED)
    assert store.known == {"uid": CREATED}
    assert store.fold_all([], version) == set()
    assert store.known == {"uid": CREATED}
    assert store.fold_all([], store.version()) == set()
    assert store.known == {}


def test_what_is_read_first_by_itself_no_older_list_takes_away() -> None:
    reads: tuple[Callable[[JobStore], object], ...] = (
        lambda store: store.fold_inspect("uid", CREATED),
        lambda store: store.fold_some(["uid"], [CREATED], store.version()),
        lambda store: store.fold_active([CREATED], store.version()),
        lambda store: store.fold_new([CREATED], store.version(), 0),
    )
    for read in reads:
        store = make_store()
        version = store.version()
        read(store)
        assert store.fold_all([], version) == set()
        assert set(store.known) == {"uid"}
        assert store.fold_all([], store.version()) == set()
        assert store.known == {}


def test_what_is_known_better_or_gone_already_is_not_made_new() -> None:
    store = make_store()
    store.fold_inspect("uid", ENDED)
    store.fold_created(CREATED)
    assert store.known["uid"].status is Status.EXITED
    store.fold_inspect("uid", None)
    store.fold_created(CREATED)
    assert store.known == {}


def test_a_job_that_is_only_listed_may_be_in_creation_and_is_not_missing() -> None:
    store = make_store()
    store.fold_all([replace(CREATED, made=False)], store.version())
    store.fold_missing("uid")
    store.fold_missing("never heard of")
    assert set(store.known) == {"uid"}
    store.fold_inspect("uid", CREATED)
    store.fold_missing("uid")
    assert store.known == {}
