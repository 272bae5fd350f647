"""The systemd units: well formed, hardened, and starting what the package installs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.leader_lock import FORMER_FOLDER, LOCK_FOLDER

_UNITS = sorted((Path(__file__).parents[2] / "manifests/systemd").glob("*.service"))
_INSTALLED = Path("/opt/docker-job-dispatcher/bin")
_SCRIPTS = Path(sys.executable).parent
# On systemd's scale from 0 (closed) to 100 (open); up to 20 it says OK.
_EXPOSURE = 20


def _analyze(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def _copy(unit: Path, folder: Path, planted: str = "") -> Path:
    """Copy a unit so that it starts the scripts of this environment."""
    text = unit.read_text().replace(str(_INSTALLED), str(_SCRIPTS))
    copy = folder / unit.name
    copy.write_text(text.replace("[Service]\n", f"[Service]\n{planted}"))
    return copy


def test_there_is_one_unit_for_each_process() -> None:
    assert [unit.stem for unit in _UNITS] == [
        "docker-job-dispatcher-api",
        "docker-job-dispatcher-controller",
    ]


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    done = _analyze("verify", _copy(unit, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_directive_would_be_noticed(tmp_path: Path) -> None:
    done = _analyze("verify", _copy(_UNITS[0], tmp_path, "NoNewPrivilege=yes\n"))
    assert "NoNewPrivilege" in done.stderr


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_the_unit_is_closed_to_what_the_process_does_not_need(unit: Path) -> None:
    done = _analyze("security", "--offline=true", f"--threshold={_EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout


def test_the_folder_of_the_lock_is_the_controllers_alone_and_stays() -> None:
    """Two units share it: it must not go with the first that ends, nor belong to one of them."""
    text = (_UNITS[1]).read_text()
    lines = {key: value for key, _, value in (x.partition("=") for x in text.splitlines())}
    assert Path("/run", lines["RuntimeDirectory"]) == LOCK_FOLDER
    assert lines["RuntimeDirectoryMode"] == "0700"
    assert lines["RuntimeDirectoryPreserve"] == "yes"
    assert lines["User"] == "docker-job-dispatcher"
    assert lines["ReadWritePaths"] == f"-{FORMER_FOLDER}"


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_the_unit_starts_the_command_of_its_name(unit: Path) -> None:
    match = re.search(r"^ExecStart=(\S+)$", unit.read_text(), re.MULTILINE)
    assert match
    assert Path(match[1]) == _INSTALLED / unit.stem
