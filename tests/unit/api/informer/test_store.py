"""A list that shows an older state than an inspect did is not believed: the inspect is repeated."""

from dataclasses import replace

import pytest

from api.engine.interface import Summary
from api.informer.merge import Observed
from api.informer.store import Picture
from api.v1.job import Container, Status
from api.v1.labels import NAME, NAMESPACE

LABELS = {NAMESPACE: "ns", NAME: "job"}
ROW = Summary("id", "job", LABELS, "image", 1, Status.RUNNING, "Up 14 seconds")
ENDED = Container(
    "id", "job", LABELS, "image", 10**9, Status.EXITED, started_at=2 * 10**9, finished_at=3 * 10**9
)


class Nobody:
    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        pass

    def on_look(self) -> None:
        pass


def make_picture() -> Picture:
    return Picture("ns", Nobody(), wants_finish=True)


@pytest.mark.parametrize("shown", [Status.RUNNING, Status.RESTARTING, Status.REMOVING])
@pytest.mark.parametrize("known", [Status.EXITED, Status.DEAD])
def test_a_list_never_takes_a_finished_job_back(known: Status, shown: Status) -> None:
    picture = make_picture()
    picture.fold_container("id", replace(ENDED, status=known))
    unsure = picture.fold_all([replace(ROW, status=shown)], picture.mark())
    assert unsure == {"id"}
    assert picture.known["id"].status is known


def test_what_a_list_shows_first_is_inspected_once_it_has_started() -> None:
    for status in (Status.RUNNING, Status.REMOVING, Status.EXITED, Status.DEAD):
        picture = make_picture()
        row = replace(ROW, status=status)
        assert picture.fold_all([row], picture.mark()) == {"id"}
        picture.fold_container("id", replace(ENDED, status=status))
        assert picture.fold_all([row], picture.mark()) == set() or status is Status.REMOVING
    picture = make_picture()
    assert picture.fold_all([replace(ROW, status=Status.CREATED)], picture.mark()) == set()
