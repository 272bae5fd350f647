"""What engines of any version and kind send is read, and what they leave out is not missed."""

from dataclasses import replace

import pytest

from api.engine.docker.decode import (
    read_inspect,
    read_labels,
    read_row,
    read_row_name,
    read_status,
)
from api.v1.job import Job, Status
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND

SPEC = JobSpec("/job", "filter", "0f")


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


def test_a_bare_answer_is_a_job() -> None:
    data = {"Id": "id", "Name": "/name", "State": None, "Config": {"Labels": None}}
    assert read_inspect(data, "ns") == Job(
        "id",
        "name",
        "ns",
        JobSpec(),
        Status.DEAD,
        created=0,
        order=0,
        exact=True,
        made=True,
        detailed=True,
        lingers=False,
        likeness=("", "", ""),
    )


def test_an_error_is_kept_up_to_a_bound() -> None:
    """A User of 900 kB came back in it, once for each job, for as long as the job was kept."""
    data = {"Id": "id", "Name": "/name", "State": {"Error": "x" * 900_000}}
    assert read_inspect(data, "ns").error == "x" * 2000


def test_a_full_answer_is_read() -> None:
    labels = encode(SPEC, namespace="ns", job_id="job", labels={"k": "v"})
    data = {
        "Id": "id",
        "Name": "/renamed",
        "Created": "1970-01-01T00:00:01.000000001Z",
        "Image": "sha256:1",
        "Path": "my prog",
        "Mounts": [
            {"Type": "volume", "Source": "/var/lib/docker/volumes/v/_data"},
            {"Type": "bind", "Source": "/b"},
            {"Type": "bind", "Source": "/a"},
        ],
        "RestartCount": 2,
        "Config": {"Labels": labels, "Image": "my:1"},
        "HostConfig": {"RestartPolicy": {"Name": "on-failure"}, "NetworkMode": "none"},
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
    assert read_inspect(data, "ns") == Job(
        uid="id",
        id="job",
        namespace="ns",
        spec=replace(SPEC, image="my:1", labels=(("k", "v"),)),
        status=Status.EXITED,
        created=SECOND + 1,
        order=SECOND + 1,
        exact=True,
        made=True,
        detailed=True,
        started=True,
        started_at=2 * SECOND,
        finished_at=3 * SECOND,
        exit_code=137,
        error="oh",
        oom_killed=True,
        restarts=2,
        health="unhealthy",
        lingers=True,
        likeness=("sha256:1", "my", "none", "/a", "/b"),
    )


def test_a_failed_start_leaves_no_exit_code_though_the_engine_notes_one() -> None:
    state = {"Status": "created", "ExitCode": 127, "StartedAt": "0001-01-01T00:00:00Z"}
    assert read_inspect({"Id": "id", "Name": "/n", "State": state}, "ns").exit_code is None


@pytest.mark.parametrize("text", [f"task {'4d' * 32}: already exists", "id already in use"])
def test_a_start_that_is_refused_for_ever_says_what_cures_it(text: str) -> None:
    state = {"Status": "created", "Error": text}
    seen = read_inspect({"Id": "id", "Name": "/n", "State": state}, "ns")
    assert seen.error.startswith(f"{text} (")
    assert "remove the container, then post its document again" in seen.error


def test_another_name_that_exists_is_no_such_start() -> None:
    text = "endpoint with name n already exists in network bridge"
    state = {"Status": "created", "Error": text}
    assert read_inspect({"Id": "id", "Name": "/n", "State": state}, "ns").error == text


@pytest.mark.parametrize("status", ["removing", "dead"])
def test_what_is_removed_before_it_ran_has_no_exit_code(status: str) -> None:
    state = {"Status": status, "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"}
    seen = read_inspect({"Id": "id", "Name": "/n", "State": state}, "ns")
    assert (seen.started, seen.exit_code) == (False, None)
    row = read_row({"Id": "id", "Names": ["/n"], "State": status}, "n", "ns", None)
    assert (row.started, row.exit_code) == (False, None)


@pytest.mark.parametrize("health", [None, {}, {"Status": "none"}, {"Status": ""}])
def test_no_health_is_none(health: object) -> None:
    data = {"Id": "id", "Name": "n", "State": {"Status": "running", "Health": health}}
    assert read_inspect(data, "ns").health is None


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
    row = read_row({"Id": "id", "Status": text, "State": "exited"}, "name", "ns", None)
    assert row.exit_code == code


def test_a_row_shows_less_than_an_inspect() -> None:
    labels = encode(SPEC, namespace="ns", job_id="job", labels={})
    data = {"Id": "id", "State": "running", "Status": "Up 2 days", "Labels": labels, "Created": 7}
    data |= {"Image": "my:1"}
    row = read_row(data, "renamed", "ns", None)
    assert row == Job(
        "id",
        "job",
        "ns",
        replace(SPEC, image="my:1"),
        Status.RUNNING,
        7 * SECOND,
        7 * SECOND,
        started=True,
        text="Up 2 days",
        likeness=("", "", ""),
    )


def test_a_row_that_shows_nothing_new_is_what_is_known() -> None:
    data = {"Id": "id", "State": "exited", "Status": "Exited (3) 2 days ago"}
    known = read_row(data, "name", "ns", None)
    later = data | {"Status": "Exited (3) 3 days ago"}
    assert read_row(later, "name", "ns", known) is known
    news: list[tuple[dict[str, str], str]] = [
        ({"State": "running"}, "name"),
        ({"Status": "Exited (4) 3 days ago"}, "name"),
        ({}, "renamed"),
    ]
    for change, name in news:
        row = read_row(data | change, name, "ns", known)
        assert row is not known
        assert row.spec is known.spec


def test_a_linked_containers_own_name_is_the_one_without_a_slash() -> None:
    assert read_row_name({"Names": ["/other/alias", "/own"]}) == "own"
    assert read_row_name({"Names": None}) == ""


@pytest.mark.parametrize("data", [{}, {"Config": None}, {"Config": {"Labels": None}}])
def test_an_image_without_labels_has_none(data: dict[str, object]) -> None:
    assert read_labels(data) == {}
