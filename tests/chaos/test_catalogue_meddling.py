"""What people, updaters, images and stale lists do to jobs: noticed, counted, and nobody's loss."""

import json
from typing import Any

import pytest

from tests.chaos.stage import HOLD, LIST, START, Stage
from tests.support.engine_versions import Differs
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.waiting import wait_until

_FOREIGN = "dispatcher_foreign_starts_total"


@pytest.mark.thorough
def test_a_stopped_job_that_a_restarted_engine_runs_again_is_noticed(
    stage: Stage, engine: PrivateEngine
) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    with stage.control(limit=1) as controller:
        job = stage.post("stopped", "sleep 300", RestartPolicy=policy)
        stage.wait_for("running", job)
        stage.engine.docker("stop", "--time", "0", job)
        stage.wait_for("exited", job)
        wait_until(lambda: "0 of 1 slots used" in controller.get("/plan").body, "a free slot")
        engine.stop()
        engine.start()
        stage.wait_for("running", job)
        event = "job started again by someone else"
        wait_until(lambda: [e["job"] for e in controller.events(event)] == ["stopped"], "a line")
        assert f"{_FOREIGN} 1.0" in controller.get("/metrics").body
        wait_until(lambda: "1 of 1 slots used" in controller.get("/plan").body, "a slot taken")


def test_a_copy_of_a_job_as_an_updater_makes_it_is_noticed_and_holds_a_slot(stage: Stage) -> None:
    with stage.control(limit=2) as controller:
        job = stage.post("original-job", "sleep 300")
        stage.wait_for("running", job)
        facts: dict[str, Any] = stage.raw.inspect(job) or {}
        copy = stage.make("copy-of-it", facts["Config"] | {"HostConfig": facts["HostConfig"]})
        stage.raw.call("POST", f"containers/{copy}/start")
        wait_until(lambda: "2 of 2 slots used" in controller.get("/plan").body, "its slot")
        stage.raw.call("POST", f"containers/{copy}/kill")
        wait_until(lambda: "1 of 2 slots used" in controller.get("/plan").body, "a free slot")
        assert stage.api.get("/job/original-job").body["uid"] == job


def test_a_renamed_job_keeps_its_slot_is_found_and_collected(stage: Stage) -> None:
    with stage.control(limit=1, keep=0.5) as controller:
        # newer engines rename none whose network is gone, and private ones have no bridge
        job = stage.post("renamed-job", HOLD, NetworkMode="none")
        stage.wait_for("running", job)
        stage.engine.docker("rename", "renamed-job", "other-name")
        seen = stage.api.get("/job/renamed-job")
        assert (seen.code, seen.body["uid"], seen.body["phase"]) == (200, job, "Running")
        assert "1 of 1 slots used" in controller.get("/plan").body
        again = stage.try_post("renamed-job", HOLD, NetworkMode="none")
        assert again.body["uid"] == job
        stage.release()
        stage.wait_for("gone", job)


@pytest.mark.thorough
def test_an_image_that_claims_to_be_a_job_has_no_container_touched(stage: Stage) -> None:
    first = stage.post("claimed")
    with stage.control():
        stage.wait_for("exited", first)
    stage.engine.docker("commit", first, "claimed:1")
    stage.raw.call("DELETE", f"containers/{first}")
    try:
        person = stage.engine.docker("create", "--name", "claimed", "claimed:1", "true")
        by_person = person.stdout.strip()
        with stage.control(keep=0.2) as controller:
            stage.wait_for("gone", stage.post("sign-of-life"))
            assert stage.api.get("/job/claimed").code == 404
            assert stage.try_post("claimed").body["error"]["reason"] == "NameTaken"
            assert stage.count_calls("start", by_person) == 0
            stage.raw.call("POST", f"containers/{by_person}/start")
            stage.wait_for("exited", by_person)
            stage.wait_for_ticks(3)
            assert stage.count_calls("remove", by_person) == 0
            assert "claimed" not in controller.get("/plan").body
    finally:
        stage.engine.docker("rm", "--force", "claimed")


