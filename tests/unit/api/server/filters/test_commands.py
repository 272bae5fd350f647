"""``check`` and ``render``: filter configs tried without an engine, for people and for CI."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.server.filters.commands import build_check, build_render
from api.server.filters.generation import Rendered
from api.server.http.problem import Problem
from tests.support.filter_configs import MANIFESTS, config

DOCUMENT = '{"args": ["Hello", "world!"]}'


def check(*files: Path, admit: Any = None) -> Result:
    return CliRunner().invoke(build_check(admit), list(map(str, files)))


def render(*args: str, document: str = DOCUMENT, env: Any = None, admit: Any = None) -> Result:
    return CliRunner().invoke(build_render(admit), args, input=document, env=env)


def test_each_filter_to_learn_from_has_examples_that_pass_and_no_warning() -> None:
    files = sorted(MANIFESTS.glob("*.yaml"))
    assert all("examples:" in file.read_text() for file in files)
    result = check(*files)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{len(files)} ")


def test_check_names_every_fault_of_a_directory_and_exits_with_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(config("a", "/job/a", "  nme: x\n"))
    (tmp_path / "b.yaml").write_text(config("b", "/job/b", jq=". + nosuch"))
    (tmp_path / "c.yaml").write_text(config("b", "/job/c", "  env: {A: 1}\n"))
    (tmp_path / "d.yaml").write_text(config("d", "/job/b"))
    (tmp_path / "e.yaml").write_text("a: *b\n")
    result = check(tmp_path)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = [line.removeprefix(f"{tmp_path}/") for line in result.stderr.splitlines()]
    assert [line.split(": ")[:3] for line in lines[:-1]] == [
        ["a.yaml:7", "document 1", "spec.nme"],
        ["b.yaml:6", "document 1", "spec.filter"],
        ["c.yaml:7", "document 1", "spec.env.A"],
        ["d.yaml:5", "document 1", "spec.path"],
        ["e.yaml:1:4", "document 1", "a"],
    ]
    assert lines[-1] == "5 faults found"


QUEUE = "apiVersion: docker-job-dispatcher/v1\nkind: Queue\nmetadata: {name: etl}\nspec: "


def test_check_judges_queues_and_names_a_filter_whose_queue_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(config("a", "/job/a", "  job: {queue: elt}\n"))
    (tmp_path / "q.yaml").write_text(QUEUE + "{weight: 0}\n")
    result = check(tmp_path)
    assert result.exit_code == 1
    assert result.stderr.removeprefix(f"{tmp_path}/").startswith(
        "q.yaml:4: document 1: spec.weight"
    )
    (tmp_path / "q.yaml").write_text(QUEUE + "{weight: 1}\n")
    result = check(tmp_path)
    assert result.exit_code == 0
    assert result.stdout == "1 filters, 1 queues and 0 examples are well, with 1 warning\n"
    assert "a.yaml:7: document 1: spec.job.queue: no document of kind Queue is called elt" in (
        result.stderr
    )


EXAMPLES = [
    ("manifest: {Name: x}", None),
    ("manifest: {Name: x, Image: null}", None),
    ("manifest: {Name: y}", 'expected {"Name": "y"}, got {"Name": "x"}'),
    ("contains: {Name: x}", None),
    ("contains: {Cmd: []}", "/Cmd is absent"),
    ("contains: {Name: y}", '/Name: expected "y", got "x"'),
    ("error: {reason: FilterFailed}", "expected FilterFailed, got the manifest"),
    ("env: {JOB_FAIL: wanted}\n    error: {reason: FilterFailed, message: wanted}", None),
    ("env: {JOB_FAIL: wanted}\n    error: {reason: FilterFailed, message: other}", "with 'other'"),
    ("env: {JOB_FAIL: wanted}\n    error: {reason: NoManifest}", "expected NoManifest, got"),
    ("env: {JOB_FAIL: wanted}\n    contains: {}", "refused: FilterFailed"),
    ("path: /job/elsewhere\n    contains: {}", "refused: NoFilter"),
]


@pytest.mark.parametrize(("expected", "message"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_check_runs_examples(tmp_path: Path, expected: str, message: str | None) -> None:
    jq = "if env.JOB_FAIL then error(env.JOB_FAIL) else {Name: .n, Image: null} end"
    extra = f"  examples:\n  - name: one\n    document: {{n: x}}\n    {expected}\n"
    file = tmp_path / "f.yaml"
    file.write_text(config("a", "/job/a", extra, jq))
    result = check(file)
    assert result.exit_code == (0 if message is None else 1)
    if message is not None:
        assert message in result.stderr
        assert f"{file}:8: document 1: spec.examples[0]: one: " in result.stderr


def test_examples_see_nothing_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_PLANTED", "secret")
    file = tmp_path / "f.yaml"
    file.write_text(config(extra="  examples: [{document: 1, manifest: {}}]\n", jq="env"))
    assert check(file).exit_code == 0


def test_examples_are_judged_by_admission_where_there_is_one(tmp_path: Path) -> None:
    def admit(rendered: Rendered) -> dict[str, object]:
        raise Problem(403, "Denied", f"{rendered.filter} asks for too much")

    file = tmp_path / "f.yaml"
    file.write_text(config(extra="  examples: [{document: 1, error: {reason: Denied}}]\n"))
    assert check(file, admit=admit).exit_code == 0
    assert check(file).exit_code == 1


def test_single_files_are_checked_as_one_source(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(config("a"))
    (tmp_path / "b.yaml").write_text(config("b"))
    result = check(tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "absent.yaml")
    assert result.exit_code == 1
    assert "/job is taken already by" in result.stderr
    assert "absent.yaml: No such file or directory" in result.stderr


def test_check_without_files_is_wrong_usage() -> None:
    assert check().exit_code == 2


def test_render_prints_the_manifest() -> None:
    result = render(str(MANIFESTS / "default.yaml"), env={"JOB_IMAGE": "mine:1"})
    assert (result.exit_code, result.stderr) == (0, "")
    manifest = json.loads(result.stdout)
    assert manifest["Name"] == "demo-job-a59c882c2fcdd8f26a5fd326110d667620368145"
    assert manifest["Image"] == "mine:1"


def test_render_takes_jq_files_paths_and_named_variables(tmp_path: Path) -> None:
    file = tmp_path / "f.jq"
    file.write_text("{Name: $PATH, E: [env.SHOWN, env.HIDDEN]}")
    options = ("--path", "/job/x/", "--filter-env", "SHOWN")
    result = render(str(file), *options, env={"SHOWN": "1", "HIDDEN": "2"})
    assert json.loads(result.stdout) == {"Name": "/job/x", "E": ["1", None]}


@pytest.mark.parametrize(
    ("path", "document", "code", "reason"),
    [
        ("/job/elsewhere", "{}", 404, "NoFilter"),
        ("/job/resize", "{", 400, "NotJson"),
        ("/job/resize", '{"picture": "a.png", "picture": "b.png"}', 400, "DuplicateKey"),
        ("/job/resize", "{}", 400, "SchemaViolation"),
        ("/job/run/perl", '{"script": "1"}', 400, "FilterFailed"),
        ("/job/report", '{"month": "2026-03", "attempts": 99}', 403, "RuleViolation"),
    ],
)
def test_render_answers_a_refusal_as_the_api_does_and_exits_with_three(
    tmp_path: Path, path: str, document: str, code: int, reason: str
) -> None:
    for stem in ("resize", "retries", "run"):
        (tmp_path / f"{stem}.yaml").write_bytes((MANIFESTS / f"{stem}.yaml").read_bytes())
    result = render(str(tmp_path), "--path", path, document=document)
    assert (result.exit_code, result.stdout) == (3, "")
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["reason"]) == (code, reason)


def test_render_of_a_bad_config_exits_with_one(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(config(jq="nosuch"))
    result = render(str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nosuch/0 is not defined" in result.stderr
