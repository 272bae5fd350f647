"""Jobs are waited for, listed and followed on a real engine, where they are collected at once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["sh", "-c", .run], Labels: {kind: "see"}}'


class Follower(threading.Thread):
    """Folds the events of an API until it ends."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.jobs: dict[str, Any] = {}
        self.removed: dict[str, Any] = {}
        self.kinds: list[str] = []
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("GET", "/events?label=kind=see")
        self._response = self._connection.getresponse()

    def run(self) -> None:
        with closing(self._connection), closing(self._response):
            self._fold()

    def _fold(self) -> None:
        while line := self._response.readline():
            told = json.loads(line)
            self.kinds.append(told["type"])
            job = told.get("job")
            if told["type"] == "removed":
                self.removed[job["id"]] = self.jobs.pop(job["uid"], None) or job
            elif job is not None:
                self.jobs[job["uid"]] = job


def test_every_wait_is_answered_with_the_true_outcome_though_jobs_are_collected_at_once(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    options = ("--lock-dir", str(tmp_path), "-m", "4", "-k", "0")
    with (
        ApiProcess(private_engine.host, namespace, JOB) as api,
        ControllerProcess(private_engine.host, namespace, *options),
    ):
        follower = Follower(api.port)
        follower.start()

        def run(number: int) -> tuple[int, str, int]:
            script = f"sleep 0.{number % 3}; exit {number % 4}"
            document = {"name": f"{namespace}-{number}", "run": script}
            reply = api.post(document, "/job?wait=60")
            assert reply.body["finished"] is True
            return reply.code, reply.body["phase"], reply.body["exitCode"]

        with ThreadPoolExecutor(6) as pool:
            ends = [*pool.map(run, range(12))]
        assert ends == [
            (201, "Failed" if number % 4 else "Succeeded", number % 4) for number in range(12)
        ]
        names = {f"{namespace}-{number}" for number in range(12)}
        wait_until(lambda: names <= follower.removed.keys(), "every job is seen to be removed")
        wait_until(lambda: not api.get("/job").body["items"], "no job is listed")
        assert follower.jobs == {}
        gone = api.get(f"/job/{namespace}-3?wait=5")
        assert (gone.code, gone.body["error"]["reason"]) == (404, "JobCollected")
        assert gone.body["error"]["job"]["exitCode"] == 3
        api.terminate()
        follower.join(20)
    assert not follower.is_alive()
    assert follower.kinds[-1] == "bookmark"


def test_a_list_shows_what_the_engine_shows_of_each_job(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    options = ("--lock-dir", str(tmp_path), "-m", "4")
    names = [f"{namespace}-{number}" for number in range(4)]
    with ApiProcess(private_engine.host, namespace, JOB) as api:
        for number, name in enumerate(names):
            assert api.post({"name": name, "run": f"exit {number}"}).code == 201
        with ControllerProcess(private_engine.host, namespace, *options):
            for name in names:
                assert api.get(f"/job/{name}?wait=60").body["finished"] is True
        # a new process knows no more than the engine's list
        api.terminate()
        api.start()
        listed = api.get("/job?order=oldest").body
        shown = [api.get(f"/job/{name}").body for name in names]
        assert [item | {"status": ""} for item in listed["items"]] == [
            item | {"status": ""} for item in shown
        ]
        assert listed["counts"] | {"Pending": 0} == listed["counts"]
        assert (listed["counts"]["Succeeded"], listed["counts"]["Failed"]) == (1, 3)
    private_engine.docker("rm", "-v", *names)
