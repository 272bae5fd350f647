"""What the scripts that run tests ask of a machine, and which environment they use."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
# Stands for every command that is asked for: says what it was called with, and who called.
_STUB = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
echo installed
"""

_TOOLS = [
    *("pytest", "python", "ruff", "mypy", "lint-imports", "pip", "shellcheck"),
    *("openapi-spec-validator", "docker-job-dispatcher-api"),
]


@dataclass(frozen=True, slots=True)
class Clone:
    """A folder with the scripts, on a machine where commands only note that they were called."""

    folder: Path

    def run(self, *command: str, fails: bool = False) -> list[str]:
        """Run a script of hack/, which ``fails`` or not, and return the calls it made."""
        calls = self.folder / "calls"
        env = {
            "PATH": f"{self.folder}/machine:{os.environ['PATH']}",
            "VENV": str(self.folder / "environment"),
            "CALLS": str(calls),
        }
        done = subprocess.run(
            [self.folder / "hack" / command[0], *command[1:]],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=env,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return calls.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    folders = ("tests/unit/controller", "tests/e2e", "machine", "environment/bin")
    for folder in (*folders, ".cache/engines/sid"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("tests/unit/test_a.py", "tests/e2e/test_b.py"):
        (tmp_path / file).touch()
    for command in ("dpkg-query", "docker"):
        _write_stub(tmp_path / "machine" / command)
    _write_stub(tmp_path / "machine/nproc", "#!/bin/sh\necho 2\n")
    for command in _TOOLS:
        _write_stub(tmp_path / "environment/bin" / command)
    return Clone(tmp_path)


def _write_stub(path: Path, text: str = _STUB) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    "arguments",
    [
        ["tests/unit"],
        ["tests/unit/", "-q"],
        ["tests/unit/test_a.py::test_x", "tests/unit/controller", "-k", "plan"],
        ["--durations=5", "./tests/unit/test_a.py"],
    ],
)
def test_unit_tests_alone_ask_nothing_of_the_machine(clone: Clone, arguments: list[str]) -> None:
    calls = clone.run("test", *arguments)
    assert calls == [f"pytest -n 5 --dist worksteal {' '.join(arguments)}"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "plan"],
        ["tests"],
        ["tests/unit", "tests/e2e/test_b.py"],
        ["tests/unit/../e2e"],
    ],
)
def test_other_tests_get_what_they_need_first(clone: Clone, arguments: list[str]) -> None:
    calls = clone.run("test", *arguments)
    assert calls[0].startswith("dpkg-query")
    assert "docker.io" in " ".join(calls)
    assert calls[-1] == f"pytest -n 5 --dist worksteal {' '.join(arguments)}"


def test_all_are_the_checks_the_tests_and_then_what_compares_times(clone: Clone) -> None:
    calls = clone.run("test")
    assert (clone.folder / ".cache/engines/sid.bin/dockerd").exists()
    assert "mypy " in calls
    expected = "pytest -n 5 --dist loadfile --no-loadscope-reorder -m not quiet and not thorough"
    assert expected in calls
    assert calls[-1] == "pytest -m quiet and not thorough"


def test_a_check_that_fails_fails_all(clone: Clone) -> None:
    _write_stub(clone.folder / "environment/bin/ruff", "#!/bin/sh\nexit 1\n")
    assert "pytest -m quiet and not thorough" not in clone.run("test", fails=True)


def test_chaos_runs_in_the_environment_that_is_asked_for(clone: Clone) -> None:
    assert clone.run("chaos", "--seconds", "9")[-1] == "python -m tests.chaos --seconds 9"
    catalogue = clone.run("chaos", "--catalogue", "-k", "starts")[-1]
    assert catalogue.startswith("pytest tests/chaos/")
    assert catalogue.endswith("-k starts")


def test_the_house_is_among_what_is_verified(clone: Clone) -> None:
    calls = clone.run("verify")
    assert "python -m tests.house" in calls
    assert {call.split()[0] for call in calls} >= {*_TOOLS} - {"pytest"}
