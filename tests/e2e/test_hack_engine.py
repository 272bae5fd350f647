"""``hack/engine``: uses the engine that is there, else starts one and takes all of it back."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.support.bare_machine import SEE, read_seen, run, run_apart
from tests.support.private_engine import PrivateEngine

_ROOT = Path(__file__).parents[2]
_run_apart = partial(run_apart, starter="hack/engine")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    return tmp_path


def test_an_engine_that_is_there_is_used_and_left_alone(
    folder: Path, private_engine: PrivateEngine
) -> None:
    env = {"DOCKER_HOST": private_engine.host}
    engine = str(folder / "hack/engine")
    up = run([engine, "up"], env)
    assert (up.returncode, up.stdout) == (0, f"export DOCKER_HOST={private_engine.host}\n")
    assert private_engine.host in run([engine, "status"], env).stdout
    assert run([engine, "down"], env).returncode == 0
    assert private_engine.docker("version", check=False).returncode == 0
    assert not (folder / ".run").exists()


@pytest.mark.engine
def test_without_an_engine_one_is_started_with_a_bridge_and_leaves_nothing(folder: Path) -> None:
    script = (
        SEE
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
    before, after = read_seen(folder)
    assert after == before


@pytest.mark.engine
def test_a_killed_engine_is_started_again_with_its_containers(folder: Path) -> None:
    script = (
        SEE
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
    before, after = read_seen(folder)
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
