"""``hack/engine``: uses the engine that is there, else starts one and takes all of it back."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.private_engine import PrivateEngine

_ROOT = Path(__file__).parents[2]
# A machine of its own as far as engines are concerned: no socket under /run, no network but lo.
_APART = ["unshare", "--mount", "--net", "bash", "-euo", "pipefail", "-c"]
_BARE = (
    'mount -t tmpfs none /run; mkdir /run/mount; ip link set lo up; cd "$1"; unset DOCKER_HOST\n'
    "trap 'hack/engine down 2>/dev/null' EXIT\n"
)
_SEE = """
see() {
    ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/\\1/' | sort
    iptables -S
    iptables -t nat -S
    cat /proc/sys/net/ipv4/ip_forward
    find /run /etc/docker /opt/containerd 2>/dev/null | sort || true
    awk '{print $2}' /proc/self/mounts | grep -F -e /run -e "$PWD"
    find "$PWD" -not -path '*/hack*' -not -name seen.\\* | sort
}
see >seen.before
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    return tmp_path


def _run(
    command: list[str], env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
        env=os.environ | dict(env or {}),
    )


def _run_apart(folder: Path, script: str) -> str:
    """Run a script on a machine without an engine; return what it printed."""
    done = _run([*_APART, _BARE + script, "apart", str(folder)])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_engine_that_is_there_is_used_and_left_alone(
    folder: Path, private_engine: PrivateEngine
) -> None:
    env = {"DOCKER_HOST": private_engine.host}
    engine = str(folder / "hack/engine")
    up = _run([engine, "up"], env)
    assert (up.returncode, up.stdout) == (0, f"export DOCKER_HOST={private_engine.host}\n")
    assert private_engine.host in _run([engine, "status"], env).stdout
    assert _run([engine, "down"], env).returncode == 0
    assert private_engine.docker("version", check=False).returncode == 0
    assert not (folder / ".run").exists()


@pytest.mark.engine
def test_without_an_engine_one_is_started_with_a_bridge_and_leaves_nothing(folder: Path) -> None:
    script = (
        _SEE
        + """
    ! hack/engine status 2>/dev/null
    eval "$(hack/engine up)"
    test "$(hack/engine up)" = "export DOCKER_HOST=$DOCKER_HOST"
    hack/engine status
    docker network ls --format '{{.Driver}}'
    tar -c -C / -h bin/busybox | docker import - probe >/dev/null
    docker run --rm probe /bin/busybox ip -o link show eth0 >/dev/null
    docker run --detach --stop-timeout 1 probe /bin/busybox sleep 1000 >/dev/null
    hack/engine down
    ! hack/engine status 2>/dev/null
    see >seen.after
    """
    )
    printed = _run_apart(folder, script).splitlines()
    assert "the engine that hack/engine up started" in printed[0]
    assert "bridge" in printed
    before, after = ((folder / f"seen.{when}").read_text() for when in ("before", "after"))
    assert after == before


@pytest.mark.engine
def test_a_killed_engine_is_started_again_with_its_containers(folder: Path) -> None:
    script = (
        _SEE
        + """
    eval "$(hack/engine up)"
    tar -c -C / -h bin/busybox | docker import - probe >/dev/null
    docker run --detach --name kept probe /bin/busybox sleep 1000 >/dev/null
    kill -KILL "$(cat .run/engine/pid)"
    hack/engine up
    docker ps --all --format '{{.Names}}'
    docker start kept >/dev/null
    kill -KILL "$(cat .run/engine/pid)"
    hack/engine down
    find /run/containerd/s -type s -delete
    find /run/containerd -depth -type d -empty -delete
    see >seen.after
    """
    )
    assert "kept" in _run_apart(folder, script).splitlines()
    before, after = ((folder / f"seen.{when}").read_text() for when in ("before", "after"))
    assert after == before


@pytest.mark.engine
def test_beside_another_engines_bridge_one_is_started_without_a_network(folder: Path) -> None:
    script = """
    ip link add docker0 type bridge
    eval "$(hack/engine up)"
    docker network ls --format '{{.Driver}}'
    hack/engine down
    ip -o link show docker0
    """
    printed = _run_apart(folder, script).splitlines()
    assert "bridge" not in printed
    assert "docker0" in printed[-1]
