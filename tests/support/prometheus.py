"""Debian's Prometheus on the configuration that ships, pointed at processes under test."""

import json
import math
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import yaml

from tests.support.processes import call, find_free_port
from tests.support.waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "manifests" / "prometheus"
DASHBOARD = SHIPPED.parent / "grafana" / "dashboard.json"
_WINDOW = "5s"
"""What Grafana's ``$__rate_interval`` is at a scrape a second."""


class Prometheus:
    """One server that scrapes every second; ``targets`` are ports by scrape job."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[int]]) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{find_free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
        assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
        for job in config["scrape_configs"]:
            ports = targets[job["job_name"]]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address={self._url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_ready, "Prometheus serves", patience=60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def _is_ready(self) -> bool:
        with suppress(OSError, HTTPException):
            return call("GET", f"{self._url}/-/ready").code == 200
        return False

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the HTTP API; one that is no success is a failure."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        reply = call("GET", f"{self._url}/api/v1/{path}{query}")
        assert reply.code == 200, reply
        assert reply.body["status"] == "success"
        return reply.body["data"]

    def list_up(self) -> set[str]:
        """Return the targets whose last scrape succeeded."""
        found = self.ask("query", query="up == 1")["result"]
        return {series["metric"]["instance"] for series in found}

    def count_values(self, expression: str, since: float) -> int:
        """Return how many finite values ``expression`` has had since a time, in epoch seconds."""
        window = {"start": str(since), "end": str(time.time()), "step": "1"}
        found = self.ask("query_range", query=expression, **window)["result"]
        values = [float(value) for series in found for _, value in series["values"]]
        return sum(math.isfinite(value) for value in values)


def list_dashboard_queries() -> list[tuple[str, str]]:
    """Return panel title and query of everything that the dashboard shows."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", _WINDOW))
        for panel in panels
        for target in panel["targets"]
    ]


def find_metrics(expression: str) -> set[str]:
    """Return the metrics of ours that an expression names."""
    return set(re.findall(r"\b(?:dispatcher_\w+|jobs_total)\b", expression))


def run_promtool(*words: str, stdin: bytes | None = None) -> str:
    """Run promtool in the folder that ships; a failure of it is one of the test."""
    done = subprocess.run(
        ["promtool", *words], cwd=SHIPPED, input=stdin, capture_output=True, check=False
    )
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text
