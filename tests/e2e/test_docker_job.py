"""``docker-job`` on a real engine: through the docker CLI, and over restarts of all three."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["sh", "-c", .run]}'
COMMAND = Path(sys.prefix, "bin/docker-job")
COUNT = """trap 'exit 7' USR1; i=0; while :; do
i=$((i+1)); echo out $i; echo err $i >&2; sleep 0.05
done"""


class Stage:
    """An engine that keeps its containers over a restart, and both processes on it."""

    def __init__(self, engine: PrivateEngine, namespace: str, folder: Path) -> None:
        self.engine = engine
        self.api = ApiProcess(engine.host, namespace, JOB)
        options = ("--lock-dir", str(folder), "-m", "4", "-u", "1")
        self.controller = ControllerProcess(engine.host, namespace, *options)
        self.env = os.environ | {"DJD_URL": self.api.url}

    def restart(self, process: ApiProcess | ControllerProcess) -> None:
        process.kill()
        process.start()

    def restart_engine(self) -> None:
        # in good order: what a killed engine had read of a log is lost, whoever follows
        self.engine.stop()
        self.engine.start()


def has_grown(file: Path, size: int) -> bool:
    return file.stat().st_size > size


@contextmanager
def open_stage(namespace: str, folder: Path) -> Iterator[Stage]:
    with PrivateEngine({"live-restore": True}) as engine:
        stage = Stage(engine, namespace, folder)
        with stage.api, stage.controller:
            yield stage


def follow_over(
    stage: Stage, name: str, folder: Path, acts: Sequence[Callable[[], object]]
) -> None:
    """Run a job that counts, with ``acts`` in the middle, and see each line of it once."""
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [COMMAND, "run", "--arg", f"name={name}", "--arg", f"run={COUNT}"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=stage.env,
        )
    try:
        end: Callable[[], object] = partial(stage.engine.docker, "kill", "--signal", "USR1", name)
        for act in [*acts, end]:
            grown = partial(has_grown, out, out.stat().st_size)
            wait_until(grown, "it goes on", patience=120)
            act()
        assert process.wait(120) == 7, err.read_text()
    finally:
        process.kill()
        process.wait()
    written = stage.engine.docker("logs", name)
    told = err.read_text().splitlines()
    assert out.read_text() == written.stdout
    assert [text for text in told if text.startswith("err ")] == written.stderr.splitlines()
    lines = written.stdout.splitlines()
    assert lines == [f"out {number + 1}" for number in range(len(lines))]
    assert sum("lost the connection" in text for text in told) == 1
    assert told[-1] == f"docker-job: {name}: Failed: exited 7"


@pytest.mark.slow
def test_a_run_loses_no_line_over_restarts_and_docker_lists_the_job(
    namespace: str, tmp_path: Path
) -> None:
    with open_stage(namespace, tmp_path) as stage:
        acts = [
            lambda: stage.restart(stage.api),
            lambda: stage.restart(stage.controller),
            stage.restart_engine,
        ]
        follow_over(stage, f"{namespace}-1", tmp_path, acts)

        plugins = tmp_path / "docker/cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-job").symlink_to(COMMAND)
        env = stage.env | {
            "DOCKER_CONFIG": str(tmp_path / "docker"),
            "DOCKER_HOST": stage.engine.host,
        }

        def docker(*words: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                ["docker", *words], env=env, capture_output=True, text=True, timeout=60, check=False
            )

        listed = docker("job", "ls")
        assert listed.returncode == 0, listed.stderr
        assert listed.stdout.splitlines()[1].split()[:4] == [
            f"{namespace}-1",
            "Failed",
            "Error",
            "7",
        ]
        waited = docker("--debug", "job", "wait", f"{namespace}-1")
        assert waited.returncode == 7
        assert waited.stderr == f"docker job: {namespace}-1: Failed: exited 7\n"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_loses_no_line_over_ten_restarts_of_each(namespace: str, tmp_path: Path) -> None:
    with open_stage(namespace, tmp_path) as stage:
        acts: list[Callable[[], None]] = []
        for _ in range(10):
            acts += [
                lambda: stage.restart(stage.api),
                lambda: stage.restart(stage.controller),
                stage.restart_engine,
            ]
        follow_over(stage, f"{namespace}-1", tmp_path, acts)
