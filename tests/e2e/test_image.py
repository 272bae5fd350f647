"""The image's and the compose file's promises that can be held without building.

``hack/verify-image`` builds and runs them.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from api.server.access.tokens import ANYTHING, parse_tokens
from controller.leader_lock import FORMER_FOLDER, LOCK_FOLDER
from tests.support.usage import read_help, takes

_MANIFESTS = Path(__file__).parents[2] / "manifests"
_COMPOSE = yaml.safe_load((_MANIFESTS / "compose.yaml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_DOCKERFILE = (_MANIFESTS / "Dockerfile").read_text().replace("\\\n", "")
# What the default filter reads, and no process of ours.
_OF_FILTERS = "JOB_"


def _instructions(name: str) -> list[str]:
    """Return the arguments of one instruction in the image's last stage."""
    last = _DOCKERFILE.rpartition("\nFROM ")[2]
    return re.findall(rf"^{name}\s+(.*)$", last, re.MULTILINE)


def test_the_entry_point_is_a_list_so_that_signals_reach_the_process() -> None:
    assert json.loads(_instructions("ENTRYPOINT")[0]) == ["python3", "-P", "-m"]
    assert json.loads(_instructions("CMD")[0]) == ["api"]


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    """An orchestrator can tell without looking a name up."""
    user, group = _instructions("USER")[0].split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_health_check_is_one_python_program() -> None:
    check = _instructions("HEALTHCHECK")[0]
    words = json.loads(check[check.index("[") :])
    assert words[:2] == ["python3", "-c"]
    compile(words[2], "healthcheck", "exec")


def test_the_build_installs_only_from_the_wheels_beside_it() -> None:
    installs = re.findall(r"^RUN .*\"install\".*$", _DOCKERFILE, re.MULTILINE)
    assert installs
    assert all('"--no-index"' in line for line in installs)


@pytest.mark.parametrize("service", ["api", "controller"])
def test_a_service_has_no_more_rights_than_the_socket_gives(service: str) -> None:
    settings = _SERVICES[service]
    assert settings["read_only"] is True
    assert settings["init"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["group_add"][0].startswith("${DOCKER_GID:?")
    assert "privileged" not in settings


def test_the_api_takes_tokens_alone_for_a_job_can_join_its_network() -> None:
    api = _SERVICES["api"]
    assert "--allow-anonymous" not in api["command"]
    assert api["command"][api["command"].index("--token-file") + 1] == "/access/tokens"
    assert "${ACCESS:-./access}:/access:ro" in api["volumes"]
    assert api["networks"] == ["api", "plan"]
    assert _SERVICES["controller"]["networks"] == ["plan"]
    assert _COMPOSE["networks"] == {"api": {}, "plan": {"internal": True}}


def test_the_api_may_ask_the_controller_why_a_job_waits() -> None:
    url = urlsplit(_SERVICES["api"]["environment"]["CONTROLLER_URL"])
    command = _SERVICES["controller"]["command"]
    assert command[command.index("--health-bind") + 1] == "0.0.0.0"
    assert command[command.index("--allowed-host") + 1] == url.hostname == "controller"
    assert str(url.port) in read_help("controller")


def test_the_documented_command_makes_a_token_file_that_the_image_alone_can_read(
    tmp_path: Path,
) -> None:
    lines = (_MANIFESTS / "compose.yaml").read_text().splitlines()
    commands = [line.removeprefix("#").strip() for line in lines if "manifests/access" in line]
    assert len(commands) == 2
    (tmp_path / "manifests").mkdir()
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True, cwd=tmp_path)
    file = tmp_path / "manifests/access/tokens"
    user = int(_instructions("USER")[0].split(":")[0])
    for path, mode in ((file, 0o400), (file.parent, 0o700)):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (user, mode)
    [(_, grant)] = parse_tokens(file.read_bytes()).grants
    assert grant == ANYTHING


def test_nobody_beyond_the_host_reaches_the_api() -> None:
    assert [port.split(":")[0] for port in _SERVICES["api"]["ports"]] == ["127.0.0.1"]
    assert "ports" not in _SERVICES["controller"]


def test_filters_are_mounted_as_a_directory_that_cannot_be_written() -> None:
    mounts = [text for text in _SERVICES["api"]["volumes"] if ":/filters" in text]
    assert mounts == ["${FILTERS:-./filters}:/filters:ro"]
    assert (_MANIFESTS / "filters").is_dir()


def test_controllers_share_the_lock_folder_of_the_host() -> None:
    (lock,) = [v for v in _SERVICES["controller"]["volumes"] if isinstance(v, dict)]
    options = _COMPOSE["volumes"][lock["source"]]["driver_opts"]
    assert options["device"] == "${LOCK_DIR:-/run/docker-job-dispatcher}"
    assert lock["target"] == str(LOCK_FOLDER)
    assert str(LOCK_FOLDER) in "".join(read_help("controller").split())
    # an engine would make it root's, and nobody else could lock there: such a volume it never makes
    assert (options["type"], options["o"]) == ("none", "bind")
    assert lock["volume"] == {"nocopy": True}
    user = _instructions("USER")[0].split(":")
    assert f"d {LOCK_FOLDER} 0700 {' '.join(user)}'" in (_MANIFESTS / "compose.yaml").read_text()


def test_controllers_of_before_are_seen_from_the_container() -> None:
    assert f"{FORMER_FOLDER}:{FORMER_FOLDER}" in _SERVICES["controller"]["volumes"]


@pytest.mark.parametrize("service", ["api", "controller"])
def test_every_variable_that_a_service_is_given_is_one_the_process_reads(service: str) -> None:
    text = read_help(service)
    given = [name for name in _SERVICES[service]["environment"] if _OF_FILTERS not in name]
    assert given
    assert [name for name in given if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("service", ["api", "controller"])
def test_every_option_that_a_service_is_given_is_one_the_process_takes(service: str) -> None:
    module, *options = _SERVICES[service]["command"]
    assert module == service
    assert takes(service, *options)
