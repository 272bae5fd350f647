"""The stack file's promises that can be held without an image: ``manifests/swarm.yaml``."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from api.server.access.tokens import ANYTHING, parse_tokens
from tests.support.private_swarm import PrivateSwarm
from tests.support.usage import read_help, takes

_MANIFESTS = Path(__file__).parents[2] / "manifests"
_FILE = _MANIFESTS / "swarm.yaml"
_STACK = yaml.safe_load(_FILE.read_text())
_SERVICES: dict[str, dict[str, Any]] = _STACK["services"]
_USER = re.findall(r"^USER (\d+):", (_MANIFESTS / "Dockerfile").read_text(), re.MULTILINE)[0]
# What the default filter reads, and no process of ours.
_OF_FILTERS = "JOB_"

both = pytest.mark.parametrize("service", ["api", "controller"])


@pytest.fixture
def access(tmp_path: Path) -> Path:
    """Run the documented commands that make the secrets; return their folder."""
    text = _FILE.read_text().partition("\nversion:")[0].replace("\\\n#", "")
    lines = [line.removeprefix("#").strip() for line in text.splitlines()]
    commands = [line for line in lines if "manifests/access" in line]
    assert len(commands) == 3
    (tmp_path / "manifests").mkdir()
    script = "\n".join(commands)
    subprocess.run(["sh", "-ec", script], check=True, cwd=tmp_path, capture_output=True)
    return tmp_path / "manifests/access"


@both
def test_a_service_has_no_more_rights_than_the_socket_gives(service: str) -> None:
    settings = _SERVICES[service]
    assert settings["read_only"] is True
    assert settings["init"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["user"].startswith(f"{_USER}:${{DOCKER_GID:?")
    sockets = [mount["source"] for mount in settings["volumes"] if mount["type"] == "bind"]
    assert sockets == ["${DOCKER_SOCKET:-/var/run/docker.sock}"]


@both
def test_a_service_runs_where_the_swarm_can_be_asked(service: str) -> None:
    assert _SERVICES[service]["environment"]["ENGINE"] == "swarm"
    assert _SERVICES[service]["deploy"]["placement"] == {"constraints": ["node.role == manager"]}


def test_the_api_takes_tokens_alone_and_over_tls_for_its_port_is_everybodys() -> None:
    command = _SERVICES["api"]["command"]
    assert "--allow-anonymous" not in command
    files = {f"/run/secrets/{secret['target']}" for secret in _SERVICES["api"]["secrets"]}
    options = dict(word.split("=", 1) for word in command[1:])
    assert {options[name] for name in ("--token-file", "--tls-cert", "--tls-key")} == files


def test_the_image_s_user_alone_reads_the_secrets() -> None:
    for secret in _SERVICES["api"]["secrets"]:
        assert (secret["uid"], secret["mode"]) == (_USER, 0o400)
    assert "secrets" not in _SERVICES["controller"]


def test_the_api_may_ask_the_one_controller_why_a_job_waits() -> None:
    """Of several it would ask any, and not the one that leads."""
    controller = _SERVICES["controller"]
    url = urlsplit(_SERVICES["api"]["environment"]["CONTROLLER_URL"])
    assert f"--allowed-host={url.hostname}" in controller["command"]
    assert "--health-bind=0.0.0.0" in controller["command"]
    assert str(url.port) in read_help("controller")
    assert controller["deploy"]["replicas"] == 1


def test_the_controller_is_reached_by_the_api_alone() -> None:
    assert "ports" not in _SERVICES["controller"]
    assert _SERVICES["controller"]["networks"] == ["plan"]
    assert _SERVICES["api"]["networks"] == ["api", "plan"]
    assert _STACK["networks"]["plan"]["internal"] is True


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_what_never_changes_has_a_name_that_can(kind: str) -> None:
    names = [each["name"] for each in _STACK[kind].values()]
    assert names
    assert [name for name in names if not name.endswith("-${CONFIG:-1}")] == []


@both
def test_every_variable_that_a_service_is_given_is_one_the_process_reads(service: str) -> None:
    text = read_help(service)
    given = [name for name in _SERVICES[service]["environment"] if _OF_FILTERS not in name]
    assert given
    assert [name for name in given if not re.search(rf"\b{name}\b", text)] == []


@both
def test_every_option_that_a_service_is_given_is_one_the_process_takes(service: str) -> None:
    module, *options = _SERVICES[service]["command"]
    assert module == service
    assert takes(service, *options)


@both
def test_the_health_check_is_one_python_program(service: str) -> None:
    words = _SERVICES[service]["healthcheck"]["test"]
    assert words[:3] == ["CMD", "python3", "-c"]
    compile(words[3], "healthcheck", "exec")


def test_the_documented_commands_make_a_token_and_a_certificate(access: Path) -> None:
    file = access / "tokens"
    for path, mode in ((file, 0o400), (access, 0o700), (access / "tls.key", 0o600)):
        assert path.stat().st_mode & 0o777 == mode
    [(_, grant)] = parse_tokens(file.read_bytes()).grants
    assert grant == ANYTHING
    assert "CERTIFICATE" in (access / "tls.crt").read_text()


@pytest.mark.engine
def test_a_swarm_takes_the_stack(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"ACCESS": str(access), "DOCKER_GID": "99", "ALLOWED_HOST": "a b", "NAMESPACE": "stack"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    deploy = ("stack", "deploy", "--resolve-image", "never", "--compose-file", str(_FILE), "stack")
    form = "{{.Name}} {{.Mode}}"
    with PrivateSwarm(1) as swarm:
        engine = swarm.nodes[0].engine
        done = engine.docker(*deploy)
        assert "nsupported" not in done.stdout + done.stderr
        listed = engine.docker("service", "ls", "--format", form).stdout.splitlines()
        assert sorted(listed) == ["stack_api global", "stack_controller replicated"]
