"""A list that shows an older state than an inspect did is not believed: the inspect is repeated."""

from dataclasses import replace

import pytest

from api.engine.interface import Summary
from api.informer.store import JobStore
from api.v1.job import Container, Status
from api.v1.labels import NAME, NAMESPACE
from tests.support.listeners import Nobody

LABELS = {NAMESPACE: "ns", NAME: "job"}
ROW = Summary("id", "job", LABELS, "image", 1, Status.RUNNING, "Up 14 seconds")
ENDED = Container(
    "id", "job", LABELS, "image", 10**9, Status.EXITED, started_at=2 * 10**9, finished_at=3 * 10**9
)


def make_picture() -> JobStore:
    return JobStore("ns", Nobody(), wants_finish=True)


@pytest.mark.parametrize("shown", [Status.RUNNING, Status.RESTARTING, Status.REMOVING])
@pytest.mark.parametrize("known", [Status.EXITED, Status.DEAD])
def test_a_list_never_takes_a_finished_job_back(known: Status, shown: Status) -> None:
    store = make_picture()
    store.fold_container("id", replace(ENDED, status=known))
    to_inspect = store.fold_all([replace(ROW, status=shown)], store.version())
    assert to_inspect == {"id"}
    assert store.known["id"].status is known


def test_what_a_list_shows_first_is_inspected_once_it_has_started() -> None:
    for status in (Status.RUNNING, Status.REMOVING, Status.EXITED, Status.DEAD):
        store = make_picture()
        row = replace(ROW, status=status)
        assert store.fold_all([row], store.version()) == {"id"}
        store.fold_container("id", replace(ENDED, status=status))
        assert store.fold_all([row], store.version()) == set() or status is Status.REMOVING
    store = make_picture()
    assert store.fold_all([replace(ROW, status=Status.CREATED)], store.version()) == set()
