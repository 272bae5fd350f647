"""The private swarm: its faults are what they say, and nothing of it is left."""

import subprocess
from pathlib import Path

import pytest

from tests.support.private_engine import IMAGE
from tests.support.private_swarm import Node, PrivateSwarm
from tests.support.waiting import wait_until

_OPTIONS = ("--detach", "--no-resolve-image", "--restart-condition", "none")

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.thorough]


def _list_links() -> str:
    command = ["ip", "-o", "link"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _count_running(node: Node) -> int:
    return len(node.engine.docker("ps", "--quiet").stdout.split())


def _can_reach(node: Node, other: Node) -> bool:
    """Tell whether a packet comes back: busybox's ping is not everywhere, a refused port is."""
    command = node.network.enter(
        "timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{other.address}/2377"
    )
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_nodes_lose_power_links_and_work_and_leave_nothing() -> None:
    before = _list_links()
    with PrivateSwarm() as swarm:
        first, second, third = swarm.nodes
        assert swarm.find_leader() is first
        assert swarm.read_nodes()["node-3"] == ("Ready", "Active", "Reachable")
        job = ("--name", "everywhere", "--mode", "global", IMAGE, "sleep", "1000")
        second.engine.docker("service", "create", *_OPTIONS, *job)
        wait_until(lambda: all(map(_count_running, swarm.nodes)), "a job runs on each node")

        third.unplug()
        assert not _can_reach(first, third)
        assert _count_running(third) == 1
        third.plug()
        wait_until(lambda: _can_reach(first, third), "the link is mended")

        second.kill()
        assert not second.engine.is_running
        second.start()
        assert _count_running(second) == 0
        swarm.wait_until_ready()

        swarm.drain(third)
        wait_until(lambda: _count_running(third) == 0, "a drained node has no job")
        swarm.activate(third)
        assert swarm.read_nodes()["node-3"][1] == "Active"

        folders = [node.engine.folder for node in swarm.nodes]
    assert _list_links() == before
    assert [folder for folder in folders if folder.exists()] == []
    assert [f for f in folders if str(f) in Path("/proc/self/mounts").read_text()] == []
    assert [f for f in folders if str(f) in _list_processes()] == []


def test_the_lead_is_handed_on_and_taken_over_from_a_dead_leader() -> None:
    with PrivateSwarm() as swarm:
        first = swarm.nodes[0]
        leader = swarm.hand_over()
        assert leader is not first
        leader.kill()
        assert swarm.wait_for_leader() is not leader
        leader.start()
        swarm.wait_until_ready()


def _list_processes() -> str:
    return subprocess.run(["ps", "axww"], check=True, capture_output=True, text=True).stdout
