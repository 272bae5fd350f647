"""The command line of the API, as far as it gets before serving."""

import re
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from api import __main__ as command
from api.__main__ import main, serve
from api.server.commands import COMMANDS
from api.server.options import ApiOptions


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
        ([], {"ENGINE": "podman"}, ["ENGINE", "swarm"]),
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


def test_every_option_is_a_field_of_the_one_value() -> None:
    named = {p.name for p in serve.params if p.name != "version"}
    assert {field.name for field in fields(ApiOptions)} == named
    context = serve.make_context("serve", ["--bind", "::1", "--filter-env", "A", "."])
    options = ApiOptions(**context.params)
    assert (options.bind, options.filter_env, options.filter_source) == ("::1", ("A",), ".")


@pytest.mark.parametrize("word", [*COMMANDS, "anew"])
def test_a_first_word_that_names_a_command_runs_it(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    anew = {"anew": lambda: click.Command("anew", help="Something new.")}
    monkeypatch.setattr(command, "COMMANDS", {**COMMANDS, **anew})
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"Usage: docker-job-dispatcher-api {word} ")


@pytest.mark.parametrize(
    ("words", "source"), [(["{check}"], "{check}"), (["--from-file", "check"], None), ([], None)]
)
def test_any_other_first_word_is_a_filter_or_an_option(
    words: list[str], source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ApiOptions] = []
    monkeypatch.setattr(command, "check_bind", seen.append)
    monkeypatch.setattr(command, "read_endpoint", lambda _: click.get_current_context().exit(7))
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert (ended.value.code, seen[0].filter_source) == (7, source)


def test_the_version_is_told() -> None:
    assert re.search(r"\d+\.\d+", CliRunner().invoke(serve, ["-V"]).output)
