"""Docker config files: whose credentials an image gets, and what is told of a broken file."""

import base64
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from api.__main__ import serve
from api.server.images.credentials import RegistryConfig, RegistryConfigError, find_registry
from api.server.images.options import make_pulling
from api.server.images.settings import Pulling
from api.server.options import ApiOptions

SECRET = "s3cret-word"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(folder: Path, content: object) -> Path:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


def choose(path: Path | None, **others: object) -> Pulling:
    context = serve.make_context("serve", [])
    return make_pulling(ApiOptions(**{**context.params, "registry_config": path, **others}))


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian", "docker.io"),
        ("debian:12", "docker.io"),
        ("team/job", "docker.io"),
        ("docker.io/team/job", "docker.io"),
        ("index.docker.io/team/job", "docker.io"),
        ("localhost/job", "localhost"),
        ("example.org/team/job:1", "example.org"),
        ("example.org:5000/job", "example.org:5000"),
        ("HOST/job", "HOST"),
    ],
)
def test_an_image_belongs_to_the_registry_that_the_engine_asks(image: str, registry: str) -> None:
    assert find_registry(image) == registry


@pytest.mark.parametrize(
    ("key", "image", "server"),
    [
        ("example.org", "example.org/job", "example.org"),
        ("https://example.org/v2/", "example.org/job", "example.org"),
        ("http://example.org:5000", "example.org:5000/job", "example.org:5000"),
        ("https://index.docker.io/v1/", "debian", "https://index.docker.io/v1/"),
    ],
)
@pytest.mark.parametrize(
    "entry",
    [
        {"auth": encode(f"user:{SECRET}:x")},
        {"username": "user", "password": f"{SECRET}:x"},
    ],
)
def test_credentials_are_found_in_every_spelling(
    tmp_path: Path, key: str, image: str, server: str, entry: dict[str, str]
) -> None:
    found = RegistryConfig(write(tmp_path, {"auths": {key: entry}})).find(image)
    assert found is not None
    assert (found.server, found.username, found.password) == (server, "user", f"{SECRET}:x")


def test_an_identity_token_serves_without_a_password(tmp_path: Path) -> None:
    entry = {"auth": encode("<token>:"), "identitytoken": SECRET}
    found = RegistryConfig(write(tmp_path, {"auths": {"example.org": entry}})).find("example.org/a")
    assert found is not None
    assert (found.identity_token, found.password) == (SECRET, "")


@pytest.mark.parametrize(
    "image", ["debian", "other.org/job", "example.org:5000/job", "example.org.evil.net/job"]
)
def test_no_registry_gets_the_credentials_of_another(tmp_path: Path, image: str) -> None:
    config = RegistryConfig(
        write(tmp_path, {"auths": {"example.org": {"auth": encode(f"user:{SECRET}")}}})
    )
    assert config.find("example.org/job") is not None
    assert config.find(image) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        f'{{"auths": {{"example.org": {{"auth": "{SECRET}"',
        [SECRET],
        {"auths": [SECRET]},
        {"auths": {"example.org": SECRET}},
        {"auths": {"example.org": {"auth": SECRET}}},
        {"auths": {"example.org": {"auth": encode(SECRET)}}},
        {"auths": {"example.org": {"auth": 7, "password": SECRET}}},
    ],
)
def test_a_broken_file_is_told_without_what_it_holds(tmp_path: Path, content: object) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RegistryConfigError) as caught:
        RegistryConfig(path).find("example.org/job")
    assert SECRET not in str(caught.value)
    assert encode(SECRET) not in str(caught.value)
    done = CliRunner().invoke(serve, ["--registry-config", str(path), "-t", "socket"])
    assert done.exit_code == 2
    assert "--registry-config" in done.output
    assert SECRET not in done.output


def test_a_file_that_is_not_there_ends_the_process_only_if_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(click.UsageError, match="No such file"):
        choose(tmp_path / "config.json")
    assert choose(None).config is None


def test_without_an_option_the_file_of_the_docker_command_line_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "other").mkdir()
    own = write(tmp_path / "other", {})
    assert choose(None).config is None
    default = write(tmp_path, {})
    assert choose(None).config == RegistryConfig(default)
    assert choose(own).config == RegistryConfig(own)


def test_a_file_that_leaves_its_secrets_to_a_helper_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, {"auths": {"example.org": {}}, "credsStore": "desktop"})
    with capture_logs() as log:
        config = choose(path).config
    assert config is not None
    assert config.find("example.org/job") is None
    assert [line["ignored"] for line in log if "helpers" in line["event"]] == [("credsStore",)]


def test_a_file_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.chmod(0o644)
    with capture_logs() as log:
        choose(path)
    assert any("read by everybody" in str(line) for line in log)


def test_waiting_for_pulls_leaves_room_for_other_requests() -> None:
    assert choose(None, max_waiting=100).waiting == 50
    assert choose(None, max_waiting=1).waiting == 1
