"""``check`` and ``render`` refuse what serving would, for the engine that is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.server.commands import COMMANDS
from tests.support.filter_configs import config

EXAMPLE = '  examples: [{document: {Name: job-1, Image: "a"}, contains: {}}]\n'


def run(command: str, *arguments: str, document: Any = None, **env: str) -> Result:
    return CliRunner().invoke(
        COMMANDS[command](), arguments, input=json.dumps(document), env=env or None
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return a filter whose manifests are what is posted; its example joins no network."""
    path = tmp_path / "f.yaml"
    path.write_text(config(extra=EXAMPLE, jq='{HostConfig: {NetworkMode: "none"}} * .'))
    return str(path)


def find_pointers(result: Result) -> list[str]:
    error = json.loads(result.stderr)["error"]
    assert (result.exit_code, error["code"], error["reason"]) == (3, 400, "InvalidManifest")
    assert all("Swarm" in violation["message"] for violation in error["violations"])
    return [violation["pointer"] for violation in error["violations"]]


@pytest.mark.parametrize(("arguments", "env"), [(["--engine", "SWARM"], ""), ([], "swarm")])
def test_render_refuses_what_swarm_cannot_do(arguments: list[str], env: str, file: str) -> None:
    retries = {"Name": "on-failure", "MaximumRetryCount": 2}
    document = {
        "Name": "job-1",
        "Image": "a",
        "Platform": "linux/arm/v7",
        "HostConfig": {"CpuShares": 5, "RestartPolicy": retries},
    }
    result = run("render", file, *arguments, document=document, ENGINE=env)
    assert find_pointers(result) == [
        "/HostConfig/CpuShares",
        "/HostConfig/NetworkMode",
        "/Platform",
        "/HostConfig/RestartPolicy/Name",
    ]
    assert run("render", file, document=document).exit_code == 0


def test_render_prints_for_swarm_what_is_recorded_anyway(file: str) -> None:
    """What becomes of it as a service is the engine's business, as what a container is."""
    document = {
        "Name": "job-1",
        "Image": "a",
        "Job": {"OnNodeLoss": "Rerun"},
        "HostConfig": {
            "NetworkMode": "jobs",
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
        },
    }
    shown = [run("render", file, "--engine", e, document=document) for e in ("swarm", "docker")]
    assert [result.exit_code for result in shown] == [0, 0]
    assert shown[0].stdout == shown[1].stdout


def test_check_judges_examples_by_the_engine(file: str) -> None:
    assert run("check", file).exit_code == 0
    result = run("check", file, "--engine", "swarm")
    assert result.exit_code == 1
    assert "/HostConfig/NetworkMode: Swarm runs no job without a network" in result.stderr
