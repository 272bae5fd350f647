"""The filter language: digests, ids, the path and the environment work wherever jq works."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.server.filters.builtin import read_default
from api.server.filters.jq.program import CompileError, JqProgram

ENV = {"JOB_A": "one", "PORT": "80"}
DOC: dict[str, Any] = {"s": "hé", "n": 1.5, "o": {"b": [1, {"z": None, "a": True}], "a": "x"}}
ITEMS = ["p", "q"]


def canon(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hashed(kind: str, value: object) -> str:
    text = value if isinstance(value, str) else canon(value)
    return hashlib.new(kind, text.encode()).hexdigest()


def sha1(value: object) -> str:
    return hashed("sha1", value)


def md5(value: object) -> str:
    return hashed("md5", value)


def evaluate(source: str, document: object = None, path: str = "/job", env: Any = None) -> Any:
    """Return all outputs."""
    program = JqProgram(source, ENV if env is None else env)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return program.run(text, path, keep=100).values


CASES: list[tuple[str, object, object]] = [
    # alone, on every kind of value
    ("@sha1", DOC, sha1(DOC)),
    ("@md5", DOC, md5(DOC)),
    ("@sha1", "text", sha1("text")),
    ("@sha1", None, sha1(None)),
    ("@md5", False, md5(False)),
    ("@sha1", 12, sha1(12)),
    ("@sha1", [], sha1([])),
    ("@sha1", "", sha1("")),
    # keys in another order are the same document
    ("@sha1", {"b": {"d": 1, "c": 2}, "a": 0}, sha1({"a": 0, "b": {"c": 2, "d": 1}})),
    # by path, of computed values
    (".s | @sha1", DOC, sha1("hé")),
    (".o | @md5", DOC, md5(DOC["o"])),
    ("{x: .n, a: .s} | @sha1", DOC, sha1({"a": "hé", "x": 1.5})),
    ("[.o, .s] | @sha1", DOC, sha1([DOC["o"], "hé"])),
    (".s | ascii_upcase | @sha1 | .[:12]", {"s": "k"}, sha1("K")[:12]),
    ("@sha1 | @md5", "a", md5(sha1("a"))),
    ("(@sha1 | length) + (@md5 | length)", DOC, 72),
    # inside try, caught or not
    ('try @sha1 catch "caught"', DOC, sha1(DOC)),
    ('try (.s + "!" | @sha1) catch "caught"', DOC, sha1("hé!")),
    ('try (.s + "!" | @md5) catch error("caught")', DOC, md5("hé!")),
    ("try error(.s | @sha1) catch .", DOC, sha1("hé")),
    ('try (try error("x") catch @sha1) catch "caught"', DOC, sha1("x")),
    ("[.[] | @sha1?]", ITEMS, [sha1("p"), sha1("q")]),
    ("(.s + .s | @sha1)?", DOC, sha1("héhé")),
    # interpolation and format strings
    ('"a-\\(.s | @sha1)-\\(.n | @md5)"', DOC, f"a-{sha1('hé')}-{md5(1.5)}"),
    ('@sha1 "id-\\(.s)-\\(.o)"', DOC, f"id-{sha1('hé')}-{sha1(DOC['o'])}"),
    ('@md5 "\\(.[0]).\\("\\(.[1])" | @sha1)"', ITEMS, f"{md5('p')}.{md5(sha1('q'))}"),
    ('@json "\\(.s | @sha1)"', {"s": "k"}, f'"{sha1("k")}"'),
    ('.s | format("sha1")', DOC, sha1("hé")),
    ('["sha1", "md5"] | map(. as $f | "x" | format($f))', None, [sha1("x"), md5("x")]),
    # functions, nested and recursive, with arguments
    ("def f: @sha1; .s | f", DOC, sha1("hé")),
    ("def f: def g: @md5; [.] | g; .s | f", DOC, md5(["hé"])),
    ("def f(x): x | @sha1; f(.o)", DOC, sha1(DOC["o"])),
    ("def f($n): if $n == 0 then . else @sha1 | f($n - 1) end; f(3)", "a", sha1(sha1(sha1("a")))),
    ("def id: @sha1; def f(g): [g, g]; f(id)", "a", [sha1("a")] * 2),
    # reduce, foreach, label, limit, first, alternation, paths
    ('reduce .[] as $i (""; . + $i | @sha1)', ITEMS, sha1(sha1("p") + "q")),
    ('[foreach .[] as $i (""; . + $i | @md5)]', ITEMS, [md5("p"), md5(md5("p") + "q")]),
    ("[label $out | .[] | @sha1 | ., break $out]", ITEMS, [sha1("p")]),
    ("[limit(1; .[] | @sha1)]", ITEMS, [sha1("p")]),
    ("first(.[] | . + . | @md5)", ITEMS, md5("pp")),
    (".id // @sha1", {"id": "mine"}, "mine"),
    (".id // @sha1", {"x": 1}, sha1({"x": 1})),
    (".s |= @sha1", {"s": "k"}, {"s": sha1("k")}),
    (".[] |= (. + . | @md5)", ITEMS, [md5("pp"), md5("qq")]),
    ("to_entries | map({key: (.key | @sha1), value}) | from_entries", {"k": 1}, {sha1("k"): 1}),
    ("{(@sha1): .}", "a", {sha1("a"): "a"}),
    ("getpath([.[0] | @sha1])", ["p"], "error"),
    ("[paths | @sha1]", {"a": [1]}, [sha1(["a"]), sha1(["a", 0])]),
    ('[.[] | select(@sha1 | .[:2] == "22")]', ITEMS, ["q"]),
    ("group_by(@md5) | length", ITEMS, 2),
    ("[.[] as $i | $i, ($i | @sha1)] | last", ITEMS, sha1("q")),
    (". as [$a, $b] | [$a, $b] | @md5", ITEMS, md5(ITEMS)),
    ('if @sha1 | test("^[0-9a-f]{40}$") then 1 else 2 end', ITEMS, 1),
    ("[range(5) | tostring | @sha1]", None, [sha1(str(i)) for i in range(5)]),
    # $PATH, $ENV and env
    ("$PATH", None, "/job/a b/ü"),
    ("$PATH | @sha1", None, sha1("/job/a b/ü")),
    ('"\\($PATH)!" | try @md5 catch "caught"', None, md5("/job/a b/ü!")),
    ('def f: $PATH | split("/") | last; f', None, "ü"),
    ("reduce ($PATH, $PATH) as $p (0; . + ($p | length))", None, 20),
    ("$ENV", None, ENV),
    ("env", None, ENV),
    ('[$ENV.JOB_A, $ENV["PORT"], (env | keys | first)]', None, ["one", "80", "JOB_A"]),
    ('try error($ENV.JOB_A) catch "\\(.)-\\(env.PORT)"', None, "one-80"),
    ("[$ENV | to_entries[] | .value | @sha1]", None, [sha1("one"), sha1("80")]),
    ("def f: env.JOB_A; def g: f | @md5; g", None, md5("one")),
    ("$ENV.ABSENT", None, None),
    ("env | @sha1", None, sha1(ENV)),
    # what an author defines is the author's
    ("def cuid2: 3; cuid2", None, 3),
    ("def f($PATH): $PATH; f(2)", None, 2),
    ("{} as $ENV | $ENV", None, {}),
    ('"@sha1 is \\(1)" # @md5', None, "@sha1 is 1"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "document", "expected"), CASES, ids=[c[0][:60] for c in CASES])
def test_dialect_works_in_every_position(source: str, document: object, expected: object) -> None:
    if expected == "error":
        with pytest.raises(ValueError, match="Cannot index array"):
            evaluate(source, document)
        return
    assert evaluate(source, document, "/job/a b/ü") == [expected]


CUIDS = [
    "cuid2",
    '"\\(cuid2)"',
    'try cuid2 catch "caught"',
    "def f: cuid2; def g(x): x; g(f)",
    'reduce range(3) as $i (""; cuid2)',
    "[foreach range(2) as $i (0; cuid2)] | last",
    "first(cuid2, cuid2)",
    "label $o | cuid2 | ., break $o",
    "{a: null} | .a //= cuid2 | .a",
    "{a: 1} | .a |= cuid2 | .a",
    "cuid2?",
]


@pytest.mark.parametrize("source", CUIDS)
def test_cuid2_is_a_fresh_id_in_every_position(source: str) -> None:
    program = JqProgram(source, {})
    ids = {str(program.run("null", "/job").values[0]) for _ in range(20)}
    assert len(ids) == 20
    assert all(len(i) == 24 and i.isalnum() and i == i.lower() and i[0].isalpha() for i in ids)


def test_two_ids_of_one_run_differ() -> None:
    [ids] = evaluate("[range(50) | cuid2]")
    assert len(set(ids)) == 50


def test_digest_of_a_fresh_id_is_right() -> None:
    [[name, digest]] = evaluate("cuid2 as $id | [$id, ($id | @sha1)]")
    assert digest == sha1(name)
    [[name, digest]] = evaluate('cuid2 as $id | [$id, (try ($id | @md5) catch "caught")]')
    assert digest == md5(name)


CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: f != 0 and abs(f) < 1e16)
    | st.text(CHARACTERS),
    lambda below: st.lists(below) | st.dictionaries(st.text(CHARACTERS), below),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(JSON_VALUES)
def test_any_value_hashes_as_its_sorted_json(value: object) -> None:
    assert evaluate("@sha1", value) == [sha1(value)]
    assert evaluate(".[0] | @md5", [value]) == [md5(value)]


@settings(max_examples=10, deadline=None)
@given(JSON_VALUES)
def test_digests_written_in_jq_equal_those_of_the_host(value: object) -> None:
    """Where a filter catches the question, jq itself computes; the answer must not change."""
    source = "try ({v: .}, [.], . | @sha1, @md5) catch error(1)"
    expected = [f(v) for v in ({"v": value}, [value], value) for f in (sha1, md5)]
    assert evaluate(source, value) == expected


@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 300])
def test_pure_digests_pad_blocks_of_every_length(length: int) -> None:
    text = "é" * (length // 2) + "x" * (length % 2)
    source = 'try (. + "" | [@sha1, @md5]) catch error(1)'
    assert evaluate(source, text) == [[sha1(text), md5(text)]]


def test_many_digests_of_computed_values_are_right() -> None:
    [digests] = evaluate("[range(300) | @sha1]")
    assert digests == [sha1(i) for i in range(300)]


def test_default_filter_names_a_job_as_the_original_does() -> None:
    [manifest] = evaluate(read_default(), {"args": ["Hello", "world!"]}, env={})
    assert manifest["Name"] == "demo-job-" + sha1({"args": ["Hello", "world!"]})
    assert manifest["Name"] == "demo-job-a59c882c2fcdd8f26a5fd326110d667620368145"
    assert manifest["Image"] == "debian:stable-slim"
    assert manifest["Entrypoint"] == ["echo"]
    assert manifest["Cmd"] == ["Hello", "world!"]
    assert manifest["HostConfig"] == {
        "NetworkMode": None,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1"}},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    }


@pytest.mark.parametrize(
    ("variable", "value", "query", "expected"),
    [
        ("JOB_NAME_PREFIX", "p-", ".Name", "p-x"),
        ("JOB_IMAGE", "i:1", ".Image", "i:1"),
        ("JOB_COMMAND", "run", ".Entrypoint", ["run"]),
        ("JOB_TTL", "60", ".Entrypoint", ["timeout", "-k", "10", "60", "echo"]),
        ("JOB_TTL", "60", ".HostConfig.Init", True),
        ("JOB_TTL", "", '.HostConfig | has("Init")', False),
        ("JOB_TTL", "", ".Entrypoint", ["echo"]),
        ("JOB_ENV_REGION", "north", ".Env", ["REGION=north"]),
        ("JOB_NETWORK", "n", ".HostConfig.NetworkMode", "n"),
        ("JOB_RETRIES", "7", ".HostConfig.RestartPolicy.MaximumRetryCount", 7),
    ],
)
def test_every_variable_shapes_the_default_job(
    variable: str, value: str, query: str, expected: object
) -> None:
    source = f"({read_default()}) | {query}"
    assert evaluate(source, {"id": "x", "args": []}, env={variable: value}) == [expected]


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        (".a |\n foo", 2, 2, "foo/0 is not defined"),
        ("foo", 1, 1, "foo/0 is not defined"),
        (".a + bar", 1, 6, "bar/0 is not defined"),
        ("{a: 1,\n b: }", 2, 5, "unexpected"),
        (". as $x |\n\n  $y", 3, 3, r"\$y is not defined"),
        ("", 1, 1, "empty"),
        ("# nothing\n", 1, 1, "empty"),
        (".a\n\0(", 2, 1, "U+0000"),
        ('import "a" as a; .', None, None, "import"),
        ('include "a"; .', None, None, "include"),
    ],
)
def test_what_does_not_compile_is_placed_in_the_text_of_the_author(
    source: str, line: int | None, column: int | None, message: str
) -> None:
    with pytest.raises(CompileError, match=message.replace("+", r"\+")) as caught:
        JqProgram(source, {"A": "long" * 1000})
    if line is not None:
        assert (caught.value.line, caught.value.column) == (line, column)


def test_location_counts_in_the_text_of_the_author() -> None:
    assert evaluate("1 |\n$__loc__.line") == [2]


def test_halt_yields_nothing_and_errors_keep_their_text() -> None:
    assert evaluate("halt") == []
    assert evaluate("(@sha1 | halt)", "a") == []
    with pytest.raises(ValueError, match="no such thing"):
        evaluate('(@sha1 | error("no such thing"))', "a")
    with pytest.raises(ValueError, match="not available"):
        evaluate("input")


OUTPUTS = [
    # source, document, count, all true
    ("1, 2", None, 2, False),
    ('range(40) | {Name: "a\\(.)"}', None, 40, False),
    (".[] | true", [1, 2, 3], 3, True),
    (".[] | . < 3", [1, 2, 3], 3, False),
    ("empty", None, 0, True),
    # a digest that only a later output asks for does not end the run before it
    ('"a", (. + "x" | @sha1)', "s", 2, False),
    (".[] | (. + . | @sha1) | {Name: .}", ["p", "q", "r"], 3, False),
    ('.[] | (. + "!" | @md5) | length == 32', ["p", "q", "r"], 3, True),
    ('"a", (try (. + "x" | @sha1) catch error("caught")), "b"', "s", 3, False),
    ('"a", (try (now | @sha1) catch error("caught")) ', None, 2, False),
    # a halt of the author's ends it
    ("1, halt, 2", None, 1, False),
    ("(@sha1 | 1), halt, 2", "a", 1, False),
    ('first(range(10)), (try error("__end") catch .)', None, 2, False),
]


@pytest.mark.parametrize(("source", "document", "count", "all_true"), OUTPUTS)
def test_all_outputs_are_counted_whatever_they_ask_for(
    source: str, document: object, count: int, all_true: bool
) -> None:
    outputs = JqProgram(source, {}).run(json.dumps(document), "/job")
    assert (outputs.count, outputs.all_true) == (count, all_true)
    assert len(outputs.values) == min(count, 1)


def test_outputs_without_end_are_counted_to_a_bound() -> None:
    for source in ("repeat(1)", "repeat(@sha1)"):
        assert JqProgram(source, {}).run("1", "/job", most=1001).count == 1001


def test_a_failure_after_the_first_output_is_a_failure() -> None:
    for source in ('1, error("late")', '@sha1, error("late")'):
        with pytest.raises(ValueError, match="late"):
            JqProgram(source, {}).run('"a"', "/job")
