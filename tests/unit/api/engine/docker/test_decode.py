"""What engines of any version and kind send is read, and what they leave out is not missed."""

import pytest

from api.engine.docker.decode import (
    read_container,
    read_event,
    read_image_labels,
    read_status,
    read_summary,
)
from api.v1.job import Container, Status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("created", Status.CREATED),
        ("Running", Status.RUNNING),
        ("configured", Status.CREATED),
        ("initialized", Status.CREATED),
        ("stopped", Status.EXITED),
        ("removing", Status.REMOVING),
        ("", Status.DEAD),
        (None, Status.DEAD),
        ("something new", Status.DEAD),
    ],
)
def test_every_word_is_a_state(text: str | None, status: Status) -> None:
    assert read_status(text) is status


def test_a_bare_answer_is_a_container() -> None:
    data = {"Id": "id", "Name": "/name", "State": None, "Config": {"Labels": None}}
    assert read_container(data) == Container("id", "name", {}, "", 0, Status.DEAD)


def test_a_full_answer_is_read() -> None:
    data = {
        "Id": "id",
        "Name": "/name",
        "Created": "1970-01-01T00:00:01.000000001Z",
        "Image": "sha256:1",
        "RestartCount": 2,
        "Config": {"Labels": {"k": "v"}},
        "State": {
            "Status": "exited",
            "ExitCode": 137,
            "Error": "oh",
            "OOMKilled": True,
            "StartedAt": "1970-01-01T00:00:02Z",
            "FinishedAt": "1970-01-01T00:00:03Z",
            "Health": {"Status": "unhealthy"},
        },
    }
    assert read_container(data) == Container(
        id="id",
        name="name",
        labels={"k": "v"},
        image="sha256:1",
        created=1_000_000_001,
        status=Status.EXITED,
        started_at=2_000_000_000,
        finished_at=3_000_000_000,
        exit_code=137,
        error="oh",
        oom_killed=True,
        restart_count=2,
        health="unhealthy",
    )


@pytest.mark.parametrize("health", [None, {}, {"Status": "none"}, {"Status": ""}])
def test_no_health_is_none(health: object) -> None:
    data = {"Id": "id", "Name": "n", "State": {"Status": "running", "Health": health}}
    assert read_container(data).health is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Exited (0) 2 days ago", 0),
        ("Exited (137) 2 days ago", 137),
        ("Exited (-1) 2 days ago", -1),
        ("Restarting (3) 1 second ago", 3),
        ("Up 2 days", None),
        ("Created", None),
        ("", None),
        (None, None),
    ],
)
def test_a_rows_text_carries_the_exit_code(text: str | None, code: int | None) -> None:
    assert read_summary({"Id": "id", "Status": text, "State": "exited"}).exit_code == code


def test_a_linked_containers_own_name_is_the_one_without_a_slash() -> None:
    row = read_summary({"Id": "id", "Names": ["/other/alias", "/own"], "State": "running"})
    assert row.name == "own"
    assert read_summary({"Id": "id", "Names": None}).name == ""


def test_an_event_is_read_from_action_and_actor_alone() -> None:
    event = read_event(
        {
            "Type": "container",
            "Action": "die",
            "Actor": {"ID": "id", "Attributes": {"exitCode": "3", "k": "v"}},
            "timeNano": 5,
            "status": "ignored",
            "id": "ignored",
        }
    )
    assert event is not None
    assert (event.action, event.id, event.exit_code, event.time) == ("die", "id", 3, 5)
    assert event.labels["k"] == "v"


def test_podmans_words_for_an_end_are_understood() -> None:
    actor = {"ID": "id", "Attributes": {"containerExitCode": "7"}}
    event = read_event({"Action": "died", "Actor": actor, "time": 2})
    assert event is not None
    assert (event.action, event.exit_code, event.time) == ("die", 7, 2_000_000_000)


@pytest.mark.parametrize(
    "data",
    [
        {"Type": "network", "Actor": {"ID": "id"}},
        {"Type": "container", "Actor": {}},
        {"Type": "container"},
        {},
    ],
)
def test_what_is_no_container_event_is_none(data: dict[str, object]) -> None:
    assert read_event(data) is None


def test_an_exit_code_that_is_no_number_is_none() -> None:
    event = read_event({"Actor": {"ID": "id", "Attributes": {"exitCode": "soon"}}})
    assert event is not None
    assert event.exit_code is None


@pytest.mark.parametrize("data", [{}, {"Config": None}, {"Config": {"Labels": None}}])
def test_an_image_without_labels_has_none(data: dict[str, object]) -> None:
    assert read_image_labels(data) == {}
