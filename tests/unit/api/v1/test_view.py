"""The one object that is shown of a job: what stands in it, and what is null until when."""

from dataclasses import replace

import pytest

from api.v1.job import Status
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from api.v1.view import JobView, Standing, Waiting, view_job
from api.v1.wishes import Wishes
from tests.support.jobs import make_job

NOW = 1_700_000_000 * SECOND


def show(status: Status, **members: object) -> JobView:
    """Return what GET shows of a job that was recorded 100 s ago."""
    created = NOW - 100 * SECOND - 1
    fields = {"id": "a", "detailed": True, "started": status is not Status.CREATED} | members
    return view_job(make_job("f" * 64, status, created, **fields), NOW)


def test_a_job_that_waits_has_no_times_and_no_exit_code() -> None:
    assert show(Status.CREATED) == {
        "id": "a",
        "created": 1_699_999_899,
        "status": "Created",
        "phase": "Pending",
        "reason": "Queued",
        "message": "waits for a slot or for a controller",
        "exitCode": None,
        "startedAt": None,
        "finishedAt": None,
        "uid": "f" * 64,
        "finished": False,
        "filter": "",
        "path": "",
        "image": "",
        "labels": {},
        "queue": "default",
        "priority": 0,
        "share": "",
        "startBy": None,
        "runFor": None,
        "keepFor": None,
        "expiresAt": None,
        "restarts": 0,
        "cancel": None,
        "waiting": {
            "reason": "Queued",
            "message": "waits for a slot or for a controller",
            "position": None,
            "until": None,
        },
    }


def test_a_job_that_could_not_start_shows_why() -> None:
    view = show(Status.CREATED, error="no such file")
    assert (view["phase"], view["reason"], view["message"]) == (
        "Pending",
        "StartError",
        "no such file",
    )
    assert view["exitCode"] is None


def test_a_restarted_job_shows_no_end_while_it_runs() -> None:
    view = show(
        Status.RUNNING,
        started_at=NOW - 5 * SECOND,
        finished_at=NOW - 6 * SECOND,
        exit_code=0,
        restarts=1,
    )
    assert (view["status"], view["finishedAt"], view["exitCode"]) == ("Up 5 seconds", None, None)
    assert view["startedAt"] == "2023-11-14T22:13:15.000000000Z"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"exit_code": 0}, ("Succeeded", None, 0)),
        ({"exit_code": 3}, ("Failed", "Error", 3)),
        ({"exit_code": 137, "oom_killed": True}, ("Failed", "OOMKilled", 137)),
    ],
)
def test_a_finished_job_shows_its_end(
    members: dict[str, object], expected: tuple[object, ...]
) -> None:
    view = show(Status.EXITED, started_at=NOW - 5 * SECOND, finished_at=NOW - 3 * SECOND, **members)
    assert (view["phase"], view["reason"], view["exitCode"]) == expected
    assert view["finishedAt"] == "2023-11-14T22:13:17.000000000Z"


def test_no_job_ends_before_it_starts() -> None:
    started = NOW - 5 * SECOND
    view = show(Status.EXITED, started_at=started, finished_at=started - 33_000_000, exit_code=0)
    assert view["finishedAt"] == view["startedAt"] == "2023-11-14T22:13:15.000000000Z"


def test_a_silent_container_is_unknown_with_what_the_list_says() -> None:
    created = 1_699_999_899 * SECOND
    row = make_job("f" * 64, Status.CREATED, created, id="a", text="Created")
    view = view_job(row, NOW, Standing(is_silent=True))
    assert (view["phase"], view["reason"]) == ("Unknown", "EngineSilent")
    assert (view["id"], view["created"], view["status"]) == ("a", 1_699_999_899, "Created")


