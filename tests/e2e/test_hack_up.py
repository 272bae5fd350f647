"""``hack/up`` and ``hack/down``: from nothing to a job that ran, and back to nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.engine.engine import MARK_IMAGE
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import call, find_free_port

_ROOT = Path(__file__).parents[2]
_PHASES = ["Pending (Queued)", "Running", "Succeeded, exit code 0", "collected"]


@dataclass(frozen=True, slots=True)
class Clone:
    """A folder of its own with the scripts in it, and what they find around them."""

    folder: Path
    env: Mapping[str, str]

    def run(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script until nothing holds its output any more."""
        return subprocess.run(
            [self.folder / "hack" / script, *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=100,
            env=self.env,
        )

    def pid(self, process: str) -> int:
        return int((self.folder / f".run/{process}.pid").read_text())


@pytest.fixture
def clone(private_engine: PrivateEngine, tmp_path: Path) -> Iterator[Clone]:
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    ports = {"PORT": str(find_free_port()), "HEALTH_PORT": str(find_free_port())}
    config = str(tmp_path / "docker config")
    env = os.environ | ports | {"DOCKER_HOST": private_engine.host, "VENV": sys.prefix}
    env |= {"DOCKER_CONFIG": config}
    clone = Clone(tmp_path, env)
    yield clone
    clone.run("down")


def _url(clone: Clone, variable: str, path: str) -> str:
    return f"http://127.0.0.1:{clone.env[variable]}{path}"


def _phases(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip() in _PHASES]


def _image_ids(engine: PrivateEngine) -> set[str]:
    # The engine lists images of one age in any order.
    return set(engine.docker("images", "--quiet").stdout.split())


def _is_alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_a_job_is_seen_from_pending_to_collected_and_all_is_taken_back(
    clone: Clone, private_engine: PrivateEngine
) -> None:
    private_engine.docker("create", "--name", "foreign", IMAGE, "sleep", "1")
    # another test's cancel may have left it, and hack/down takes it back
    private_engine.docker("image", "rm", MARK_IMAGE, check=False)
    images = _image_ids(private_engine)

    done = clone.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _phases(done.stdout) == _PHASES
    first = [clone.pid("api"), clone.pid("controller")]
    assert call("GET", _url(clone, "PORT", "/health/ready")).code == 204
    assert call("GET", _url(clone, "HEALTH_PORT", "/health/ready")).code == 204

    again = clone.run("up")
    assert again.returncode == 0, again.stdout + again.stderr
    assert _phases(again.stdout) == _PHASES
    second = [clone.pid("api"), clone.pid("controller")]
    assert not any(map(_is_alive, first))
    assert all(map(_is_alive, second))

    plugin = Path(clone.env["DOCKER_CONFIG"], "cli-plugins/docker-job")
    assert plugin.readlink() == Path(sys.prefix, "bin/docker-job")
    shown = again.stdout.splitlines()
    place = next(number for number, line in enumerate(shown) if "export DJD_URL=" in line)
    assert [line.split()[:3] for line in shown[place + 1 : place + 3]] == [
        ["docker", "job", "run"],
        ["docker", "job", "ls"],
    ]
    tried = subprocess.run(
        ["bash", "-c", "\n".join(shown[place : place + 3])],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        env=clone.env,
    )
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.splitlines()[0] == "Hello"
    assert tried.stdout.splitlines()[1].split()[:2] == ["ID", "PHASE"]

    posted = call(
        "POST",
        _url(clone, "PORT", "/job"),
        json.dumps({"args": ["-c", "sleep 1000"]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert posted.code == 201
    down = clone.run("down")
    assert down.returncode == 0, down.stderr
    assert not any(map(_is_alive, second))
    assert posted.body["id"] not in private_engine.names()
    assert "foreign" in private_engine.names()
    assert _image_ids(private_engine) == images
    assert not (clone.folder / ".run").exists()
    assert not plugin.is_symlink()
    private_engine.docker("rm", "foreign")


def test_down_without_up_does_nothing(clone: Clone) -> None:
    assert clone.run("down").returncode == 0


def test_an_engine_that_does_not_answer_is_named(clone: Clone) -> None:
    deaf = Clone(clone.folder, {**clone.env, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    done = deaf.run("up")
    assert done.returncode != 0
    assert "DOCKER_HOST=unix:///nowhere/docker.sock" in done.stderr
    assert done.stdout == ""
    assert not (clone.folder / ".run").exists()


def test_an_engine_that_manages_no_swarm_is_named(clone: Clone) -> None:
    swarm = Clone(clone.folder, {**clone.env, "ENGINE": "swarm"})
    done = swarm.run("up")
    assert done.returncode == 1
    assert f"{clone.env['DOCKER_HOST']} manages no swarm" in done.stderr
    assert 'eval "$(hack/swarm up)"' in done.stderr
    assert done.stdout == ""
    assert not (clone.folder / ".run").exists()
