"""Filter configs: every fault is named with its place, and paths are routed to one filter."""

import os
from pathlib import Path
from typing import Any

import pytest

from api.config.faults import ConfigError, ConfigFault
from api.config.source import SourceFile, read_source
from api.config.strict_yaml import MAX_BYTES, load
from api.server.filters.builtin import read_default
from api.server.filters.catalog import FilterCatalog, read_catalog
from api.server.filters.config import ConflictPolicy
from api.server.filters.generation import Rendered
from api.server.filters.service import from_options, select_environment, validate
from tests.support.filter_configs import MANIFESTS, config


def fault(text: str) -> ConfigFault:
    """Return the one fault of ``text``."""
    with pytest.raises(ConfigError) as caught:
        validate([SourceFile("f.yaml", text.encode())], {})
    [found] = caught.value.faults
    return found


FAULTS = [
    (config(extra="  filters: .\n"), "spec.filters", 7, "unknown field"),
    (config(extra="  rules: [{expression: ., message: m, level: 1}]\n"), "spec.rules[0].level", 7,
     "unknown field"),
    (config().replace("kind: Filter", "kind: Job"), "kind", 2, "'Filter'"),
    (config().replace("/v1", "/v2"), "apiVersion", 1, "docker-job-dispatcher/v1"),
    (config().replace("kind: Filter\n", ""), "kind", 1, "required, but absent"),
    (config().replace("  filter: '.'\n", ""), "spec.filter", 5, "required, but absent"),
    (config(name="7"), "metadata.name", 3, "string"),
    (config(name="A_b"), "metadata.name", 3, "pattern"),
    (config(path="/jobs"), "spec.path", 5, "/job or lies below"),
    (config(path="/job/"), "spec.path", 5, "/job or lies below"),
    (config(path="/job/../x"), "spec.path", 5, "/job or lies below"),
    (config(extra="  paths: [/job/b]\n"), "spec", 5, "either path or paths"),
    (config(extra="  env: {SIZE: 256}\n"), "spec.env.SIZE", 7, "string"),
    (config(extra="  env: {A-B: x}\n"), "spec.env.A-B", 7, "pattern"),
    (config(extra="  pull: never\n"), "spec.pull", 7, "'Never'"),
    (config(extra="  onConflict: Refuse\n"), "spec.onConflict", 7, "'refuse'"),
    (config(extra="  admission: {profile: open}\n"), "spec.admission.profile", 7, "'baseline'"),
    (config(extra="  job: {queue: Etl}\n"), "spec.job.queue", 7, "pattern"),
    (config(extra="  job: {priority: 1001}\n"), "spec.job.priority", 7, "1000"),
    (config(extra="  job: {startBy: 0}\n"), "spec.job.startBy", 7, "more than 0"),
    (config(extra="  job: {runFor: soon}\n"), "spec.job.runFor", 7, "2h"),
    (config(extra="  job: {runfor: 1}\n"), "spec.job.runfor", 7, "unknown field"),
    (config(extra="  schema: [1]\n"), "spec.schema", 7, "dictionary"),
    (config(extra="  schema:\n    properties:\n      a: {type: strin}\n"),
     "spec.schema.properties.a.type", 9, "strin"),
    (config(extra="  schema: {pattern: '('}\n"), "spec.schema.pattern", 7, "regex"),
    (config(extra="  schema: {$ref: 'https://example.test/x'}\n"), "spec.schema.$ref", 7,
     "leads nowhere"),
    (config(extra="  schema: {$schema: 'https://example.test/x'}\n"), "spec.schema.$schema", 7,
     "not a dialect"),
    (config(extra="  examples:\n  - document: {}\n"), "spec.examples[0]", 8, "exactly one of"),
    (config(extra="  env: {A: x}\n  env: {A: y}\n"), "spec", 8, "env stands twice"),
    (config(extra="  env: &e {A: x}\n"), "spec.env", 7, "anchors are not accepted"),
    (config(extra="  env: *e\n"), "spec.env", 7, "aliases are not accepted"),
    (config(extra="  env: !!python/name:os.system x\n"), "spec.env", 7, "tags are not accepted"),
    (config(jq=". |"), "spec.filter", 6, "syntax error"),
    (config(jq="nosuch"), "spec.filter", 6, "nosuch/0 is not defined"),
    (config(jq=" "), "spec.filter", 6, "empty"),
    (config(extra='  rules: [{expression: "\\0.", message: m}]\n'), "spec.rules[0].expression", 7,
     "U+0000"),
    (config(extra="  rules:\n  - {expression: a b, message: m}\n"), "spec.rules[0].expression", 8,
     "syntax error"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field", "line", "message"), FAULTS, ids=[f[1] for f in FAULTS])
def test_a_fault_names_file_document_field_and_line(
    text: str, field: str, line: int, message: str
) -> None:
    found = fault("# nothing here\n---\n" + text)
    assert (found.file, found.document, found.field) == ("f.yaml", 1, field)
    assert found.line == line + 2
    assert message in found.message


def test_a_fault_of_jq_names_line_and_column_in_file_and_filter() -> None:
    found = fault(
        config().replace("'.'", "|\n    {\n      Name: .name,\n      Image: image\n    }")
    )
    assert (found.line, found.inner) == (9, "jq line 3, column 10")
    assert str(found).startswith(
        "f.yaml:9: document 1: spec.filter: jq line 3, column 10: image/0 is not defined"
    )


def both(first: str, second: str) -> bytes:
    """Return a file of two documents."""
    return f"{first}---\n{second}".encode()


def test_every_fault_of_all_files_is_named_at_once() -> None:
    files = [
        SourceFile("a.yaml", both(config("a") + "  x: 1\n", config("b", "/job/b", jq="nope"))),
        SourceFile("b.yaml", both(config("b", "/job/b"), config("c", extra="  y: 1\n"))),
        SourceFile("c.yaml", failure="Permission denied"),
        SourceFile("d.yaml", b"# nothing\n"),
        SourceFile("e.yaml", b"a: [\n"),
        SourceFile("f.yaml", b"#" * (MAX_BYTES + 1)),
        SourceFile("g.yaml", b"\xff"),
        SourceFile("h.jq", b"(\n"),
        SourceFile("i.jq", b""),
        SourceFile("j.jq", b".\xff"),
    ]
    with pytest.raises(ConfigError) as caught:
        validate(files, {})
    assert [(f.file, f.document, f.field) for f in caught.value.faults] == [
        ("a.yaml", 1, "spec.x"),
        ("a.yaml", 2, "spec.filter"),
        ("b.yaml", 1, "metadata.name"),
        ("b.yaml", 1, "spec.path"),
        ("b.yaml", 2, "spec.y"),
        ("c.yaml", 0, ""),
        ("d.yaml", 0, ""),
        ("e.yaml", 1, ""),
        ("f.yaml", 0, ""),
        ("g.yaml", 0, ""),
        ("h.jq", 0, ""),
        ("i.jq", 0, ""),
        ("j.jq", 0, ""),
    ]
    text = str(caught.value)
    assert "b is taken already by a.yaml, document 2" in text
    assert "/job/b is taken already by a.yaml, document 2" in text
    assert "larger than" in text
    assert "UTF-8" in text


def test_paths_of_one_filter_clash_too() -> None:
    text = config(extra="").replace("path: /job", "paths: [/job/a, /job/b, /job/a]")
    found = fault(text)
    assert (found.field, found.line) == ("spec.paths[2]", 5)


def catalog(**paths: str) -> FilterCatalog:
    text = "---\n".join(config(name, path) for name, path in paths.items())
    found, faults = read_catalog([SourceFile("f.yaml", text.encode())])
    assert not faults
    return found


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/job/a", "a"),
        ("/job/a/x", "a"),
        ("/job/a/b", "b"),
        ("/job/a/b/c/d", "b"),
        ("/job/a/bc", "a"),
        ("/job/ab", None),
        ("/job", None),
        ("/job/", None),
        ("", None),
    ],
)
def test_the_longest_path_that_covers_a_request_wins(path: str, name: str | None) -> None:
    found = catalog(a="/job/a", b="/job/a/b")
    index = found.route(path)
    assert (None if index is None else found.entries[index].config.metadata.name) == name


