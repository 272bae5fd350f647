"""Every state in README's table is one that the API has shown of a job on a real engine."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, call
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_until

State = tuple[str, str | None]

README = Path(__file__).parents[2] / "README.md"
JOB = (
    '{Name: .name, Image: "' + IMAGE + '", Cmd: ["sh", "-c", .run], Job: .job,'
    ' HostConfig: ({NetworkMode: "none"} + .host)} + .more'
)
QUEUES = """
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {name: default}
---
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {name: paused}
spec: {paused: true}
"""
DEAF = "trap '' TERM; while :; do sleep 0.1; done"
SMALL = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
AGAIN = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 30}}
WAITS = {"Queue": "paused"}


def list_states() -> set[State]:
    """Return what README's table names."""
    table = README.read_text().partition("| phase | reason | meaning |\n")[2].partition("\n\n")[0]
    found = re.findall(r"^\| (\w+) \| (.+?) \|", table, re.MULTILINE)
    return {
        (phase, reason if reason.isalpha() else None)
        for phase, reasons in found
        for reason in reasons.split(", ")
    }


class Seen:
    """Posts jobs by name, and notes in which states they were."""

    def __init__(self, api: ApiProcess, namespace: str) -> None:
        self._api = api
        self._space = namespace
        self.uids: dict[str, str] = {}
        self.states: set[State] = set()

    def name(self, name: str) -> str:
        return f"{self._space}-{name}"

    def post(self, name: str, run: str = "true", **members: Any) -> None:
        document = {"name": self.name(name), "run": run, "job": {}, "host": {}, "more": {}}
        reply = self._api.post(document | members)
        assert reply.code == 201, reply
        self.uids[name] = reply.body["uid"]

    def cancel(self, name: str, grace: int) -> None:
        reply = call("DELETE", f"{self._api.url}/job/{self.name(name)}?grace={grace}")
        assert reply.code in {200, 202}, reply

    def look(self, name: str) -> State:
        body = self._api.get(f"/job/{self.name(name)}").body
        job = body["error"]["job"] if "error" in body else body
        state = job["phase"], job["reason"]
        self.states.add(state)
        return state

    def has_failed(self, name: str) -> bool:
        return self.look(name)[0] == "Failed"

    def until(self, name: str, phase: str, reason: str | None = None) -> None:
        wait_until(lambda: self.look(name) == (phase, reason), f"{name}: {phase}, {reason}")


def test_every_state_that_readme_names_is_seen(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "queues.yaml").write_text(QUEUES)
    queues = ("--queues", str(tmp_path / "queues.yaml"))
    options = ("--lock-dir", str(tmp_path), "--engine-timeout", "4", *queues)
    with (
        FaultProxy(private_engine.host) as to_api,
        FaultProxy(private_engine.host) as to_controller,
        ApiProcess(to_api.host, namespace, JOB, *queues) as api,
        ControllerProcess(to_controller.host, namespace, *options),
    ):
        seen = Seen(api, namespace)
        see_all(seen, private_engine, to_api.block, to_controller)
        private_engine.docker("rm", "-f", seen.uids["restarts"], seen.uids["paused"])
        assert seen.states >= list_states()


def see_out_of_memory(seen: Seen, engine: PrivateEngine) -> None:
    """See a job that ran out of memory; of some the engine does not hear it (containerd#8893)."""
    for name in (f"fat{number}" for number in range(5)):
        seen.post(name, "tail /dev/zero", host=SMALL)
        wait_until(partial(seen.has_failed, name), f"{name}: Failed")
        form = "{{.State.OOMKilled}}"
        told = engine.docker("inspect", "--format", form, seen.uids[name]).stdout.strip()
        if told == "true":
            seen.until(name, "Failed", "OOMKilled")
        engine.docker("rm", seen.uids[name])
        if told == "true":
            break


def see_all(
    seen: Seen,
    engine: PrivateEngine,
    block: Callable[[str], None],
    to_controller: FaultProxy,
) -> None:
    seen.post("unkillable", DEAF)
    seen.until("unkillable", "Running")
    # a process that cannot be killed is one that no stop reaches
    to_controller.block(f"POST .*/containers/{seen.uids['unkillable']}/stop")
    seen.cancel("unkillable", 0)
    seen.post("stopped", DEAF)
    seen.post("late", job=WAITS | {"StartBy": 1})
    seen.post("long", "sleep 60", job={"RunFor": 1}, more={"StopTimeout": 0})
    seen.post("restarts", "exit 1", host=AGAIN)
    seen.post("paused", "sleep 600")
    seen.post("broken", more={"Cmd": ["/nope"]})
    seen.post("waits", job=WAITS)
    seen.post("removed", job=WAITS)
    seen.post("good")
    seen.post("bad", "exit 3")
    seen.until("stopped", "Running")
    seen.cancel("stopped", 3)
    seen.until("stopped", "Running", "Stopping")
    seen.until("waits", "Pending", "Queued")
    engine.docker("rm", seen.uids["removed"])
    seen.until("removed", "Failed", "Dead")
    seen.until("paused", "Running")
    engine.docker("pause", seen.uids["paused"])
    seen.until("paused", "Running", "Paused")
    seen.until("restarts", "Running", "Restarting")
    seen.until("broken", "Pending", "StartError")
    seen.until("good", "Succeeded")
    seen.until("bad", "Failed", "Error")
    see_out_of_memory(seen, engine)
    seen.until("late", "Failed", "StartDeadlineExceeded")
    seen.until("long", "Failed", "DeadlineExceeded")
    seen.until("stopped", "Cancelled")
    block(f"GET .*/containers/{seen.name('waits')}/json")
    seen.until("waits", "Unknown", "EngineSilent")
    seen.until("unkillable", "Running", "Unkillable")
    to_controller.heal()
    seen.until("unkillable", "Cancelled")
    for name in ("late", "long", "broken", "waits", "good", "bad", "stopped", "unkillable"):
        engine.docker("rm", seen.uids[name])
