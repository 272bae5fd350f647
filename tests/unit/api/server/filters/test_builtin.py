"""The built-in filter: what it takes, and that its variables are told before a job is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.config.faults import ConfigError
from api.config.strict_yaml import load
from api.server.filters.builtin import VARIABLES, read_default
from api.server.filters.commands import check
from api.server.filters.jq.program import JqProgram
from api.server.filters.service import from_options
from tests.support.filter_configs import MANIFESTS, config


def render(document: object, **variables: str) -> dict[str, Any]:
    """Return the manifest."""
    text = json.dumps(document)
    [manifest] = JqProgram(read_default(), variables).run(text, "/job", keep=9).values
    assert isinstance(manifest, dict)
    return manifest


def start(**variables: str) -> None:
    from_options(filter_source=None, from_file=None, filter_env=(), environ=variables)


REFUSED: list[tuple[object, str]] = [
    (None, "must be an object"),
    ([], "must be an object"),
    ("text", "must be an object"),
    (7, "must be an object"),
    (True, "must be an object"),
    ({"arg": ["typo"]}, "but arg: did you mean args?"),
    ({"Args": ["typo"], "id": "x"}, "but Args: did you mean args?"),
    ({"args": None, "x": 1}, "but x"),
    ({"args": "x"}, "array of strings"),
    ({"args": ["x", 1]}, "array of strings"),
    ({"args": {"0": "x"}}, "array of strings"),
    ({"args": [], "id": ""}, "id takes a text that is not empty"),
    ({"args": [], "id": {}}, "id takes a text"),
    ({"args": [], "id": ["x"]}, "id takes a text"),
]


@pytest.mark.parametrize(("document", "message"), REFUSED, ids=[str(r[0]) for r in REFUSED])
def test_a_document_that_would_be_a_job_that_does_nothing_is_refused(
    document: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        render(document)


@pytest.mark.parametrize(
    ("document", "name", "command"),
    [
        ({}, "demo-job-bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f", None),
        ({"id": "x"}, "demo-job-x", None),
        ({"id": 7, "args": []}, "demo-job-7", []),
        # more members make another name, as with the original
        ({"args": ["a"], "date": "2026-01-01", "id": "y"}, "demo-job-y", ["a"]),
    ],
)
def test_what_the_original_takes_is_taken(document: object, name: str, command: object) -> None:
    manifest = render(document)
    assert (manifest["Name"], manifest["Cmd"]) == (name, command)


VALUES = [
    ("JOB_TTL", ["1", "90", "999999999", ""],
     ["10m", "90s", " 90", "90 ", "90\n", "0", "00", "-1", "+90", "1.5", "1e3", "0x10", "nan",
      "infinity", "٩٠", "soon", "1000000000"]),
    ("JOB_RETRIES", ["0", "2", "10", ""], ["-1", "2.5", "two", " 2", "2\n", "1e1", "null", "٣"]),
    ("JOB_IMAGE", ["debian", "r.test:5000/a/b:1", ""], ["a b", "a\n", " "]),
    ("JOB_COMMAND", ["echo", "/opt/my app/run", ""], [" ", "echo ", "echo\n"]),
    ("JOB_NETWORK", ["jobs", ""], ["a b", "jobs\n"]),
    ("JOB_NAME_PREFIX", ["report-", ""], ["-x", "a b", "x" * 89, "ä", "a/"]),
]  # fmt: skip
GOOD = [(name, value) for name, good, _ in VALUES for value in good]
BAD = [(name, value) for name, _, bad in VALUES for value in bad]


@pytest.fixture(scope="module")
def default() -> Path:
    return MANIFESTS / "default.yaml"


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_variable_is_checked_at_start_and_by_check_and_named_with_what_it_takes(
    name: str, value: str, default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nothing is compiled: another test does
    monkeypatch.setattr("api.server.filters.service.compile_specs", lambda _: [])
    for source in (None, str(default)):
        with pytest.raises(ConfigError, match=f"{name} takes .*, not ") as caught:
            from_options(filter_source=None, from_file=source, filter_env=(), environ={name: value})
        assert len(caught.value.faults) == 1
    result = CliRunner().invoke(check, [str(default)], env={name: value})
    assert result.exit_code == 1
    assert f"spec.variables.{name}: {name} takes " in result.stderr


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_a_variable_takes_starts_and_makes_a_job(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.server.filters.service.compile_specs", lambda _: [])
    start(**{name: value})
    assert render({"args": []}, **{name: value})["Name"]


def test_limits_are_refused_where_nothing_was_checked_too() -> None:
    """As in a copy of the filter that names no variables."""
    for name in ("JOB_TTL", "JOB_RETRIES"):
        [bad] = [bad for n, _, bad in VALUES if n == name]
        for value in bad:
            with pytest.raises(ValueError, match=f"{name} takes a whole number"):
                render({"args": []}, **{name: value})


def test_empty_variables_are_absent_ones() -> None:
    empty = dict.fromkeys(set(VARIABLES) - {"JOB_NAME_PREFIX"}, "")
    assert render({"args": []}, **empty) == render({"args": []})
    # the prefix alone may be wanted empty
    assert render({"id": "x"}, JOB_NAME_PREFIX="")["Name"] == "x"


def test_a_variable_without_a_name_is_none_of_the_job() -> None:
    assert render({"args": []}, JOB_ENV_="x", JOB_ENV_A="", JOB_ENV_B="b")["Env"] == ["A=", "B=b"]


def test_the_shipped_config_names_the_same_variables() -> None:
    [document] = load((MANIFESTS / "default.yaml").read_bytes())
    assert isinstance(document.value, dict)
    assert document.value["spec"]["variables"] == VARIABLES


def test_a_config_can_name_what_its_variables_take(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    extra = (
        "  env: {OWN: x}\n"
        "  variables:\n"
        "    JOB_SIZE: {pattern: '^[0-9]+$', takes: megabytes}\n"
        "    OWN: {pattern: ^y$, takes: y}\n"
    )
    file.write_text(config(extra=extra))
    result = CliRunner().invoke(check, [str(file)], env={"JOB_SIZE": "3g\n"})
    assert result.stderr.splitlines() == [
        f"{file}:9: document 1: spec.variables.JOB_SIZE: JOB_SIZE takes megabytes, not '3g\\n'",
        f"{file}:10: document 1: spec.variables.OWN: OWN takes y, not 'x'",
        "2 faults found",
    ]
    file.write_text(config(extra="  variables: {A: {pattern: '(', takes: x}}\n"))
    result = CliRunner().invoke(check, [str(file)])
    assert result.exit_code == 1
    assert "spec.variables.A.pattern" in result.stderr
