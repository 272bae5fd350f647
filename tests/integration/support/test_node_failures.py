"""What a manager shows of a running job whose node fails: what the adapter must tell apart."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.chaos.raw import RawEngine, SilentEngineError
from tests.support.private_engine import IMAGE, frozen
from tests.support.private_swarm import Node, PrivateSwarm
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.thorough]

_OVER = {"complete", "failed", "shutdown", "rejected", "orphaned"}


class Sleeper:
    """A service of one task that sleeps on the second node, as the first shows it."""

    def __init__(self, swarm: PrivateSwarm, name: str) -> None:
        self.swarm = swarm
        self.node = swarm.nodes[1]
        self.uid = ""
        self._raw = RawEngine(swarm.nodes[0].engine.socket)
        self._name = name

    def start(self) -> None:
        """Start it, and wait until it runs."""
        body = {
            "Name": self._name,
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": IMAGE,
                    "Args": ["sleep", "600"],
                    "StopGracePeriod": 1_000_000_000,
                },
                "RestartPolicy": {"Condition": "none"},
                "Placement": {"Constraints": [f"node.hostname=={self.node.name}"]},
            },
            "Labels": {},
            "Mode": {"Replicated": {"Replicas": 1}},
        }
        status, answer = self._raw.call("POST", "services/create", body)
        assert status == 201, answer
        self.uid = answer["ID"]
        self.wait_for("running")

    def read_all(self) -> list[dict[str, Any]]:
        """Return its tasks, the oldest first; none where the manager has no leader.

        A manager that comes back from a cut deposes the leader, for 8 to 35 s.
        """
        filters = f'{{"service":["{self.uid}"]}}'
        with suppress(SilentEngineError):
            status, tasks = self._raw.call("GET", "tasks", timeout=5, filters=filters)
            if status == 200:
                return sorted(tasks, key=lambda task: str(task["CreatedAt"]))
        return []

    def read(self) -> dict[str, Any]:
        """Return its only task."""
        tasks = self.read_all()
        assert len(tasks) <= 1, "it was started again"
        return tasks[0] if tasks else {"Status": {}, "DesiredState": ""}

    def update(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Update it, by what ``change`` does to its spec."""

        def send() -> bool:
            status, service = self._raw.call("GET", f"services/{self.uid}", timeout=60)
            if status != 200:
                return False
            change(service["Spec"])
            version = str(service["Version"]["Index"])
            path = f"services/{self.uid}/update"
            answer = self._raw.call("POST", path, service["Spec"], timeout=60, version=version)
            return answer[0] == 200

        wait_until(send, "the service is updated")

    def wait_for(self, *states: str, desired: str = "") -> dict[str, Any]:
        """Wait until its task is in one of these states, and is wanted in that one."""

        def look() -> bool:
            task = self.read()
            return task["Status"].get("State") in states and desired in task["DesiredState"]

        wait_until(look, f"the task is {states} {desired}", patience=90)
        return self.read()

    def wait_for_end(self) -> dict[str, Any]:
        """Wait until it is over, and return what is shown: state, error, process, exit code."""
        status = self.wait_for(*_OVER)["Status"]
        return {
            "state": status["State"],
            "error": status.get("Err", ""),
            "pid": status["ContainerStatus"]["PID"],
            "code": status["ContainerStatus"]["ExitCode"],
        }


@pytest.fixture(scope="module")
def swarm() -> Iterator[PrivateSwarm]:
    with PrivateSwarm(options={"shutdown-timeout": 1}) as swarm:
        yield swarm


@pytest.fixture
def sleeper(swarm: PrivateSwarm) -> Iterator[Sleeper]:
    """Start a service; when it goes, all nodes are ready again."""
    swarm.wait_until_ready()
    sleeper = Sleeper(swarm, f"sleeper-{uuid.uuid4().hex}")
    sleeper.start()
    yield sleeper
    swarm.wait_until_ready()
    swarm.nodes[0].engine.docker("service", "rm", sleeper.uid)


def test_an_engine_that_is_stopped_in_good_order_leaves_no_exit_code(sleeper: Sleeper) -> None:
    """The container is gone before its end was told: what is shown is its beginning, code 0."""
    sleeper.node.engine.stop()
    sleeper.node.start()
    shown = sleeper.wait_for_end()
    assert (shown["state"], shown["code"]) == ("failed", 0)
    assert shown["error"].startswith("No such container")
    assert shown["pid"] > 0


