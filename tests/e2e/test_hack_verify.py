"""What ``hack/verify`` and ``hack/test`` must notice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.private_engine import PrivateEngine

_ROOT = Path(__file__).parents[2]
_SCRIPTS = Path(sys.executable).parent


def _run(folder: Path, *command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name[:6] != "PYTEST"},
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return a copy of both packages and of what the checks read."""
    for package in ("api", "controller"):
        shutil.copytree(
            _ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(_ROOT / "hack", tmp_path / "hack")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(_ROOT / name, tmp_path)
    return tmp_path


def _lint_imports(sources: Path) -> "subprocess.CompletedProcess[str]":
    return _run(sources, _SCRIPTS / "lint-imports", "--no-cache")


def test_the_import_rules_hold(sources: Path) -> None:
    done = _lint_imports(sources)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "planted", "rule"),
    [
        ("controller/planner.py", "api.server.app", "The controller never imports the HTTP server"),
        ("controller/executor.py", "aiodocker", "Only api.engine.docker knows aiodocker"),
        ("api/engine/interface.py", "aiodocker", "Only api.engine.docker knows aiodocker"),
        ("api/__main__.py", "aiodocker.containers", "Only api.engine.docker knows aiodocker"),
        ("controller/planner.py", "time", "The planner decides"),
        ("api/v1/job.py", "asyncio", "The contract is standard library only"),
        ("api/server/app.py", "controller", "Two rooms and a contract"),
        ("api/informer/store.py", "api.engine.docker.decode", "Above the Engine interface"),
        ("controller/reconciler.py", "api.engine.docker.engine", "Above the Engine interface"),
    ],
)
def test_a_planted_import_fails_the_check(
    sources: Path, module: str, planted: str, rule: str
) -> None:
    file = sources / module
    file.write_text(f"{file.read_text()}\nimport {planted}\n")
    done = _lint_imports(sources)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(rule) for line in broken), done.stdout


def _check_house(sources: Path) -> "subprocess.CompletedProcess[str]":
    return _run(_ROOT, sys.executable, "-m", "tests.house", sources)


def test_the_houses_rules_hold(sources: Path) -> None:
    done = _check_house(sources)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", ["die", "destroy"])
def test_a_planted_event_word_fails_the_check(sources: Path, word: str) -> None:
    file = sources / "controller/reconciler.py"
    file.write_text(f'{file.read_text()}\n_ENDED = "{word}"\n')
    done = _check_house(sources)
    assert done.returncode == 1
    assert f"event word {word!r}" in done.stderr


def test_the_locks_answer_the_project(sources: Path) -> None:
    assert _run(sources, sys.executable, "hack/verify-locks.py").returncode == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("pyproject.toml", '"tenacity>=', '"tenacity>=99", "x>=', "tenacity>=99 is wanted"),
        ("requirements.lock", "tenacity==", "tenacity==0", "requirements-dev.lock"),
        ("requirements.lock", "tenacity==", "lost==", "None is there"),
    ],
)
def test_a_lock_that_is_behind_fails_the_check(
    sources: Path, file: str, old: str, new: str, told: str
) -> None:
    text = (sources / file).read_text()
    assert old in text
    (sources / file).write_text(text.replace(old, new))
    done = _run(sources, sys.executable, "hack/verify-locks.py")
    assert done.returncode == 1
    assert told in done.stderr


def test_an_engine_is_had(private_engine: PrivateEngine) -> None:
    assert private_engine.docker("version").returncode == 0


def test_a_test_fails_where_no_engine_can_be_had() -> None:
    """It neither passes nor is skipped."""
    dockerd = shutil.which("dockerd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert dockerd
    test = f"{Path(__file__).relative_to(_ROOT)}::{test_an_engine_is_had.__name__}"
    hidden = 'mount --bind /dev/null "$1"; shift; exec "$@"'
    pytest_command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test)
    done = _run(_ROOT, "unshare", "--mount", "sh", "-c", hidden, "sh", dockerd, *pytest_command)
    assert done.returncode == 1, done.stdout
    assert "EngineFailedError" in done.stdout
    assert "1 error in" in done.stdout