@pytest.mark.thorough
def test_a_job_of_an_image_that_was_committed_from_the_same_job_is_a_job(stage: Stage) -> None:
    first = stage.post("again")
    with stage.control():
        stage.wait_for("exited", first)
    # by now the filter's image is that of the job before, labels and all
    stage.engine.docker("commit", first, IMAGE)
    stage.raw.call("DELETE", f"containers/{first}")
    try:
        job = stage.post("again")
        assert stage.api.get("/job/again").body["uid"] == job
        assert stage.try_post("again").code == 200
        with stage.control(keep=0.2):
            stage.wait_for("gone", job)
        assert stage.count_runs("again") == 2
    finally:
        stage.engine.load_image()


@pytest.mark.thorough
def test_a_job_that_lists_show_running_for_good_holds_no_slot_after_a_takeover(
    stage: Stage,
) -> None:
    ended = stage.post("ended-on-a-full-disk")
    with stage.control():
        stage.wait_for("exited", ended)
    waiting = stage.post("waiting")
    rows = stage.raw.list_labelled(f"docker-job-dispatcher.namespace={stage.namespace}")
    for row in rows:
        if row["Id"] == ended:
            row |= {"State": "running", "Status": "Up 3 hours"}
    stage.proxy.answer(LIST, 200, json.dumps(rows))
    with stage.control(limit=1):
        wait_until(lambda: stage.proxy.count(START), "a start in the slot that is free")
        stage.wait_for("exited", waiting)


def test_labels_that_overwrite_what_events_tell_stop_nobody(stage: Stage) -> None:
    labels = {"exitCode": "\u00b2", "execID": "\u00b2", "signal": "\u00b2"}
    with stage.control(limit=1) as controller:
        odd = stage.record("odd", Labels=labels)
        stage.wait_for("exited", odd)
        stage.wait_for("exited", stage.post("even"))
        assert controller.events("event skipped: it cannot be read") == []


def test_a_network_that_is_made_anew_may_keep_its_waiting_jobs_on_the_old_id(
    stage: Stage, differs: Differs
) -> None:
    old = stage.engine.docker("network", "create", "anew").stdout.strip()
    untried = stage.post("untried", NetworkMode="anew")
    tried = stage.post("tried", command=["/notes/command"], NetworkMode="anew")
    stage.raw.call("POST", f"containers/{tried}/start")
    stage.engine.docker("network", "rm", "anew")
    stage.engine.docker("network", "create", "anew")
    command = stage.folder / "notes/command"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    try:
        with stage.control(limit=1):
            stage.wait_for("exited", untried)
            if differs(28, "a start looks for a network that is named by its name once more"):
                stage.wait_for("exited", tried)
            else:
                wait_until(lambda: old in stage.api.get("/job/tried").body["message"], "its id")
    finally:
        stage.clear()
        stage.engine.docker("network", "rm", "anew")


def test_a_job_that_is_cut_short_and_exits_0_has_succeeded(stage: Stage) -> None:
    with stage.control():
        job = stage.post("cut-short", "trap 'exit 0' TERM; echo ready; sleep 300 & wait")
        # it runs before its shell has come to the trap
        wait_until(lambda: stage.engine.docker("logs", job).stdout == "ready\n", "its trap")
        stage.engine.docker("stop", "--time", "20", job)
        stage.wait_for("exited", job)
        wait_until(
            lambda: stage.api.get("/job/cut-short").body["phase"] == "Succeeded", "its phase"
        )


def test_a_job_that_waits_for_its_input_is_seen_to_hold_its_slot(stage: Stage) -> None:
    with stage.control(limit=1) as controller:
        job = stage.record("waits-for-input", Cmd=["cat"], OpenStdin=True)
        stage.wait_for("running", job)
        line = "hold   job/waits-for-input  running, started "
        wait_until(lambda: line in str(controller.get("/plan").body), "its line")
        metric = "dispatcher_longest_running_seconds "
        wait_until(lambda: f"{metric}0.0\n" not in str(controller.get("/metrics").body), "its time")
        stage.raw.call("POST", f"containers/{job}/kill")
        wait_until(lambda: f"{metric}0.0\n" in str(controller.get("/metrics").body), "its end")
