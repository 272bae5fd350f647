"""Both real processes on a real engine: jobs are recorded, run once, in order, and collected."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.event_log import EventLog
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, ProcessFailedError
from tests.support.waiting import wait_until

# Newer engines rename no container whose network is gone, and a private engine has no bridge.
JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: .cmd, HostConfig: {NetworkMode: "none"}}'
HALF_A_SECOND = ["sleep", "0.5"]


@pytest.fixture
def api(private_engine: PrivateEngine, namespace: str) -> Iterator[ApiProcess]:
    with ApiProcess(private_engine.host, namespace, JOB) as process:
        yield process


@contextmanager
def control(
    engine: PrivateEngine, namespace: str, tmp_path: Path, *options: str
) -> Iterator[ControllerProcess]:
    with ControllerProcess(engine.host, namespace, "--lock-dir", str(tmp_path), *options) as it:
        yield it


def post(api: ApiProcess, name: str, cmd: list[str]) -> None:
    reply = api.post({"name": name, "cmd": cmd})
    assert reply.code == 201, reply


def name_jobs(namespace: str, count: int, word: str = "job") -> list[str]:
    return [f"{namespace}-{word}{number:02}" for number in range(count)]


def of(namespace: str, status: str) -> tuple[str, str]:
    return (f"label=docker-job-dispatcher.namespace={namespace}", f"status={status}")


def test_twenty_jobs_run_in_order_two_at_a_time_and_are_collected(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess, tmp_path: Path
) -> None:
    names = name_jobs(namespace, 20)
    options = ("-m", "2", "-k", "2", "-u", "1")
    with (
        EventLog(private_engine, namespace) as events,
        control(private_engine, namespace, tmp_path, *options),
    ):
        for name in names:
            post(api, name, HALF_A_SECOND)
        wait_until(lambda: len(events.read("destroy")) == 20, "all jobs collected", patience=90)
        assert events.count_most_running() == 2
        started = [event.name for event in events.read("start")]
        # two slots were free when the first two came, and either may have been read first
        assert [*sorted(started[:2]), *started[2:]] == names
        assert {event.exit_code for event in events.read("die")} == {"0"}
        ends = {event.name: event.time for event in events.read("die")}
        for event in events.read("destroy"):
            # FinishedAt counts; the die event comes 20 ms later, or hundreds beside a load
            assert event.time - ends[event.name] > 1e9
        assert all(api.get(f"/job/{name}").code == 404 for name in names)


def test_nothing_runs_without_a_controller_and_everything_once_it_comes(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess, tmp_path: Path
) -> None:
    names = name_jobs(namespace, 20)
    with EventLog(private_engine, namespace) as events:
        for name in names:
            post(api, name, ["true"])
        phase = api.get(f"/job/{names[0]}").body
        assert (phase["phase"], phase["reason"]) == ("Pending", "Queued")
        assert sorted(private_engine.names(*of(namespace, "created"))) == names
        assert events.read("start") == []
        with control(private_engine, namespace, tmp_path):
            wait_until(lambda: len(events.read("die")) == 20, "all jobs ran")
        assert sorted(event.name for event in events.read("start")) == names


def test_kills_of_either_process_lose_no_job_and_run_none_twice(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess, tmp_path: Path
) -> None:
    chance = random.Random(1)
    names = name_jobs(namespace, 24)
    with (
        EventLog(private_engine, namespace) as events,
        control(private_engine, namespace, tmp_path, "-m", "3", "-u", "1") as controller,
    ):
        for number, name in enumerate(names):
            if number % 6 == 3:
                controller.kill()
                time.sleep(chance.random() * 0.2)
                controller.start(wait=False)
            if number % 6 == 5:
                api.kill()
                api.start()
            while True:
                # A client whose connection breaks sends its document again.
                try:
                    reply = api.post({"name": name, "cmd": ["sleep", "0.1"]})
                except OSError:
                    continue
                assert reply.code in {200, 201}, reply
                break
        wait_until(lambda: len(events.read("die")) == 24, "all ran")
        assert sorted(event.name for event in events.read("start")) == names
        assert events.count_most_running() <= 3


def test_jobs_that_cannot_start_delay_none_that_can(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess, tmp_path: Path
) -> None:
    bad, good = name_jobs(namespace, 3, "bad"), name_jobs(namespace, 6, "good")
    for name in bad:
        post(api, name, ["/no/such/command"])
    for name in good:
        post(api, name, ["true"])
    with control(private_engine, namespace, tmp_path, "-m", "2", "-u", "0.2") as controller:
        wait_until(
            lambda: sorted(private_engine.names(*of(namespace, "exited"))) == good, "healthy jobs"
        )
        time.sleep(10 * 0.2)
        assert controller.is_running
        plan = controller.get("/plan").body
        for name in bad:
            seen = api.get(f"/job/{name}").body
            assert (seen["phase"], seen["reason"]) == ("Pending", "StartError")
            assert "/no/such/command" in seen["message"]
            assert f"job/{name}" in plan
        assert "StartError" in plan


def test_containers_of_the_original_are_picked_up_oldest_first(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    names = name_jobs(namespace, 6)
    for name in names:
        label = f"docker-job-dispatcher.namespace={namespace}"
        private_engine.docker("create", "--name", name, "--label", label, IMAGE, "true")
    with (
        EventLog(private_engine, namespace) as events,
        control(private_engine, namespace, tmp_path, "-m", "1"),
    ):
        wait_until(lambda: len(events.read("die")) == 6, "all jobs ran")
        assert [event.name for event in events.read("start")] == names


def test_renamed_jobs_stay_the_jobs_they_are(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess, tmp_path: Path
) -> None:
    running, waiting, finished = name_jobs(namespace, 3)
    options = ("-m", "1", "-k", "10", "-u", "0.5")
    with (
        EventLog(private_engine, namespace) as events,
        control(private_engine, namespace, tmp_path, *options) as controller,
    ):
        post(api, finished, ["true"])
        wait_until(lambda: shows(api, finished, "Succeeded"), "the first job ended")
        post(api, running, ["sleep", "300"])
        post(api, waiting, ["true"])
        wait_until(lambda: shows(api, running, "Running"), "the second job runs")
        uids = {name: api.get(f"/job/{name}").body["uid"] for name in (running, waiting, finished)}
        for name in uids:
            private_engine.docker("rename", name, f"{name}-renamed")
        for name, phase in (
            (running, "Running"),
            (waiting, "Pending"),
            (finished, "Succeeded"),
        ):
            seen = api.get(f"/job/{name}").body
            assert (seen["id"], seen["uid"], seen["phase"]) == (name, uids[name], phase)
            assert api.get(f"/job/{name}-renamed").code == 404
        again = api.post({"name": waiting, "cmd": ["true"]})
        assert (again.code, again.body["uid"]) == (200, uids[waiting])
        assert again.body["sameDocument"] is True
        time.sleep(1.5)  # the slot is kept although its holder has another name
        assert events.read("start")[-1].id == uids[running]
        assert shows(api, waiting, "Pending")
        private_engine.docker("kill", f"{running}-renamed")
        wait_until(lambda: shows(api, waiting, "Succeeded"), "the renamed job ran in its turn")
        wait_until(lambda: len(events.read("destroy")) == 3, "all jobs collected")
        assert sorted(event.id for event in events.read("start")) == sorted(uids.values())
        assert events.count_most_running() == 1
        for process in (api, controller):
            assert "dispatcher_jobs_lost_total 0.0" in str(process.get("/metrics").body)
            assert process.events("job lost: it was removed before it ran") == []
            assert process.events("job started by someone else") == []


def shows(api: ApiProcess, name: str, phase: str) -> bool:
    reply = api.get(f"/job/{name}")
    return reply.code == 200 and reply.body["phase"] == phase


def test_the_controller_reads_every_option_from_its_variable(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    label = f"docker-job-dispatcher.namespace={namespace}"
    names = name_jobs(namespace, 3)
    for name in names:
        private_engine.docker("create", "--name", name, "--label", label, IMAGE, "sleep", "0.1")
    env = {
        "MAX_CONCURRENT": "1",
        "KEEP_EXITED_FOR": "0",
        "UPKEEP_INTERVAL": "0.5",
        "LOCK_DIR": str(tmp_path / "locks"),
        "LOG_LEVEL": "DEBUG",
        "ENGINE_TIMEOUT": "5",
    }
    with (
        EventLog(private_engine, namespace) as events,
        ControllerProcess(private_engine.host, namespace, env=env) as controller,
    ):
        wait_until(lambda: len(events.read("destroy")) == 3, "all jobs collected")
        assert events.count_most_running() == 1
        assert next(iter(controller.events("plan")))["level"] == "debug"
        assert len(list((tmp_path / "locks").iterdir())) == 1


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("MAX_CONCURRENT", "-1", "x>=0"),
        ("MAX_CONCURRENT", "many", "whole number from 0 up"),
        ("KEEP_EXITED_FOR", "soon", "number of seconds from 0"),
        ("UPKEEP_INTERVAL", "0", "0.05<=x"),
        ("HEALTH_PORT", "70000", "0<=x<=65535"),
        ("TRANSPORT", "pigeon", "'http'"),
        ("LOG_LEVEL", "loud", "error, warn, info, debug, trace"),
        ("NAMESPACE", "a\nb", "printable"),
        ("LOCK_DIR", "/dev/null", "--lock-dir"),
    ],
)
def test_a_wrong_value_names_the_option_and_what_it_accepts(
    variable: str, value: str, accepted: str
) -> None:
    process = Unchecked("unix:///nowhere", "default", env={variable: value})
    try:
        process.start(wait=False)
        assert process.wait() == 2
        option = "--" + variable.lower().replace("_", "-")
        assert option in process.log()
        assert accepted in process.log()
    finally:
        process.close()


class Unchecked(ControllerProcess):
    """A controller that may be given any option through its environment."""

    def __init__(self, docker_host: str, namespace: str, *, env: dict[str, str]) -> None:
        super().__init__(docker_host, namespace, env=env)
        # on the command line they would win over the variable
        self._shared = ()
        self._env = {"NAMESPACE": namespace} | self._env
        if "HEALTH_PORT" in env:
            self._port_option = "-u"


def test_a_port_in_use_is_no_reason_to_end(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    with control(private_engine, namespace, tmp_path) as first:
        second = ControllerProcess(private_engine.host, namespace, "--lock-dir", str(tmp_path))
        second.port = first.port
        try:
            second.start(wait=False)
            wait_until(
                lambda: second.events("standing by"),
                "standby",
            )
            assert second.events("health port cannot be had yet")
            first.kill()
            wait_until(lambda: second.events("active"), "take-over")
            second.wait_until_live()
        finally:
            second.close()


def test_an_engine_that_is_not_there_is_waited_for(namespace: str, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/no.sock"
    with ControllerProcess(host, namespace, "--lock-dir", str(tmp_path)) as controller:
        assert controller.get("/health/live").code == 204
        assert controller.get("/health/ready").code == 503
        wait_until(
            lambda: "no.sock" in controller.get("/health/ready?verbose").body["engine"]["error"],
            "the reason in readiness",
        )
        assert controller.terminate() == 0
        with pytest.raises(ProcessFailedError):
            controller.wait_until_live()