def test_filters_see_job_variables_those_named_and_their_own() -> None:
    environ = {"JOB_X": "1", "TOKEN": "secret", "EXTRA": "2", "MYJOB_": "3"}
    environment = select_environment(environ, ["EXTRA", "ABSENT"])
    assert environment == {"JOB_X": "1", "EXTRA": "2"}
    found, _ = read_catalog(
        [SourceFile("f.yaml", config(extra="  env: {JOB_X: mine, OWN: o}\n").encode())]
    )
    [spec] = found.specify(environment)
    assert spec.env == {"JOB_X": "mine", "EXTRA": "2", "OWN": "o"}
    with pytest.raises(ConfigError, match="'A=B' is not a variable's name"):
        select_environment({}, ["A=B"])


def test_a_filter_or_a_file_of_filters_but_not_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either a filter or a file"):
        from_options(filter_source=".", from_file=str(tmp_path), filter_env=(), environ={})
    for source in ("", " ", "# nothing", "a b"):
        with pytest.raises(ConfigError, match="FILTER"):
            from_options(filter_source=source, from_file=None, filter_env=(), environ={})
    filters = from_options(filter_source=".", from_file=None, filter_env=(), environ={})
    assert filters.status.generation == 1


def test_a_source_of_nothing_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \*\.yaml"):
        read_source(tmp_path)
    (tmp_path / ".hidden.yaml").write_text(config())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "sub.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"no \*\.yaml"):
        read_source(tmp_path)
    [file] = read_source(tmp_path / "absent.yaml").files
    assert file.failure == "No such file or directory"


