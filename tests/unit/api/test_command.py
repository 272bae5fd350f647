"""The command line of the API, as far as it gets before serving."""

import re

import click
import pytest
from click.testing import CliRunner

from api.__main__ import serve


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["--port", "x"], {}, ["--port", "65535"]),
        ([], {"PORT": "70000"}, ["PORT", "65535"]),
        ([], {"BIND": "example.org"}, ["BIND", "IP address"]),
        (["--bind", "0.0.0.0"], {}, ["0.0.0.0", "--allow-anonymous"]),
        (["--bind", "::"], {}, ["--allow-anonymous"]),
        (["--admission", "x"], {}, ["--admission", "baseline"]),
        (["-t", "carrier"], {}, ["--transport", "socket"]),
        ([], {"LOG_LEVEL": "loud"}, ["LOG_LEVEL", "trace"]),
        ([], {"ALLOW_ANONYMOUS": "perhaps"}, ["ALLOW_ANONYMOUS"]),
        (["-n", ""], {}, ["--namespace", "128"]),
        ([], {"DOCKER_HOST": "tcp://x:1"}, ["DOCKER_HOST", "unix://"]),
    ],
)
def test_a_wrong_value_is_answered_with_the_option_and_what_it_accepts(
    arguments: list[str], env: dict[str, str], words: list[str]
) -> None:
    done = CliRunner().invoke(serve, arguments, env=env)
    assert done.exit_code == 2
    for word in words:
        assert word in done.output


def test_help_shows_every_option_with_its_variable() -> None:
    text = re.sub(r"\s+", " ", CliRunner().invoke(serve, ["--help"]).output)
    options = [p for p in serve.params if isinstance(p, click.Option) and p.name != "version"]
    assert len(options) >= 10
    for option in options:
        assert option.opts[-1] in text
        assert f"env var: {option.envvar}" in text
    assert "check FILE" in text
    assert "render FILE" in text


def test_the_version_is_told() -> None:
    assert re.search(r"\d+\.\d+", CliRunner().invoke(serve, ["-V"]).output)
