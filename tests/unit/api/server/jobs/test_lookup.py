import pytest

from api.engine.errors import EngineTimeoutError, EngineUnavailableError
from api.engine.interface import Summary
from api.server.jobs import lookup as jobs_module
from api.server.jobs.lookup import Jobs, Silence, view_job
from api.v1.job import Container, Status
from api.v1.labels import NAME, NAMESPACE, stamp
from tests.fakes.engine.engine import IMAGE, MemoryEngine

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def make_container(status: Status, **members: object) -> Container:
    fields = {"created": NOW - 100 * SECOND - 1, **members}
    return Container(id="f" * 64, name="a", labels={}, image="i", status=status, **fields)  # type: ignore[arg-type]  # as given


def test_a_job_that_waits_has_no_times_and_no_exit_code() -> None:
    assert view_job(make_container(Status.CREATED), NOW) == {
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
    }


def test_a_failed_start_has_no_exit_code_though_the_engine_notes_one() -> None:
    job = make_container(Status.CREATED, error="no such file", exit_code=127)
    view = view_job(job, NOW)
    assert (view["phase"], view["reason"], view["message"]) == (
        "Pending",
        "StartError",
        "no such file",
    )
    assert view["exitCode"] is None


def test_a_restarted_job_shows_no_end_while_it_runs() -> None:
    job = make_container(
        Status.RUNNING,
        started_at=NOW - 5 * SECOND,
        finished_at=NOW - 6 * SECOND,
        exit_code=0,
        restart_count=1,
    )
    view = view_job(job, NOW)
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
    job = make_container(
        Status.EXITED, started_at=NOW - 5 * SECOND, finished_at=NOW - 3 * SECOND, **members
    )
    view = view_job(job, NOW)
    assert (view["phase"], view["reason"], view["exitCode"]) == expected
    assert view["finishedAt"] == "2023-11-14T22:13:17.000000000Z"


def test_a_silent_container_is_unknown_with_what_the_list_says() -> None:
    row = Summary("f" * 64, "a", {}, "i", 1_699_999_899, Status.CREATED, "Created")
    view = view_job(Silence(row), NOW)
    assert (view["phase"], view["reason"]) == ("Unknown", "EngineSilent")
    assert (view["id"], view["created"], view["status"]) == ("a", 1_699_999_899, "Created")


def add(engine: MemoryEngine, name: str, labels: dict[str, str], image: str = IMAGE) -> str:
    return engine.add(name, {"Image": image, "Cmd": ["true"], "Labels": labels})


def make_labels(name: str, namespace: str = "ns") -> dict[str, str]:
    return stamp({}, namespace=namespace, name=name, document="d", filter_name="f", path="/job")


async def test_only_jobs_of_the_namespace_are_found() -> None:
    engine = MemoryEngine()
    uid = add(engine, "ours", make_labels("ours"))
    add(engine, "original", {NAMESPACE: "ns"})
    add(engine, "elsewhere", make_labels("elsewhere", "other"))
    add(engine, "heir", make_labels("parent"))
    add(engine, "foreign", {})
    jobs = Jobs(engine, "ns")
    found = {}
    for name in ("ours", "original", "elsewhere", "heir", "foreign", "absent", uid[:12]):
        found[name] = await jobs.find(name)
    assert [name for name, job in found.items() if job is not None] == ["ours", "original"]


@pytest.mark.parametrize("name", ["", "a", "../images/x", "a/b", "a\n", "x" * 129, "-a", "a b"])
async def test_a_name_that_cannot_be_one_never_reaches_the_engine(name: str) -> None:
    engine = MemoryEngine()
    assert await Jobs(engine, "ns").find(name) is None
    assert not engine.calls


async def test_a_job_costs_one_inspect_and_no_list() -> None:
    engine = MemoryEngine()
    add(engine, "ours", make_labels("ours"))
    await Jobs(engine, "ns").find("ours")
    assert engine.calls == {"inspect": 1}


async def test_the_image_of_an_originals_job_is_looked_at_once() -> None:
    engine = MemoryEngine()
    add(engine, "original", {NAMESPACE: "ns"})
    jobs = Jobs(engine, "ns")
    for _ in range(3):
        assert await jobs.find("original") is not None
    assert engine.calls == {"inspect": 3, "image_labels": 1}


async def test_a_container_that_does_not_answer_is_read_from_a_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs_module, "_PATIENCE", 0.05)
    engine = MemoryEngine()
    add(engine, "ours", make_labels("ours"))
    engine.hang("inspect", ref="ours")
    job = await Jobs(engine, "ns").find("ours")
    assert isinstance(job, Silence)
    assert job.row.labels[NAME] == "ours"
    engine.hang("inspect", ref="absent")
    with pytest.raises(EngineTimeoutError):
        await Jobs(engine, "ns").find("absent")


async def test_an_engine_that_is_away_is_no_answer_about_a_job() -> None:
    engine = MemoryEngine()
    engine.is_down = True
    with pytest.raises(EngineUnavailableError):
        await Jobs(engine, "ns").find("ours")