def test_a_look_follows_links_and_sees_any_change(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "f.yaml").write_text(config(version))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "f.yaml").symlink_to("..data/f.yaml")
    first = read_source(tmp_path)
    assert [f.content for f in first.files] == [config("one").encode()]
    assert read_source(tmp_path) == first
    (tmp_path / "..next").symlink_to("..two")
    (tmp_path / "..next").replace(tmp_path / "..data")
    second = read_source(tmp_path)
    assert [f.content for f in second.files] == [config("two").encode()]
    assert second.fingerprint != first.fingerprint
    (tmp_path / "g.yml").write_text("")
    assert read_source(tmp_path).fingerprint != second.fingerprint
    (tmp_path / "f.yaml").rename(tmp_path / "h.yaml")
    assert [Path(f.name).name for f in read_source(tmp_path).files] == ["g.yml", "h.yaml"]


def test_what_is_no_regular_file_is_a_fault_not_a_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "broken.yaml").symlink_to("nowhere")
    failures = {Path(f.name).name: f.failure for f in read_source(tmp_path).files}
    assert failures["pipe.yaml"] == "not a regular file"
    assert failures["broken.yaml"] == "No such file or directory"


def test_the_default_config_is_the_built_in_filter() -> None:
    [document] = load((MANIFESTS / "default.yaml").read_bytes())
    assert isinstance(document.value, dict)
    assert document.value["spec"]["filter"] == read_default()


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (config(), ConflictPolicy.REFUSE),
        (config(extra="  onConflict: refuse\n"), ConflictPolicy.REFUSE),
        (config(extra="  onConflict: existing\n"), ConflictPolicy.EXISTING),
    ],
)
async def test_a_config_says_what_becomes_of_another_document_under_a_name(
    tmp_path: Path, text: str, policy: ConflictPolicy
) -> None:
    (tmp_path / "f.yaml").write_text(text)
    assert (await _render(from_file=str(tmp_path / "f.yaml"))).on_conflict is policy


async def test_a_plain_jq_filter_answers_as_the_original_does(tmp_path: Path) -> None:
    (tmp_path / "f.jq").write_text(".")
    for source in ({"from_file": str(tmp_path / "f.jq")}, {"filter_source": "."}, {}):
        assert (await _render(**source)).on_conflict is ConflictPolicy.EXISTING


async def _render(**source: str) -> Rendered:
    chosen: dict[str, Any] = {"from_file": None, "filter_source": None} | source
    filters = from_options(filter_env=(), environ={}, **chosen)
    await filters.start()
    try:
        return await filters.render("/job", {"args": []})
    finally:
        await filters.close()


def test_defaults_of_a_job_are_those_of_the_manifests_key() -> None:
    job = "{queue: etl, priority: 0, startBy: 10m, runFor: 90, keepFor: 0, onNodeLoss: Rerun}"
    text = config(extra=f"  job: {job}\n")
    spec = validate([SourceFile("f.yaml", text.encode())], {}).entries[0].config.spec
    assert spec.job.show() == {
        "Queue": "etl",
        "Priority": 0,
        "StartBy": 600,
        "RunFor": 90,
        "KeepFor": 0,
        "OnNodeLoss": "Rerun",
    }