def test_what_the_manifest_said_is_shown() -> None:
    spec = JobSpec("/job/a", "run", image="busybox", labels=(("team", "a"), ("x", "")))
    view = show(Status.RUNNING, spec=spec, started_at=NOW, restarts=2)
    assert (view["filter"], view["path"], view["image"]) == ("run", "/job/a", "busybox")
    assert (view["labels"], view["restarts"]) == ({"team": "a", "x": ""}, 2)


@pytest.mark.parametrize("status", [*Status])
def test_only_a_pending_job_waits_and_only_an_ended_one_is_finished(status: Status) -> None:
    view = show(status, exit_code=0, started_at=None if status is Status.CREATED else NOW)
    assert (view["waiting"] is not None) == (view["phase"] == "Pending")
    assert view["finished"] == (view["phase"] in {"Succeeded", "Failed"})


def test_why_a_job_waits_is_the_engine_before_its_own_error() -> None:
    def wait(error: str, *, up: bool) -> Waiting | None:
        job = make_job("f" * 64, Status.CREATED, detailed=True, error=error)
        return view_job(job, NOW, Standing(engine_is_up=up))["waiting"]

    found = [wait("no such file", up=True), wait("no such file", up=False), wait("", up=False)]
    assert [(part["reason"], part["message"]) for part in found if part] == [
        ("StartError", "no such file"),
        ("EngineDown", "the engine does not answer"),
        ("EngineDown", "the engine does not answer"),
    ]


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (Status.RUNNING, "Up", None),
        (Status.PAUSED, "Up (Paused)", None),
        (Status.RESTARTING, "Restarting (3)", 3),
        (Status.EXITED, "Exited (3)", 3),
    ],
)
def test_of_a_job_that_only_a_list_has_shown_nothing_is_made_up(
    status: Status, text: str, code: int | None
) -> None:
    view = show(status, detailed=False, exit_code=code)
    assert (view["status"], view["exitCode"]) == (text, code)
    assert view["startedAt"] is view["finishedAt"] is None


def test_a_job_that_has_ended_is_finished_though_it_is_unknown_how() -> None:
    view = show(Status.EXITED, detailed=False)
    assert (view["phase"], view["finished"]) == ("Unknown", True)


def test_wishes_are_shown_in_seconds() -> None:
    wishes = Wishes("etl", -5, "ann", 600 * SECOND, SECOND // 2, 0)
    view = show(Status.RUNNING, started_at=NOW, spec=JobSpec(wishes=wishes))
    assert (view["queue"], view["priority"], view["share"]) == ("etl", -5, "ann")
    assert (view["startBy"], view["runFor"], view["keepFor"]) == (600, 0.5, 0)
    assert view["expiresAt"] is None


def test_a_cancel_is_shown_with_the_end_that_it_made() -> None:
    mark = Mark("m", "f" * 64, NOW - SECOND, grace=3, purge=True, why="typo")
    job = make_job("f" * 64, Status.CREATED, NOW - 100 * SECOND, mark=mark)
    view = view_job(job, NOW)
    at = "2023-11-14T22:13:19.000000000Z"
    assert view["cancel"] == {"at": at, "grace": 3, "purge": True, "why": "typo"}
    assert (view["phase"], view["finished"], view["waiting"]) == ("Cancelled", True, None)
    assert (view["startedAt"], view["finishedAt"], view["expiresAt"]) == (None, at, at)


def test_what_the_controller_says_of_a_wait_is_shown_while_the_engine_answers() -> None:
    said: Waiting = {"reason": "QueueCap", "message": "full", "position": 3, "until": None}
    job = make_job("a", Status.CREATED, NOW)
    assert view_job(job, NOW, Standing(waiting=said))["waiting"] == said
    down = view_job(job, NOW, Standing(engine_is_up=False, waiting=said))["waiting"]
    assert down is not None
    assert down["reason"] == "EngineDown"
    running = replace(job, status=Status.RUNNING, started=True)
    assert view_job(running, NOW, Standing(waiting=said))["waiting"] is None
