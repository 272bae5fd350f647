"""What the event streams of engines of any version and kind tell is read."""

from collections.abc import Mapping

import pytest

from api.engine.docker.event_decode import read_event
from api.engine.interface import Event, EventKind
from api.v1.labels import CANCELS, NAME, NAMESPACE
from api.v1.mark import Mark, encode_mark
from api.v1.times import SECOND


def test_an_event_is_read_from_action_and_actor_alone() -> None:
    event = read_event(
        {
            "Type": "container",
            "Action": "die",
            "Actor": {"ID": "id", "Attributes": {"exitCode": "3", "k": "v"}},
            "timeNano": 5,
            "status": "ignored",
            "id": "ignored",
        },
        "ns",
    )
    assert event is not None
    assert event == Event(EventKind.ENDED, "id", 5, 3, is_job=False)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("create", EventKind.CREATED),
        ("start", EventKind.STARTED),
        ("restart", EventKind.RESTARTED),
        ("die", EventKind.ENDED),
        ("destroy", EventKind.REMOVED),
        *((word, EventKind.CHANGED) for word in ("rename", "update", "pause", "oom")),
    ],
)
def test_every_word_that_announces_a_change_has_a_kind(action: str, kind: EventKind) -> None:
    event = read_event({"Action": action, "Actor": {"ID": "id"}}, "ns")
    assert event is not None
    assert event.kind is kind


@pytest.mark.parametrize(
    ("labels", "is_job"),
    [
        ({NAMESPACE: "ns", NAME: "job", "name": "job"}, True),
        ({NAMESPACE: "other", NAME: "job", "name": "job"}, False),
        ({NAMESPACE: "ns", NAME: "job", "name": "renamed"}, False),
        ({NAMESPACE: "ns", "name": "originals"}, False),
        ({}, False),
    ],
)
def test_an_event_proves_a_job_by_its_own_labels_alone(
    labels: dict[str, str], is_job: bool
) -> None:
    event = read_event({"Action": "create", "Actor": {"ID": "id", "Attributes": labels}}, "ns")
    assert event is not None
    assert event.is_job is is_job


@pytest.mark.parametrize(
    ("action", "kind", "code"),
    [("died", EventKind.ENDED, 7), ("remove", EventKind.REMOVED, None)],
)
def test_podmans_words_are_understood(action: str, kind: EventKind, code: int | None) -> None:
    actor = {"ID": "id", "Attributes": {"containerExitCode": "7"}}
    event = read_event({"Action": action, "Actor": actor, "time": 2}, "ns")
    assert event is not None
    assert (event.kind, event.exit_code, event.time) == (kind, code, 2 * SECOND)


@pytest.mark.parametrize(
    "data",
    [
        {"Type": "network", "Action": "create", "Actor": {"ID": "id"}},
        {"Type": "container", "Action": "create", "Actor": {}},
        {"Type": "container", "Action": "create"},
        {"Action": "exec_start: sh", "Actor": {"ID": "id"}},
        {"Action": "attach", "Actor": {"ID": "id"}},
        {"Actor": {"ID": "id"}},
        {},
    ],
)
def test_what_tells_nothing_of_a_container_is_none(data: dict[str, object]) -> None:
    assert read_event(data, "ns") is None


@pytest.mark.parametrize(
    "text",
    ["soon", "", "\u00b2", "\u0663", "-1", "256", "1000", "9" * 5000, "1_0", " 1", "1\n", "0x1"],
)
def test_an_exit_code_that_is_none_is_none(text: str) -> None:
    for key in ("exitCode", "containerExitCode"):
        event = read_event({"Action": "die", "Actor": {"ID": "id", "Attributes": {key: text}}}, "")
        assert event is not None
        assert event.exit_code is None


@pytest.mark.parametrize("code", [0, 7, 137, 255])
def test_an_exit_code_is_read(code: int) -> None:
    actor = {"ID": "id", "Attributes": {"exitCode": str(code)}}
    event = read_event({"Action": "die", "Actor": actor}, "ns")
    assert event is not None
    assert event.exit_code == code


MARK = Mark("id", "f" * 64, 3, why="typo")


@pytest.mark.parametrize(
    ("image", "mark"),
    [
        ({}, MARK),
        (None, None),  # not seen yet: a list tells
        ({CANCELS: MARK.job}, None),  # it is the image's
    ],
)
def test_the_event_of_a_mark_shows_it_where_its_image_is_known(
    image: Mapping[str, str] | None, mark: Mark | None
) -> None:
    attributes = encode_mark(MARK, namespace="ns") | {"name": "djd", "image": "empty"}
    data = {"Action": "create", "Actor": {"ID": "id", "Attributes": attributes}, "timeNano": 5}
    event = read_event(data, "ns", know=lambda _: image)
    assert event == Event(EventKind.CREATED, "id", 5, is_mark=True)
    assert event.mark == mark
    end = read_event(data | {"Action": "destroy"}, "ns", know=lambda _: image)
    assert end == Event(EventKind.REMOVED, "id", 5, is_mark=True)
    other = read_event(data, "other", know=lambda _: image)
    assert other == Event(EventKind.CREATED, "id", 5)