def test_a_loss_of_power_is_exit_code_255_once_the_node_is_back(sleeper: Sleeper) -> None:
    sleeper.node.kill()
    sleeper.node.start()
    shown = sleeper.wait_for_end()
    assert shown == {
        "state": "failed",
        "error": "task: non-zero exit (255)",
        "pid": 0,
        "code": 255,
    }


def _cut(node: Node) -> Callable[[], None]:
    node.unplug()
    return node.plug


def _kill(node: Node) -> Callable[[], None]:
    node.kill()
    return node.start


@pytest.mark.parametrize("lose", [_cut, _kill])
def test_a_node_that_stays_away_has_its_task_called_off_and_not_ended(
    sleeper: Sleeper, lose: Callable[[Node], Callable[[], None]]
) -> None:
    """It is running and wanted shut down, until the node is back; nothing is started instead."""
    bring_back = lose(sleeper.node)
    task = sleeper.wait_for("running", desired="shutdown")
    assert task["Status"]["ContainerStatus"]["ExitCode"] == 0
    assert sleeper.swarm.find_stuck() == [sleeper.node]
    bring_back()
    shown = sleeper.wait_for_end()
    assert shown["state"] in {"failed", "shutdown"}
    assert shown["code"] in {255, 137}


def test_a_killed_engine_kills_its_jobs_when_it_is_started_again(sleeper: Sleeper) -> None:
    sleeper.node.engine.kill()
    sleeper.node.start()
    shown = sleeper.wait_for_end()
    assert (shown["state"], shown["code"]) == ("failed", 137)


def test_an_engine_that_stands_still_for_long_has_its_jobs_ended(sleeper: Sleeper) -> None:
    with frozen(sleeper.node.engine.pid):
        sleeper.wait_for("running", desired="shutdown")
    shown = sleeper.wait_for_end()
    assert (shown["state"], shown["code"]) == ("shutdown", 137)


def test_a_drained_node_ends_its_jobs(sleeper: Sleeper) -> None:
    sleeper.swarm.drain(sleeper.node)
    shown = sleeper.wait_for_end()
    sleeper.swarm.activate(sleeper.node)
    assert (shown["state"], shown["code"]) == ("shutdown", 137)


def _set_short(spec: dict[str, Any]) -> None:
    """Have the next start run elsewhere, and end at once."""
    spec["TaskTemplate"]["ForceUpdate"] = 1
    spec["TaskTemplate"]["ContainerSpec"]["Args"] = ["true"]
    spec["TaskTemplate"]["Placement"]["Constraints"] = ["node.hostname==node-3"]


def _mark(spec: dict[str, Any]) -> None:
    spec["Labels"]["mark"] = "1"


def _pin(spec: dict[str, Any]) -> None:
    """Let no node do for what may still be started."""
    spec["TaskTemplate"]["Placement"]["Constraints"] = ["node.id==none"]


@pytest.mark.parametrize("is_pinned", [False, True])
def test_what_ran_again_runs_once_more_after_the_lost_node_is_back_unless_no_node_will_do(
    sleeper: Sleeper, *, is_pinned: bool
) -> None:
    """The lost task is told to have failed after the last one's end, and is taken for the newest.

    It has another spec than the service, so the next update, of a label too, replaces it; so does
    a change of leader.
    """
    sleeper.node.kill()
    sleeper.wait_for("running", desired="shutdown")
    sleeper.update(_set_short)

    def read_states() -> list[str]:
        return [task["Status"]["State"] for task in sleeper.read_all()]

    wait_until(lambda: read_states() == ["running", "complete"], "it has run again")
    if is_pinned:
        sleeper.update(_pin)
        wait_until(lambda: read_states()[2:] == ["pending"], "what is to be started waits")
    sleeper.node.start()
    wait_until(lambda: read_states()[:2] == ["failed", "complete"], "the loss is told", patience=90)
    sleeper.update(_mark)
    wait_until(
        lambda: read_states()[2:] == ["pending" if is_pinned else "complete"], "the third task"
    )
