"""Faults 18 to 24 of the catalogue: removals that others make too, that fail, or come too early."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BytesIO
from tarfile import TarFile, TarInfo
from typing import Any

import pytest

from api.v1.times import SECOND, parse_time
from tests.chaos.stage import HOLD, Stage
from tests.support.private_engine import IMAGE
from tests.support.waiting import wait_until


def test_fault_18_removals_by_others_at_the_same_time_are_success(stage: Stage) -> None:
    jobs = [stage.post(f"f18-{number}") for number in range(4)]
    in_progress = json.dumps({"message": f"removal of container {jobs[3]} is already in progress"})
    stage.proxy.answer(rf"^DELETE .*{jobs[3]}", 409, in_progress, times=1)
    stage.proxy.delay(r"^DELETE ", 0.3)
    with stage.control(keep=0.5) as controller:
        wait_until(lambda: stage.proxy.count(r"^DELETE "), "a removal under way")

        def remove(job: str) -> None:
            stage.raw.call("DELETE", f"containers/{job}", timeout=20)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(remove, jobs[:3] * 4))
        stage.wait_for("gone", *jobs)
        undone = {e["result"] for e in controller.events("removal not done")}
        assert undone <= {"changed"}  # seen on its way out: nothing failed


@contextmanager
def undeletable(stage: Stage, container_id: str, part: str = "hosts") -> Iterator[None]:
    """Make the engine fail to remove a container for the length of the block."""
    path = stage.engine.folder / f"data/containers/{container_id}/{part}"
    subprocess.run(["chattr", "+i", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@pytest.mark.thorough
def test_fault_19_a_container_that_cannot_be_removed_holds_up_nobody(stage: Stage) -> None:
    stuck = stage.post("f19-stuck", HOLD)
    with stage.control(limit=1, keep=0.5):
        stage.wait_for("running", stuck)
        with undeletable(stage, stuck):
            stage.release()
            wait_until(lambda: stage.count_calls("remove", stuck), "the removal that fails")
            others = [stage.post(f"f19-other-{number}") for number in range(3)]
            stage.wait_for("gone", *others)
            wait_until(lambda: stage.count_calls("remove", stuck) >= 2, "another attempt")
            assert stage.status(stuck) in {"dead", "removing", "exited"}
        stage.wait_for("gone", stuck)


def test_fault_19_a_job_keeps_its_phase_when_its_removal_fails(stage: Stage) -> None:
    good, bad = stage.post("f19-good"), stage.post("f19-bad", "exit 3")
    with stage.control():
        stage.wait_for("exited", good, bad)
    waiting = stage.post("f19-waiting")
    phases = {
        "f19-good": ("Succeeded", None, 0),
        "f19-bad": ("Failed", "Error", 3),
        "f19-waiting": ("Failed", "Dead", None),
    }
    with ExitStack() as stuck:
        for job in (good, bad, waiting):
            stuck.enter_context(undeletable(stage, job, "checkpoints"))
            stage.raw.call("DELETE", f"containers/{job}")
        for name, expected in phases.items():
            seen = stage.api.get(f"/job/{name}").body
            assert (seen["phase"], seen["reason"], seen["exitCode"]) == expected, seen
            busy = stage.try_post(name)
            assert (busy.code, busy.body["error"]["reason"]) == (502, "NameBusy")
            assert "retry-after" in busy.headers
    for job in (good, bad, waiting):
        stage.raw.call("DELETE", f"containers/{job}")
    reasons = [stage.api.get(f"/job/{name}").body["error"]["reason"] for name in phases]
    assert reasons == ["JobCollected", "JobCollected", "JobLost"]
    assert [stage.try_post(name).code for name in phases] == [201, 201, 201]


def test_a_job_removed_right_after_its_201_is_lost_at_once(stage: Stage) -> None:
    stage.raw.call("DELETE", f"containers/{stage.post('lost-at-once')}")
    assert stage.api.get("/job/lost-at-once").body["error"]["reason"] == "JobLost"


@pytest.mark.thorough
def test_a_job_whose_image_was_pruned_is_found_by_its_document(stage: Stage) -> None:
    uid = stage.post("kept")
    stage.engine.docker("rmi", "--force", IMAGE)
    try:
        assert stage.try_post("other").body["error"]["reason"] == "ImageNotFound"
        for _ in range(2):
            again = stage.try_post("kept")
            assert (again.code, again.body["uid"]) == (200, uid)
            stage.api.terminate()
            stage.api.start()
    finally:
        stage.engine.load_image()


@pytest.mark.thorough
def test_a_removal_under_way_lets_no_job_look_succeeded_that_never_ran(stage: Stage) -> None:
    job = stage.post("slow-removal")
    with TarFile(mode="w", fileobj=(buffer := BytesIO())) as tar:
        for number in range(15_000):
            tar.addfile(TarInfo(f"many/{number}"))
    stage.engine.docker("cp", "-", f"{job}:/tmp", stdin=buffer.getvalue())
    phases = set()
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(stage.raw.call, "DELETE", f"containers/{job}", timeout=60, force="1")
        while not removal.done():
            seen = stage.api.get("/job/slow-removal")
            if seen.code == 200:
                phases.add((seen.body["phase"], seen.body["reason"]))
    assert phases
    assert phases <= {("Pending", "Queued"), ("Failed", "Dead")}


def test_fault_20_a_job_that_goes_between_list_and_inspect_stops_nothing(stage: Stage) -> None:
    jobs = [stage.post(f"f20-{number}") for number in range(3)]
    stage.proxy.delay(rf"^GET \S+/containers/{jobs[0]}/json", 0.5)
    with stage.control(keep=1) as controller:
        stage.wait_for("exited", jobs[0])
        stage.raw.call("DELETE", f"containers/{jobs[0]}")
        stage.wait_for("gone", *jobs)
        stage.wait_for_ticks()
        assert controller.is_running


def test_fault_21_a_new_job_that_took_the_name_of_an_old_one_is_not_removed(
    stage: Stage,
) -> None:
    old = stage.post("f21-job")
    stage.proxy.delay(rf"^DELETE .*{old}", 1.0)
    with stage.control(keep=0.5):
        wait_until(lambda: stage.count_calls("remove", old), "the removal under way")
        stage.raw.call("DELETE", f"containers/{old}")
        new = stage.post("f21-job", "sleep 300")
        stage.wait_for("running", new)
        stage.wait_for_ticks(3)
        assert stage.status(new) == "running"
        stage.raw.call("POST", f"containers/{new}/kill")
        stage.wait_for("gone", new)
    assert all(
        request.line.split("/containers/")[1][:64] in {old, new}
        for request in stage.proxy.requests
        if request.line.startswith("DELETE ") and old in request.line
    )
    assert stage.count_runs("f21-job") == 2


def test_fault_22_a_job_that_runs_again_has_a_past_end_and_is_kept(stage: Stage) -> None:
    job = stage.post("f22-job", "sleep 1")
    with stage.control(keep=3):
        stage.wait_for("exited", job)
        first_end = stage.state(job)["FinishedAt"]
        stage.raw.call("POST", f"containers/{job}/start")
        assert stage.state(job)["StartedAt"] > first_end
        stage.wait_for("exited", job)
        second_end = parse_time(stage.state(job)["FinishedAt"])
        assert second_end is not None
        stage.wait_for("gone", job)
        assert time.time_ns() - second_end >= 3 * SECOND


@pytest.mark.thorough
def test_fault_22_a_removal_that_was_decided_before_the_last_run_is_not_made(
    stage: Stage,
) -> None:
    # with a restart policy no event tells that it is over: its end is read at once
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    job = stage.post("f22-late", RestartPolicy=policy)
    look = rf"^GET \S+/containers/{job}/json"
    with stage.control(keep=5, call_timeout=30) as controller:
        stage.wait_for("exited", job)
        wait_until(lambda: "0 of unlimited slots" in controller.get("/plan").body, "a look at it")
        stage.proxy.block(look)
        wait_until(lambda: controller.events("removing"), "the decision to remove it")
        # Between the look before the removal and its answer the job runs once more.
        stage.raw.call("POST", f"containers/{job}/start")
        stage.wait_for("exited", job)
        stage.proxy.heal()
        wait_until(lambda: controller.events("removal not done"), "the removal given up")
        assert stage.status(job) == "exited"
        stage.wait_for("gone", job)
    assert stage.count_runs("f22-late") == 2


@pytest.mark.parametrize(
    "finished",
    ["0001-01-01T00:00:00Z", pytest.param("2999-01-01T00:00:00Z", marks=pytest.mark.thorough)],
)
def test_fault_23_a_zero_or_future_end_never_removes(stage: Stage, finished: str) -> None:
    job = stage.post("f23-job")
    with stage.control():
        stage.wait_for("exited", job)
    facts: dict[str, Any] = stage.raw.inspect(job) or {}
    facts["State"]["FinishedAt"] = finished
    look = rf"^GET \S+/containers/{job}/json"
    stage.proxy.answer(look, 200, json.dumps(facts))
    seen = stage.proxy.count(look)
    with stage.control(keep=0.2):
        wait_until(lambda: stage.proxy.count(look) > seen, "a look at its end")
        stage.wait_for_ticks(3)
        assert stage.status(job) == "exited"
        assert stage.count_calls("remove", job) == 0
    stage.proxy.heal()
    with stage.control(keep=0.2):
        stage.wait_for("gone", job)


def test_fault_24_anonymous_volumes_go_with_their_job_and_named_ones_stay(stage: Stage) -> None:
    mount = {"Type": "volume", "Source": "f24-named", "Target": "/named"}
    job = stage.record("f24-job", Volumes={"/anonymous": {}}, HostConfig={"Mounts": [mount]})
    volumes = stage.engine.docker("volume", "ls", "-q").stdout.split()
    assert len(volumes) == 2
    with stage.control(keep=0.2):
        stage.wait_for("gone", job)
    assert stage.engine.docker("volume", "ls", "-q").stdout.split() == ["f24-named"]
    stage.engine.docker("volume", "rm", "f24-named")


def test_a_pending_job_that_someone_else_removes_is_counted_logged_and_answered_as_lost(
    stage: Stage,
) -> None:
    with stage.control(limit=0) as controller:
        job = stage.post("lost-job")
        wait_until(lambda: "lost-job" in stage.read_plan(controller, "lost-job"), "a wait")
        wait_until(
            lambda: stage.api.get("/health/ready?verbose").body.get("backlog") == 1,
            "the API knowing of it",
        )
        stage.engine.docker("container", "prune", "--force")
        stage.wait_for("gone", job)
        event = "job lost: it was removed before it ran"
        wait_until(lambda: controller.events(event), "a line in the log")
        assert "dispatcher_jobs_lost_total 1.0" in str(controller.get("/metrics").body)
        wait_until(
            lambda: stage.api.get("/job/lost-job").body["error"]["reason"] == "JobLost",
            "the API's word for it",
        )
        assert stage.try_post("lost-job").code == 201
