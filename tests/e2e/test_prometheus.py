"""Prometheus on what ships for it, scraping both processes while jobs run."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.prometheus import (
    SHIPPED,
    Prometheus,
    find_metrics,
    list_dashboard_queries,
    run_promtool,
)
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: .cmd}'
QUEUES = """
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {name: default}
spec: {maxConcurrent: 2}
"""
ENDS = [0, 3, 0, 7, 0, 0, 1, 0]


@dataclass(frozen=True, slots=True)
class Scene:
    """A Prometheus that has watched jobs run, and the processes it watched."""

    prometheus: Prometheus
    api: ApiProcess
    active: ControllerProcess
    standby: ControllerProcess
    began: float


@pytest.fixture(scope="module")
def scene(
    private_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    space = "prometheus"
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "queues.yaml").write_text(QUEUES)
    queues = ("--queues", str(folder / "queues.yaml"))
    options = ("-m", "2", "-k", "1", "-u", "1", "--lock-dir", str(folder), *queues)
    began = time.time()
    with (
        ApiProcess(private_engine.host, space, JOB) as api,
        ControllerProcess(private_engine.host, space, *options) as active,
        ControllerProcess(private_engine.host, space, *options) as standby,
        Prometheus(
            folder,
            {
                "dispatcher-api": [api.port],
                "dispatcher-controller": [active.port, standby.port],
            },
        ) as prometheus,
    ):
        # what a rate shows is the difference to an earlier scrape
        wait_until(lambda: len(prometheus.list_up()) == 3, "every target has been scraped")
        run_jobs(api, space)
        yield Scene(prometheus, api, active, standby, began)
        private_engine.docker("rm", "-v", f"{space}-cannot-start")


def run_jobs(api: ApiProcess, space: str) -> None:
    """Have jobs succeed, fail and be collected, one that cannot start, and requests refused."""
    assert api.post({"name": f"{space}-cannot-start", "cmd": ["/nope"]}).code == 201
    for number, end in enumerate(ENDS):
        document = {"name": f"{space}-{number}", "cmd": ["sh", "-c", f"sleep 0.3; exit {end}"]}
        assert api.post(document).code == 201
    assert api.post({"name": "x"}).code == 400
    assert api.post([]).code == 400
    assert api.get("/job/nobody").code == 404
    names = [f"{space}-{number}" for number in range(len(ENDS))]
    wait_until(
        lambda: all(api.get(f"/job/{name}").code == 404 for name in names),
        "all jobs have run and are collected",
        patience=60,
    )


def test_both_processes_are_scraped(scene: Scene) -> None:
    ports = {scene.api.port, scene.active.port, scene.standby.port}
    wanted = {f"127.0.0.1:{port}" for port in ports}
    wait_until(lambda: scene.prometheus.list_up() == wanted, "a scrape of each that was in time")


@pytest.mark.parametrize(("panel", "query"), list_dashboard_queries())
def test_every_query_of_the_dashboard_returns_data(scene: Scene, panel: str, query: str) -> None:
    wait_until(lambda: scene.prometheus.count_values(query, scene.began), f"{panel}: {query}")


def test_what_is_counted_is_what_happened(scene: Scene) -> None:
    def read(status: str) -> float:
        query = f'sum(jobs_total{{action="die", status="{status}"}})'
        result = scene.prometheus.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    wait_until(lambda: [read(s) for s in ("0", "1", "3", "7")] == [5, 1, 1, 1], "every end counted")


def test_every_rule_is_evaluated_without_an_error(scene: Scene) -> None:
    rules = [rule for group in scene.prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(list_alerts())
    wait_until(
        lambda: all(
            rule["health"] == "ok"
            for group in scene.prometheus.ask("rules")["groups"]
            for rule in group["rules"]
        ),
        "every rule has been evaluated",
    )


def test_alerts_speak_of_metrics_that_there_are(scene: Scene) -> None:
    names = set(scene.prometheus.ask("label/__name__/values"))
    for alert, expression in list_alerts().items():
        assert find_metrics(expression) <= names, alert


def test_promtool_has_nothing_to_say_of_what_ships() -> None:
    assert "SUCCESS" in run_promtool("check", "config", "--lint-fatal", "prometheus.yml")
    assert "SUCCESS" in run_promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in run_promtool("test", "rules", "alerts.test.yml")


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    tests = yaml.safe_load((SHIPPED / "alerts.test.yml").read_text())["tests"]
    seen = {
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in tests
        for case in test["alert_rule_test"]
    }
    assert seen == {(alert, fires) for alert in list_alerts() for fires in (True, False)}


@pytest.mark.parametrize("process", ["api", "active", "standby"])
def test_promtool_has_nothing_to_say_of_the_metrics(scene: Scene, process: str) -> None:
    served: ApiProcess | ControllerProcess = getattr(scene, process)
    assert run_promtool("check", "metrics", stdin=served.get("/metrics").body.encode()) == ""


def list_alerts() -> dict[str, str]:
    groups = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
