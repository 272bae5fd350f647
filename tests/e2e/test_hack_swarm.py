"""``hack/swarm``: starts a swarm of three nodes and takes all of it back."""

import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.bare_machine import SEE, read_seen, run_apart

_ROOT = Path(__file__).parents[2]
_run_apart = partial(run_apart, starter="hack/swarm")
_SERVICE = """
demo=$(docker image ls --format '{{.Repository}}:{{.Tag}}')
docker service create --detach --no-resolve-image --name everywhere --mode global \\
    --stop-grace-period 1s "$demo" sleep 1000 >/dev/null
count_running() {
    docker service ps everywhere --filter desired-state=running --format '{{.CurrentState}}' |
        grep -c ^Running
}
wait_for_jobs() {
    for ((i = 0; i < 300; i++)); do
        ((${n:=$(count_running)} != 3)) || return 0
        n=
        sleep 0.2
    done
    return 1
}
"""

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    return tmp_path


def test_three_nodes_become_a_swarm_that_runs_the_demo_and_leaves_nothing(folder: Path) -> None:
    """README's example: POST, wait, log, list, cancel, collect; jobs on all nodes."""
    script = f"""{SEE}
    export VENV={sys.prefix} DOCKER_CONFIG=/run/plugins PATH={sys.prefix}/bin:$PATH
    ! hack/swarm status 2>/dev/null
    eval "$(hack/swarm up)"
    test "$(hack/swarm up)" = "export DOCKER_HOST=$DOCKER_HOST"
    hack/swarm status
    ENGINE=swarm hack/up
    export DJD_URL=http://127.0.0.1:8000
    docker-job run --argjson 'args=["-c", "echo Hello"]'
    endless='trap exit TERM; while :; do sleep 0.1; done'
    for number in 1 2 3 4; do
        docker-job submit --argjson "args=[\\"-c\\", \\"$endless\\"]" --arg "id=long-$number"
    done
    for ((i = 0; i < 300; i++)); do
        (($(docker-job ls --phase Running | grep -c demo-job-long-) != 3)) || break
        sleep 0.2
    done
    docker service ls --quiet | xargs docker service ps --format 'on {{{{.Node}}}}' \\
        --filter desired-state=running
    docker-job cancel --wait demo-job-long-{{4,1,2,3}}
    docker-job ls -a
    hack/down
    ! docker-job ls
    test -z "$(docker service ls --quiet)$(docker config ls --quiet)"
    hack/swarm status >/dev/null
    hack/swarm down
    ! hack/swarm status 2>/dev/null
    hack/swarm down
    rm -rf /run/plugins
    see >seen.after
    """
    shown = _run_apart(folder, script)
    rows = [line.split() for line in shown.splitlines()]
    nodes = [row for row in rows if row and row[0].startswith("node-")]
    assert [row[:2] for row in nodes] == [[f"node-{number}", "ready"] for number in (1, 2, 3)]
    assert sorted(row[2] for row in nodes) == ["leader", "reachable", "reachable"]
    for phase in ("Pending (Queued)", "Running", "Succeeded, exit code 0", "collected"):
        assert f"  {phase}\n" in shown
    assert ["Hello"] in rows
    assert sorted(row[1] for row in rows if row[:1] == ["on"]) == ["node-1", "node-2", "node-3"]
    for number in range(1, 5):
        assert [f"demo-job-long-{number}", "Cancelled"] in [row[:2] for row in rows]
    before, after = read_seen(folder)
    assert after == before


@pytest.mark.thorough
def test_what_died_is_started_again_with_its_services(folder: Path) -> None:
    """One node alone, then all of them with their networks, as after a reboot."""
    script = f"""{SEE}
    eval "$(hack/swarm up)"
    {_SERVICE}
    wait_for_jobs
    kill -KILL "$(cat .run/swarm/node-2/pid)"
    hack/swarm up
    wait_for_jobs
    for node in node-1 node-2 node-3; do
        kill -KILL "$(cat ".run/swarm/$node/pid")"
    done
    awk '{{print $2}}' /proc/self/mounts | grep -- -swarm/net/ | xargs umount -l
    hack/swarm up
    wait_for_jobs
    hack/swarm status
    hack/swarm down
    find /run/containerd/s -type s -delete
    find /run/containerd -depth -type d -empty -delete
    see >seen.after
    """
    assert _run_apart(folder, script).count(" ready ") == 3
    before, after = read_seen(folder)
    assert after == before
