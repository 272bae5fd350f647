"""Real processes, and an engine that two jobs end when they are started."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_engine_values import BOMB
from tests.support.private_engine import IMAGE, EngineFailedError, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.engine

FILTER = """
apiVersion: docker-job-dispatcher/v1
kind: Filter
metadata: {name: any}
spec:
  path: /job
  filter: .
  admission: {profile: privileged}
"""


class Revived:
    """Starts ``engine`` again whenever it has ended."""

    def __init__(self, engine: PrivateEngine) -> None:
        self._engine = engine
        self._ended = threading.Event()
        self.deaths: list[float] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of the block."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            if self._engine.is_running:
                continue
            self.deaths.append(time.monotonic())
            with suppress(EngineFailedError):
                self._engine.start()


def post_all(api: ApiProcess, namespace: str, number: int) -> tuple[list[str], list[str]]:
    """Post jobs of which the first and the third end the engine; return those and the others."""
    bad: list[str] = []
    good: list[str] = []
    for position in range(number):
        name = f"{namespace}-{position:02}"
        body: dict[str, Any] = {"Name": name, "Image": IMAGE, "Cmd": ["true"]}
        if position in {0, 2}:
            body["HostConfig"] = {"LogConfig": {"Config": {"tag": BOMB}}}
        reply = api.post(body)
        assert reply.code == 201, reply
        (bad if position in {0, 2} else good).append(name)
    return bad, good


def test_every_other_job_runs_and_the_two_that_end_the_engine_back_off(
    namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "any.yaml").write_text(FILTER)
    with (
        PrivateEngine() as engine,
        ApiProcess(engine.host, namespace, "--from-file", str(tmp_path / "any.yaml")) as api,
    ):
        bad, good = post_all(api, namespace, 8)
        # two slots, so one start in flight: one that is cut off the engine may refuse for ever
        options = ("-m", "2", "-u", "0.5", "--lock-dir", str(tmp_path))
        with ControllerProcess(engine.host, namespace, *options) as controller:
            revived = Revived(engine)
            with revived.watching():
                wait_until(
                    lambda: all(has_run(api, name) for name in good), "the others", patience=100
                )
                died = len(revived.deaths)
                wait_until(
                    lambda: all(count_deaths(controller, b) >= 4 for b in bad),
                    "4 deaths",
                    patience=100,
                )
            charges = controller.events("start not done")
            phases = {read_phase(api, name) for name in bad}
    assert died <= 6, "others waited for the two"
    assert len(revived.deaths) <= 12
    assert phases <= {"Pending", None}
    waits = [charged["next_attempt_in"] for charged in charges if charged["job"] == bad[0]]
    assert all(later > 1.5 * wait for wait, later in pairwise(waits)), waits


def read_phase(api: ApiProcess, name: str) -> str | None:
    """Return the phase of a job, ``None`` while the engine is away."""
    body = api.get(f"/job/{name}").body
    return body.get("phase") if isinstance(body, dict) else None


def has_run(api: ApiProcess, name: str) -> bool:
    """Tell whether a job has run: one that ran at a death of the engine has failed by that."""
    return read_phase(api, name) in {"Succeeded", "Failed"}


def count_deaths(controller: ControllerProcess, name: str) -> int:
    """Return how many deaths the plan charges a job with."""
    told = ""
    with suppress(OSError, HTTPException):
        told = str(controller.get(f"/plan?job={name}").body)
    found = re.search(r"\(attempt (\d+)\): the engine was lost", told)
    return int(found[1]) - 1 if found else 0
