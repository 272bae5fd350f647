"""Both processes on a swarm of one node: a job from its POST to its removal, and who leads."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest

from tests.support.event_log import EventLog
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, Reply, call
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: .cmd} + (.more // {})'
SWARM = ("--engine", "swarm")


@pytest.fixture
def api(private_manager: PrivateEngine, namespace: str) -> Iterator[ApiProcess]:
    with ApiProcess(private_manager.host, namespace, JOB, *SWARM) as process:
        yield process


@pytest.fixture
def control(
    private_manager: PrivateEngine, namespace: str
) -> Callable[..., AbstractContextManager[ControllerProcess]]:
    return partial(ControllerProcess, private_manager.host, namespace, *SWARM, "-u", "0.5")


def post(api: ApiProcess, name: str, *cmd: str, query: str = "", **more: Any) -> Reply:
    return api.post({"name": name, "cmd": cmd, "more": more}, f"/job{query}")


def show(api: ApiProcess, name: str, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = api.get(f"/job/{name}{query}").body
    return body


def read_role(controller: ControllerProcess) -> str:
    role: str = controller.get("/plan?format=json").body["role"]
    return role


def list_services(manager: PrivateEngine, namespace: str) -> list[str]:
    label = f"label=docker-job-dispatcher.namespace={namespace}"
    found: list[str] = manager.docker("service", "ls", "-q", "--filter", label).stdout.split()
    return found


def test_a_job_from_its_document_to_its_end(
    private_manager: PrivateEngine,
    namespace: str,
    api: ApiProcess,
    control: Callable[..., AbstractContextManager[ControllerProcess]],
) -> None:
    one, two, bad = (f"{namespace}-{word}" for word in ("one", "two", "bad"))
    reply = post(api, one, "sh", "-c", "echo Hello; exit 3", Job={"KeepFor": 5})
    assert reply.code == 201
    assert show(api, one)["reason"] == "Queued"
    again = post(api, one, "sh", "-c", "echo Hello; exit 3", Job={"KeepFor": 5})
    assert (again.code, again.body["sameDocument"]) == (200, True)
    with control("-m", "2"):
        job = show(api, one, "?wait=30")
        assert (job["phase"], job["exitCode"]) == ("Failed", 3)
        assert job["startedAt"] < job["finishedAt"]
        assert api.get(f"/job/{one}/log").body == "Hello\n"
        assert post(api, two, "sleep", "600", StopTimeout=1).code == 201
        wait_until(lambda: show(api, two)["phase"] == "Running", "a job that runs")
        assert call("DELETE", f"{api.url}/job/{two}?grace=3").code == 400
        cancelled = call("DELETE", f"{api.url}/job/{two}?why=typo&wait=30")
        assert (cancelled.code, cancelled.body["phase"]) == (200, "Cancelled")
        assert post(api, bad, "/nope").code == 201
        wait_until(lambda: show(api, bad)["reason"] == "StartError", "a start that failed")
        wait_until(lambda: show(api, one).get("error", {}).get("reason") == "JobCollected", one)
        page = api.get("/job").body
        assert {item["id"] for item in page["items"]} == {two, bad}
        assert (page["counts"]["Pending"], page["counts"]["Cancelled"]) == (1, 1)
        assert call("DELETE", f"{api.url}/job?phase=Pending&purge=true").body["cancelled"] == 1
        assert call("DELETE", f"{api.url}/job/{two}?purge=true").code == 200
        wait_until(lambda: list_services(private_manager, namespace) == [], "no service left")


def test_what_swarm_cannot_do_is_refused_at_once(namespace: str, api: ApiProcess) -> None:
    for query in ("", "?dryRun=true"):
        host = {"NetworkMode": "none"}
        reply = post(api, f"{namespace}-job", "true", query=query, HostConfig=host)
        (violation,) = reply.body["error"]["violations"]
        assert (reply.code, violation["pointer"]) == (400, "/HostConfig/NetworkMode")
        assert "Swarm" in violation["message"]


def test_the_limit_holds_and_each_job_runs_once_while_the_lead_passes_on(
    private_manager: PrivateEngine,
    namespace: str,
    api: ApiProcess,
    control: Callable[..., AbstractContextManager[ControllerProcess]],
) -> None:
    names = [f"{namespace}-job{number}" for number in range(8)]
    with EventLog(private_manager, namespace) as events, control("-m", "2") as first:
        wait_until(lambda: read_role(first) == "active", "a controller that leads")
        with control("-m", "2") as second:
            wait_until(lambda: read_role(second) == "standby", "one that stands by")
            for name in names:
                assert post(api, name, "sleep", "1").code == 201
            wait_until(lambda: show(api, names[2])["phase"] == "Succeeded", names[2])
            assert first.terminate() == 0
            wait_until(lambda: read_role(second) == "active", "the lead")
            wait_until(lambda: len(events.read("die")) == len(names), "all ends", patience=90)
            wait_until(lambda: api.get("/job").body["counts"]["Succeeded"] == len(names), "all")
            assert "by someone else" not in second.log()
        assert events.count_most_running() == 2
        assert len(events.read("start")) == len(names)
    counted = re.findall(
        r'^jobs_total{action="(\w+)".*} (\S+)$', api.get("/metrics").body, re.MULTILINE
    )
    assert {action: float(number) for action, number in counted} == dict.fromkeys(
        ("create", "start", "die"), len(names)
    )


@pytest.mark.slow
def test_a_controller_that_is_stopped_is_replaced_and_yields_when_it_goes_on(
    namespace: str,
    api: ApiProcess,
    control: Callable[..., AbstractContextManager[ControllerProcess]],
) -> None:
    with control() as first, control() as second:
        wait_until(lambda: "active" in {read_role(first), read_role(second)}, "a lead")
        leads, other = (first, second) if read_role(first) == "active" else (second, first)
        leads.signal(signal.SIGSTOP)
        wait_until(lambda: read_role(other) == "active", "the other one leads")
        assert post(api, f"{namespace}-job", "true", query="?wait=30").body["phase"] == "Succeeded"
        leads.signal(signal.SIGCONT)
        wait_until(lambda: read_role(leads) == "standby", "it has noticed")
        assert read_role(other) == "active"
