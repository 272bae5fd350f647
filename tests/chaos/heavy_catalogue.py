"""Cases of the catalogue that take long: hack/chaos --catalogue runs them, hack/test does not."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.v1.labels import NAMESPACE
from tests.chaos.stage import CALL_TIMEOUT, Stage
from tests.chaos.test_catalogue_events import catch_up, is_quiet
from tests.chaos.test_catalogue_restarts import assert_the_outage_is_told, assert_work_goes_on
from tests.support.private_engine import PrivateEngine, frozen
from tests.support.processes import Process
from tests.support.waiting import wait_until


@pytest.mark.timeout(300)
def test_fault_33_two_thousand_creates_behind_a_stopped_controller(stage: Stage) -> None:
    catch_up(stage, 2000)


@pytest.mark.timeout(300)
def test_fault_05_work_goes_on_soon_after_a_long_freeze_of_containerd(
    stage: Stage, engine: PrivateEngine
) -> None:
    with stage.watch("f05-long") as events, stage.control(limit=3) as controller:
        jobs = [stage.post(f"f05-long-{number}", "sleep 0.3") for number in range(20)]
        stage.wait_for("exited", jobs[0])
        with frozen(engine.containerd_pid):
            end = time.monotonic() + 4 * CALL_TIMEOUT
            while time.monotonic() < end:
                assert stage.api.get("/health/live").code == 204
                assert controller.get("/health/live").code == 204
                time.sleep(0.5)
        seen = len(events.starts)
        wait_until(lambda: len(events.starts) > seen, "a start after the freeze", patience=10)
        stage.wait_for("exited", *jobs, patience=60)
        events.wait_for_ends(20)
        assert sorted(events.starts) == sorted(f"f05-long-{number}" for number in range(20))


@pytest.mark.timeout(300)
def test_fault_27_an_engine_that_is_down_for_a_minute_is_waited_for(
    stage: Stage, engine: PrivateEngine
) -> None:
    with stage.control(limit=2) as controller:
        stage.wait_for("exited", stage.post("f27-before"))
        engine.stop()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert_the_outage_is_told(stage, controller)
            time.sleep(5)
        engine.start()
        assert_work_goes_on(stage, controller, "f27-after")


@pytest.mark.timeout(300)
def test_fault_38_hundreds_of_finished_jobs_cost_a_tick_one_list(stage: Stage) -> None:
    with stage.control():
        jobs = [stage.record(f"f38-many-{number}") for number in range(300)]
        stage.wait_for("exited", *jobs, patience=200)
    look = r"^GET \S+/containers/[0-9a-f]{64}/json"
    with stage.control(keep=10_000):
        stage.wait_for_ticks(3)
        wait_until(lambda: is_quiet(stage, look), "an end of looking at each", patience=60)
        seen = stage.proxy.count(look)
        stage.wait_for_ticks(5)
        assert stage.proxy.count(look) == seen


@pytest.mark.timeout(1800)
def test_a_burst_of_five_thousand_creates_by_another_client_is_started_in_its_order(
    stage: Stage,
) -> None:
    holders = [f"burst-holder-{number}" for number in range(8)]
    with stage.control(limit=len(holders), upkeep=10) as controller:
        held = [stage.record(name, Cmd=["sleep", "3600"]) for name in holders]
        stage.wait_for("running", *held)
        processes = (stage.api, controller)
        before, began = [count_lists(process) for process in processes], time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(stage.record, (f"burst-{number:04}" for number in range(5000))))
        seconds = time.monotonic() - began
        lists = [count_lists(one) - count for one, count in zip(processes, before, strict=True)]
        assert max(lists) <= seconds, (lists, seconds)
        wait_until(lambda: "burst-" in str(controller.get("/plan").body), "a plan of the burst")
        # the creations of the last second are put in order within two more
        last = count_lists(controller)
        wait_until(lambda: count_lists(controller) > last, "a list after the burst", patience=60)
        for uid in held:
            stage.raw.call("POST", f"containers/{uid}/kill", timeout=60)
        wait_until(
            lambda: add_up(controller, 'starts_total{result="done"}') == 5000 + len(held),
            "all started",
            patience=1200,
        )
        rows = stage.raw.list_labelled(f"{NAMESPACE}={stage.namespace}", timeout=60)
        created = [row["Names"][0].strip("/") for row in reversed(rows)]
        assert [event["job"] for event in controller.events("starting")] == created


def count_lists(process: Process) -> int:
    """Return how many lists a process of ours has asked the engine for."""
    return add_up(process, 'engine_calls_total{call="list",')


def add_up(process: Process, beginning: str) -> int:
    """Return the sum of the samples whose names and labels begin so."""
    samples = re.findall(
        rf"^dispatcher_{re.escape(beginning)}\S* (\S+)$",
        str(process.get("/metrics").body),
        re.MULTILINE,
    )
    return sum(int(float(sample)) for sample in samples)
