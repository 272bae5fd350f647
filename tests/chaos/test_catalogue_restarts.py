"""Faults 25 to 31 of the catalogue: engines that end, freeze, garble, or change their version."""

import json

import pytest

from tests.chaos.stage import EVERYTHING, HOLD, Stage
from tests.support.private_engine import PrivateEngine, frozen
from tests.support.processes import ControllerProcess
from tests.support.waiting import wait_until

# The first run lasts until someone ends it, the second ends at once.
_LASTS_ONCE = "[ -e /notes/ran-$JOB ] && exit 0; touch /notes/ran-$JOB; sleep 300"
_ON_FAILURE = {"Name": "on-failure", "MaximumRetryCount": 2}


def assert_the_outage_is_told(stage: Stage, controller: ControllerProcess) -> None:
    """Both processes live and are not ready; a POST is told to come back."""
    wait_until(lambda: stage.api.get("/health/ready").code == 503, "the API not ready")
    wait_until(lambda: controller.get("/health/ready").code == 503, "the controller not ready")
    assert stage.api.get("/health/live").code == 204
    assert controller.get("/health/live").code == 204
    reply = stage.try_post("outage")
    assert (reply.code, "retry-after" in reply.headers) == (502, True), reply


def assert_work_goes_on(stage: Stage, controller: ControllerProcess, name: str) -> None:
    wait_until(lambda: stage.api.get("/health/ready").code == 204, "the API ready")
    wait_until(lambda: controller.get("/health/ready").code == 204, "the controller ready")
    stage.wait_for("exited", stage.post(name))
    assert stage.count_runs(name) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_fault_25_26_27_what_ran_is_stored_and_the_limit_holds_over_a_restart(
    stage: Stage, engine: PrivateEngine, how: str
) -> None:
    # fault 26: the boot sets RestartCount to 0, and nobody may conclude from that
    with stage.control(limit=2) as controller:
        once = stage.post(f"f25-once-{how}", "sleep 300")
        again = stage.post(f"f25-again-{how}", _LASTS_ONCE, RestartPolicy=_ON_FAILURE)
        stage.wait_for("running", once, again)
        waiting = [stage.post(f"f25-waiting-{how}-{number}", "sleep 0.2") for number in range(3)]
        getattr(engine, how)()
        assert_the_outage_is_told(stage, controller)
        # fault 27: after a kill it takes long, and nobody gives up
        engine.start()
        stage.wait_for("exited", once, again, *waiting)
        assert_work_goes_on(stage, controller, f"f27-after-{how}")
    assert stage.state(once)["ExitCode"] == 137
    assert stage.state(again)["ExitCode"] == 0
    assert stage.count_runs(f"f25-once-{how}") == 1
    assert stage.count_runs(f"f25-again-{how}") == 2
    assert [stage.count_runs(f"f25-waiting-{how}-{number}") for number in range(3)] == [1] * 3
    told = stage.api.get(f"/job/f25-once-{how}").body
    assert (told["phase"], told["exitCode"]) == ("Failed", 137)


@pytest.mark.engine
def test_fault_25_with_live_restore_jobs_outlive_their_engine_and_run_once() -> None:
    with (
        PrivateEngine({"live-restore": True}) as engine,
        Stage(engine) as stage,
        stage.control(limit=2) as controller,
    ):
        long = stage.post("f25-long", f"{HOLD}; sleep 3; note stop")
        short = stage.post("f25-short", f"{HOLD}; note stop")
        stage.wait_for("running", long, short)
        waiting = stage.post("f25-waiting")
        engine.kill()
        stage.release()
        wait_until(lambda: "stop f25-short" in (stage.folder / "notes/log").read_text(), "an end")
        engine.start()
        stage.wait_for("exited", long, short, waiting)
        assert_work_goes_on(stage, controller, "f25-after")
        assert stage.state(long)["ExitCode"] == 0
        for name in ("f25-long", "f25-short", "f25-waiting"):
            assert stage.count_runs(name) == 1


@pytest.mark.parametrize(
    "policy",
    [{"Name": "always"}, {"Name": "unless-stopped"}, {"Name": "on-failure"}],
    ids=lambda policy: policy["Name"],
)
def test_fault_28_policies_under_which_a_job_never_ends_are_refused(
    stage: Stage, policy: dict[str, str]
) -> None:
    reply = stage.try_post("f28-job", RestartPolicy=policy)
    assert reply.code == 403, reply
    assert "RestartPolicy" in reply.body["error"]["message"]
    assert stage.status("f28-job") == "gone"


def test_fault_29_a_frozen_engine_is_an_outage_like_any_other(
    stage: Stage, engine: PrivateEngine
) -> None:
    with stage.control() as controller:
        stage.wait_for("exited", stage.post("f29-before"))
        with frozen(engine.pid):
            assert_the_outage_is_told(stage, controller)
        assert_work_goes_on(stage, controller, "f29-after")
        assert stage.count_runs("f29-before") == 1


@pytest.mark.parametrize(
    "trouble", ["no socket", "refusal", "reset", "garbage", "truncation", "half-close"]
)
def test_fault_30_a_broken_way_to_the_engine_is_survived_and_left_behind(
    stage: Stage, trouble: str
) -> None:
    with stage.control() as controller:
        match trouble:
            case "no socket" | "refusal":
                stage.proxy.refuse(leave_socket=trouble == "refusal")
            case "reset":
                stage.proxy.reset(EVERYTHING)
                stage.proxy.sever()
            case "garbage":
                stage.proxy.answer(EVERYTHING, 200, '[{"Id": ')
            case "truncation":
                stage.proxy.truncate(EVERYTHING, 100)
            case _:
                stage.proxy.half_close(EVERYTHING)
        try:
            assert_the_outage_is_told(stage, controller)
        finally:
            stage.proxy.heal()
            if trouble in {"no socket", "refusal"}:
                stage.proxy.listen()
        assert_work_goes_on(stage, controller, f"f30-after-{trouble.replace(' ', '-')}")


def test_fault_31_an_engine_that_became_older_is_spoken_to_in_its_version(stage: Stage) -> None:
    version = {"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Version": "26.1"}
    _, facts = stage.raw.call("GET", "info")
    stage.proxy.answer(r"^GET \S*/version$", 200, json.dumps(version))
    stage.proxy.answer(r"^GET /v1.45/info$", 200, json.dumps(facts))
    stage.api.kill()
    stage.api.start()
    with stage.control() as controller:
        too_new = r"^GET /v1.45/containers"
        seen = stage.proxy.count(too_new)
        stage.api.get("/health/ready")
        wait_until(lambda: stage.proxy.count(too_new) > seen, "a call in the newer version")
        stage.proxy.heal()
        # the first one after the change already
        assert stage.try_post("f31-first").code == 201
        assert_work_goes_on(stage, controller, "f31-after")
