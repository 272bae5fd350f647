"""Faults 1 to 10 of the catalogue: starts that fail, hang, or of which nobody knows the end."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from tests.chaos.stage import CALL_TIMEOUT, HOLD, START, Stage
from tests.support.engine_versions import Differs, has_containerd_store
from tests.support.private_engine import PrivateEngine, frozen
from tests.support.shims import find_shims
from tests.support.waiting import wait_until

_NEVER = "0001-01-01T00:00:00Z"


def list_attempts(stage: Stage, container_id: str) -> list[float]:
    return [r.time for r in list(stage.proxy.requests) if f"{container_id}/start" in r.line]


def list_starts(stage: Stage) -> list[str]:
    return [r.line for r in list(stage.proxy.requests) if "/start" in r.line]


def test_fault_01_refused_starts_are_retried_with_growing_pauses_and_delay_nobody(
    stage: Stage,
) -> None:
    bad = [
        stage.post("f01-missing", command=["/nope"]),
        stage.post("f01-folder", command=["/tmp"]),
        stage.record("f01-nul", Env=["A=a\0b"]),
    ]
    with stage.control(limit=1):
        good = stage.post("f01-good")
        stage.wait_for("exited", good)
        wait_until(lambda: len(list_attempts(stage, bad[0])) >= 3, "a third attempt")
        for container_id in bad:
            state = stage.state(container_id)
            assert (state["Status"], state["StartedAt"]) == ("created", _NEVER)
            assert state["Error"]
        gaps = [later - earlier for earlier, later in pairwise(list_attempts(stage, bad[0]))]
        # a second, then two; a load makes both longer, and neither shorter
        assert gaps[0] > 0.9
        assert gaps[1] > 1.9
        told = stage.api.get("/job/f01-missing").body
        assert (told["phase"], told["reason"]) == ("Pending", "StartError")
        assert "/nope" in told["message"]
    assert stage.count_runs("f01-good") == 1


@pytest.mark.thorough
@pytest.mark.parametrize("limit", [1, pytest.param(None, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    "body",
    [{"Cmd": ["/nope"]}, pytest.param({"User": "nobody-is-that"}, marks=pytest.mark.thorough)],
)
def test_fault_01_three_hundred_that_cannot_start_delay_no_sound_job(
    stage: Stage, body: dict[str, Any], limit: int | None
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stage.record(f"f01-{number}", **body), range(300)))
    # a start takes 0.27 s, a failing one as well: seven of them are two seconds, one by one;
    # without a limit eight are sent at once, and eight more if the engine takes 3 s for them
    most = 7 if limit else 16 + 7
    behind = stage.record("f01-behind")
    before = stage.proxy.count(START)
    # a start without an answer in time, as beside a load, is no failure of its job
    with stage.control(limit=limit, call_timeout=60) as controller:
        stage.wait_for("exited", behind)
        assert [behind in line for line in list_starts(stage)[before:]].index(True) <= most
        told = "have failed: it is tried between others"
        wait_until(lambda: told in str(controller.get("/plan").body), "the plan explains it")
        # to make it may take an engine that is busy with starts longer than these do
        controller.signal(signal.SIGSTOP)
        later = stage.record("f01-later")
        before = stage.proxy.count(START)
        controller.signal(signal.SIGCONT)
        stage.wait_for("exited", later)
        # some of them while its event was on its way
        assert [later in line for line in list_starts(stage)[before:]].index(True) <= 2 * most


def test_a_command_that_no_kernel_can_execute_fails_with_what_that_usually_is(
    stage: Stage, differs: Differs
) -> None:
    script = stage.folder / "notes/no-interpreter"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    with stage.control():
        job = stage.post("unreadable-script", command=["/notes/no-interpreter"])
        stage.wait_for("exited", job)
    seen = stage.api.get("/job/unreadable-script").body
    assert (seen["phase"], seen["reason"]) == ("Failed", "Error")
    if differs(28, "a command that no kernel can execute exits 255, and no longer 1"):
        assert (seen["exitCode"], "exec format error" in seen["message"]) == (255, True)
    else:
        # as any program that exits 1: nothing tells it from them
        assert (seen["exitCode"], seen["message"]) == (1, "exited 1")


def test_fault_02_a_vanished_bind_source_looks_pristine_and_is_still_backed_off(
    stage: Stage,
) -> None:
    source = stage.folder / "f02"
    source.mkdir()
    mount = {"Type": "bind", "Source": str(source), "Target": "/source"}
    waiting = stage.post("f02-waiting", Mounts=[mount])
    source.rmdir()
    with stage.control(limit=1) as controller:
        good = stage.post("f02-good")
        stage.wait_for("exited", good)
        wait_until(lambda: len(list_attempts(stage, waiting)) >= 2, "a second attempt")
        assert stage.state(waiting)["Error"] == ""
        assert stage.status(waiting) == "created"
        wait_until(lambda: "StartError" in stage.read_plan(controller, "f02-waiting"), "a reason")
        source.mkdir()
        stage.wait_for("exited", waiting)
    assert stage.count_runs("f02-waiting") == 1


def test_fault_03_a_404_on_start_does_not_mean_that_the_job_is_gone(stage: Stage) -> None:
    waiting = stage.post("f03-waiting", NetworkMode="f03-network")
    with stage.control(limit=1) as controller:
        good = stage.post("f03-good")
        stage.wait_for("exited", good)
        wait_until(lambda: len(list_attempts(stage, waiting)) >= 2, "a second attempt")
        assert stage.status(waiting) == "created"
        wait_until(lambda: "StartError" in stage.read_plan(controller, "f03-waiting"), "a reason")
        assert controller.events("job lost: it was removed before it ran") == []
        assert stage.api.get("/job/f03-waiting").code == 200
        stage.engine.docker("network", "create", "f03-network")
        stage.wait_for("exited", waiting)
    stage.engine.docker("rm", waiting)
    stage.engine.docker("network", "rm", "f03-network")


def test_fault_04_auto_remove_is_refused_and_nothing_is_created(stage: Stage) -> None:
    reply = stage.try_post("f04-vanishing", AutoRemove=True)
    assert reply.code == 403, reply
    assert "AutoRemove" in reply.body["error"]["message"]
    assert stage.status("f04-vanishing") == "gone"


def test_fault_05_a_frozen_containerd_blocks_one_start_and_no_answer(
    stage: Stage, engine: PrivateEngine
) -> None:
    with stage.control(limit=2) as controller:
        stage.wait_for("exited", stage.post("f05-first"))
        if has_containerd_store():
            # creates and lists wait for containerd too: the engine is out of service
            with frozen(engine.containerd_pid):
                reply = stage.try_post("f05-wedged")
                assert (reply.code, "retry-after" in reply.headers) == (502, True), reply
                assert controller.get("/health/live").code == 204
            wait_until(lambda: stage.try_post("f05-wedged").code in {200, 201}, "a record")
            stage.wait_for("exited", "f05-wedged")
            assert stage.count_runs("f05-wedged") == 1
            return
        with frozen(engine.containerd_pid):
            wedged = stage.post("f05-wedged")
            wait_until(lambda: stage.proxy.count(f"{wedged}/start"), "a start that hangs")
            # creates, other reads and the processes themselves go on
            later = stage.post("f05-later")
            assert stage.api.get("/job/f05-first").body["phase"] == "Succeeded"
            told = stage.api.get("/job/f05-wedged").body
            assert told["phase"] in {"Unknown", "Pending"}
            assert controller.get("/health/live").code == 204
        stage.wait_for("exited", wedged, later)
    assert [stage.count_runs(name) for name in ("f05-wedged", "f05-later")] == [1, 1]


def test_fault_05_a_wedged_container_delays_no_other_job(
    stage: Stage, engine: PrivateEngine
) -> None:
    with stage.control(limit=2):
        wedged = stage.post("f05-shim", HOLD)
        stage.wait_for("running", wedged)
        with frozen(find_shims(engine)[wedged]):
            stage.release()
            others = [stage.post(f"f05-other-{number}") for number in range(4)]
            stage.wait_for("exited", *others, patience=CALL_TIMEOUT * 4)
        stage.wait_for("exited", wedged)


@pytest.mark.thorough
def test_fault_06_an_ambiguous_start_that_took_effect_is_not_sent_again(stage: Stage) -> None:
    stage.proxy.cut(START, times=1)
    stage.proxy.lose_reply(START, times=1)
    with stage.control(limit=2):
        jobs = [stage.post(f"f06-{number}") for number in range(2)]
        stage.wait_for("exited", *jobs)
        stage.wait_for_ticks(3)
        last = stage.post("f06-last")
        stage.wait_for("exited", last)
    assert [stage.count_runs(f"f06-{number}") for number in range(2)] == [1, 1]
    assert [stage.count_calls("start", job) for job in jobs] == [1, 1]


def test_fault_06_an_ambiguous_start_that_did_not_arrive_is_sent_again(stage: Stage) -> None:
    stage.proxy.reset(START, times=1)
    stage.proxy.half_close(START, times=1)
    with stage.control(limit=2):
        jobs = [stage.post(f"f06-again-{number}") for number in range(2)]
        stage.wait_for("exited", *jobs)
    assert [stage.count_runs(f"f06-again-{number}") for number in range(2)] == [1, 1]


def test_fault_06_an_exited_job_is_never_started_from_an_older_list(stage: Stage) -> None:
    with stage.control(limit=1, call_timeout=30) as controller:
        before = stage.post("f06-before", HOLD)
        stage.wait_for("running", before)
        job = stage.post("f06-stale")
        wait_until(lambda: "no free slot" in stage.read_plan(controller, "f06-stale"), "a queue")
        stage.proxy.block(rf"^GET \S+/containers/{job}/json")
        stage.release()
        wait_until(
            lambda: [e for e in controller.events("starting") if e["id"] == job],
            "the decision to start it",
        )
        # Between that look and its answer the job runs by another hand.
        stage.raw.call("POST", f"containers/{job}/start")
        stage.wait_for("exited", job)
        stage.proxy.heal()
        stage.wait_for("exited", stage.post("f06-after"))
    assert stage.count_runs("f06-stale") == 1
    assert stage.count_calls("start", job) == 0


def test_fault_07_starts_at_the_same_time_by_others_are_one_run_and_no_failure(
    stage: Stage,
) -> None:
    jobs = [stage.post(f"f07-{number}", "sleep 2") for number in range(3)]
    stage.proxy.delay(START, 0.2)

    def start_all() -> None:
        for job in jobs:
            stage.raw.call("POST", f"containers/{job}/start", timeout=20)

    with stage.control() as controller:
        wait_until(lambda: stage.proxy.count(START), "a start")
        rivals = [threading.Thread(target=start_all) for _ in range(3)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        stage.wait_for("exited", *jobs)
        undone = [e["result"] for e in controller.events("start not done")]
        assert set(undone) <= {"changed"}  # another one was first: nothing failed
    assert [stage.count_runs(f"f07-{number}") for number in range(3)] == [1, 1, 1]


def test_fault_08_a_job_that_runs_again_when_it_should_be_removed_is_left_alone(
    stage: Stage,
) -> None:
    job = stage.post("f08-again", "[ -e /notes/f08 ] && sleep 300; touch /notes/f08")
    with stage.control(keep=0.2):
        stage.proxy.delay(rf"^DELETE .*{job}", 2.0, times=1)
        wait_until(lambda: stage.count_calls("remove", job), "the removal under way")
        stage.raw.call("POST", f"containers/{job}/start")
        assert stage.status(job) == "running"
        began = stage.state(job)["StartedAt"]
        stage.wait_for_ticks(3)
        assert stage.state(job)["StartedAt"] == began
        stage.raw.call("POST", f"containers/{job}/kill")
        stage.wait_for("gone", job)
    assert stage.count_runs("f08-again") == 2


def test_fault_09_a_paused_job_holds_its_slot(stage: Stage) -> None:
    with stage.control(limit=1):
        paused = stage.post("f09-paused", HOLD)
        stage.wait_for("running", paused)
        stage.raw.call("POST", f"containers/{paused}/pause")
        waiting = stage.post("f09-waiting")
        stage.wait_for_ticks(4)
        assert (stage.status(paused), stage.status(waiting)) == ("paused", "created")
        assert stage.api.get("/job/f09-paused").body["reason"] == "Paused"
        stage.raw.call("POST", f"containers/{paused}/unpause")
        stage.release()
        stage.wait_for("exited", paused, waiting)


def test_fault_10_a_job_out_of_memory_is_told_apart(stage: Stage) -> None:
    """An engine may not hear of it (containerd#8893): then nothing but the exit code is known."""
    with stage.control():
        for name in (f"f10-hungry-{number}" for number in range(5)):
            job = stage.post(name, "tail /dev/zero", Memory=8 << 20)
            stage.wait_for("exited", job)
            if stage.state(job)["OOMKilled"]:
                break
    told: dict[str, Any] = stage.api.get(f"/job/{name}").body
    assert (told["phase"], told["reason"], told["exitCode"]) == ("Failed", "OOMKilled", 137)


@pytest.mark.thorough
def test_fault_10_a_child_out_of_memory_fails_no_job_that_exits_0(stage: Stage) -> None:
    with stage.control():
        job = stage.post("f10-child", "tail /dev/zero; exit 0", Memory=8 << 20)
        stage.wait_for("exited", job)
        told = stage.api.get("/job/f10-child").body
        assert (told["phase"], told["reason"], told["exitCode"]) == ("Succeeded", None, 0)
    stage.api.kill()
    stage.api.start()
    with stage.control():
        stage.wait_for_ticks()
        again = stage.api.get("/job/f10-child").body
        assert again | {"status": told["status"]} == told  # its text ages
