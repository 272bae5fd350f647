"""Schema, filter and rules: a document meets them in this order, and each refusal says why."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.server.filters.workers import protocol
from api.server.filters.workers.evaluation import Evaluation
from api.server.filters.workers.protocol import FilterCall, FilterRefusal, WorkerSpec

RULES = (
    (".memory <= 10", "at most 10"),
    (".image | startswith($ENV.PREFIX)", "only our images"),
)


def evaluate(
    document: object,
    source: str = ".",
    schema: dict[str, object] | None = None,
    rules: tuple[tuple[str, str], ...] = (),
    env: dict[str, str] | None = None,
    *,
    job: Mapping[str, object] | None = None,
) -> Any:
    """Return the manifest or the ``FilterRefusal``."""
    spec = WorkerSpec("a", source, {"PREFIX": "our/"} | (env or {}), schema, rules, job or {})
    [spec] = protocol.unpack_specs(protocol.pack_specs([spec])[protocol.HEADER.size :])
    evaluation = Evaluation(0, spec)
    assert evaluation.faults == []
    text = json.dumps(document, ensure_ascii=False).encode()
    answer = evaluation.evaluate(FilterCall(0, "/job", text))
    return answer if isinstance(answer, FilterRefusal) else json.loads(answer)


def test_a_manifest_that_keeps_all_rules_passes() -> None:
    manifest = {"memory": 10, "image": "our/one"}
    assert evaluate(manifest, rules=RULES) == manifest


def test_every_broken_rule_is_named() -> None:
    refusal = evaluate({"memory": 11, "image": "theirs"}, rules=RULES)
    assert (refusal.code, refusal.reason) == (403, "RuleViolation")
    assert refusal.message == "at most 10; only our images"
    assert refusal.details == {
        "violations": [{"rule": e, "message": m} for e, m in RULES],
    }


SECRETS = '.Env[] | test("^SECRET=") | not'


@pytest.mark.parametrize(
    ("rule", "env", "holds"),
    [
        (SECRETS, ["A=1", "SECRET=x"], False),
        (SECRETS, ["SECRET=x", "A=1"], False),
        (SECRETS, ["A=1", "B=2"], True),
        (SECRETS, [], False),
        (SECRETS, None, False),
        ('.Env // [] | all(test("^SECRET=") | not)', [], True),
        ('.Env // [] | all(test("^SECRET=") | not)', None, True),
        ('.Env // [] | all(test("^SECRET=") | not)', ["A=1", "SECRET=x"], False),
        ("true, true", [], True),
        ("true, false", [], False),
        ("true, null", [], False),
        ('true, error("x")', [], False),
        ("true, ([range(3) | @sha1] | all(length == 40))", [], True),
        ('true, ("a" | @sha1 | length == 41)', [], False),
        ("(range(2000) | . < 1999), true", [], False),
    ],
)
def test_every_output_of_a_rule_must_be_true_and_there_must_be_one(
    rule: str, env: object, holds: bool
) -> None:
    answer = evaluate({"Env": env}, rules=((rule, "no secrets"),))
    assert isinstance(answer, FilterRefusal) is not holds


def test_a_rule_without_output_says_how_to_write_one_for_an_empty_list() -> None:
    refusal = evaluate({"Env": []}, rules=((SECRETS, "no secrets"),))
    [violation] = refusal.details["violations"]
    assert "write all(" in violation["failure"]


@pytest.mark.parametrize("rule", ["1", '"true"', "null", "empty", "error", ".a.b.c", "[true]"])
def test_whatever_is_not_plainly_true_breaks_a_rule(rule: str) -> None:
    refusal = evaluate({"a": 1}, rules=((rule, "no"),))
    assert (refusal.code, refusal.message) == (403, "no")


def test_a_rule_that_fails_says_how() -> None:
    refusal = evaluate({"a": 1}, rules=((".a.b", "no"),))
    [violation] = refusal.details["violations"]
    assert violation["failure"].startswith("jq failed")
    assert "Cannot index number" in refusal.hidden


def test_rules_judge_the_manifest_not_the_document() -> None:
    assert evaluate({"n": 99}, "{memory: 1}", rules=((".memory == 1", "no"),)) == {"memory": 1}


def test_a_schema_refuses_before_the_filter_runs_and_points_at_the_fault() -> None:
    schema: dict[str, object] = {
        "type": "object",
        "required": ["a/b"],
        "properties": {"a/b": {"type": "array", "items": {"$ref": "#/$defs/small"}}},
        "$defs": {"small": {"maximum": 5}},
    }
    assert evaluate({"a/b": [5]}, '"made"', schema) == "made"
    refusal = evaluate({"a/b": [1, 9]}, 'error("it ran")', schema)
    assert (refusal.code, refusal.reason) == (400, "SchemaViolation")
    assert refusal.details == {
        "violations": [{"pointer": "/a~1b/1", "message": "9 is greater than the maximum of 5"}]
    }
    refusal = evaluate({}, ".", schema)
    assert refusal.message == "/: 'a/b' is a required property"


def test_a_schema_without_end_is_refused_not_a_crash() -> None:
    refusal = evaluate(1, ".", {"$ref": "#"})
    assert refusal.reason == "SchemaViolation"
    assert "cannot be applied" in refusal.message


def test_a_schema_with_thousands_of_members_is_taken() -> None:
    members: dict[str, object] = {f"p{i}": {"type": "string", "maxLength": i} for i in range(2_000)}
    schema: dict[str, object] = {"type": "object", "properties": members}
    assert evaluate({"p7": "x" * 8}, ".", schema).reason == "SchemaViolation"


def test_violations_are_few_and_short() -> None:
    schema: dict[str, object] = {"items": {"maxLength": 1}}
    refusal = evaluate(["x" * 5000] * 100, ".", schema)
    assert len(refusal.details["violations"]) == 10
    assert len(json.dumps(refusal.details)) < 5000
    assert len(refusal.message) <= 2000


@pytest.mark.parametrize(
    ("source", "reason", "message"),
    [
        ('error("no such picture")', "FilterFailed", "the filter failed: no such picture"),
        ("error({a: 1})", "FilterFailed", '{"a": 1}'),
        (".a.b", "FilterFailed", "the filter failed: jq failed"),
        ("empty", "NoManifest", "write null"),
        ("select(.a == 2)", "NoManifest", "`select`"),
        ("{a, b: empty}", "NoManifest", "`empty`"),
        ("range(40) | {Name: tostring}", "ManyManifests", "yielded 40 manifests"),
        ("., .", "ManyManifests", "yielded 2 manifests"),
        ('{Name: ("a", "b")}', "ManyManifests", "yielded 2 manifests"),
        ("range(5) | {Name: (tostring | @sha1)}", "ManyManifests", "yielded 5 manifests"),
        ("repeat({Name: 1})", "ManyManifests", "more than 1000 manifests"),
        ('{Name: 1}, error("late")', "FilterFailed", "the filter failed: late"),
        ("halt", "NoManifest", "yielded nothing"),
        ('"x" * 1100000', "FilterFailed", "larger than"),
        ('error("x" * 100000)', "FilterFailed", "the filter failed: xxx"),
    ],
)
def test_a_filter_that_yields_no_manifest_says_why(source: str, reason: str, message: str) -> None:
    refusal = evaluate({"a": 1}, source)
    assert (refusal.code, refusal.reason) == (400, reason)
    assert message in refusal.message
    assert len(refusal.message) <= 2000


SECRET = "hunter2"


@pytest.mark.parametrize(
    "source",
    [
        "$ENV.S | tonumber",
        "env.S.a",
        "$ENV.S + 1",
        "{} - $ENV.S",
        "$ENV | keys | implode",
        "try error(1) catch ($ENV.S | tonumber)",
        'try error("x") catch (if . == "x" then $ENV.S | tonumber else error(.) end)',
        "error([$ENV.S])",
        "$ENV.S | fromjson",
        "$ENV.S | test(1)",
        "@sha1 | $ENV.S | tonumber",
        "try (@sha1 | error(1)) catch ($ENV.S | tonumber)",
    ],
)
def test_a_text_of_jqs_own_is_for_the_operator_alone(source: str) -> None:
    refusal = evaluate({"a": 1}, source, env={"S": SECRET})
    assert (refusal.code, refusal.reason) == (400, "FilterFailed")
    assert SECRET not in refusal.message
    assert "`render` shows it" in refusal.message
    assert refusal.details == {}
    assert refusal.hidden


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('error("said")', "said"),
        ('"said" | error', "said"),
        ('try error("said") catch error(. + " twice")', "said twice"),
        ('.b? // error("said")', "said"),
        ('try error({code: 7}) catch error("\\(.code) said")', "7 said"),
        ('[1] | map(if . == 1 then error("said") else . end)', "said"),
        ('@sha1 as $x | error("said")', "said"),
        ('try (tojson | @sha1 | error) catch error("said")', "said"),
        ("error({code: 7})", '{"code": 7}'),
        ("input", "a filter has one document"),
        ('"said" | halt_error', "said"),
    ],
)
def test_what_a_filter_raises_itself_is_passed_on(source: str, message: str) -> None:
    refusal = evaluate({"a": 1}, source)
    assert message in refusal.message
    assert refusal.hidden == ""


def test_a_rule_that_fails_shows_what_it_raises_and_nothing_of_jqs_own() -> None:
    rules = (("$ENV.S | tonumber", "a number"), ('error("said")', "no error"))
    refusal = evaluate({"a": 1}, ".", rules=rules, env={"S": SECRET})
    assert refusal.reason == "RuleViolation"
    first, second = (found["failure"] for found in refusal.details["violations"])
    assert SECRET not in json.dumps(refusal.details) + refusal.message
    assert "`render` shows it" in first
    assert second == "said"
    assert SECRET in refusal.hidden


def test_faults_of_all_parts_are_found_at_once() -> None:
    spec = WorkerSpec("a", "nosuch", {}, {"type": 1}, ((".", "m"), ("(", "m")))
    faults = Evaluation(7, spec).faults
    assert [(f.number, f.field) for f in faults] == [
        (7, ("spec", "schema", "type")),
        (7, ("spec", "filter")),
        (7, ("spec", "rules", 1, "expression")),
    ]
    assert protocol.unpack_faults(protocol.pack_faults(faults)[protocol.HEADER.size :]) == faults


PATTERNS: list[tuple[dict[str, object], object, bool]] = [
    ({"pattern": "^a$"}, "a", True),
    ({"pattern": "^a$"}, "a\n", False),
    ({"items": {"pattern": r"^\d$"}}, ["٣"], False),
    ({"propertyNames": {"pattern": "^a$"}}, {"a\n": 1}, False),
    ({"patternProperties": {"^a$": {"type": "string"}}}, {"a": 1}, False),
    ({"patternProperties": {"^a$": True}, "additionalProperties": False}, {"a": 1}, True),
    ({"patternProperties": {"^a$": True}, "additionalProperties": False}, {"a\n": 1}, False),
    ({"patternProperties": {"^a$": True}, "unevaluatedProperties": False}, {"a\n": 1}, False),
    ({"$ref": "#/mine", "mine": {"pattern": "^a$"}}, "a\n", False),
    ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"pattern": "^a$"}}}, "a\n", False),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^a$"}, "a\n", False),
    ({"$ref": "#/$defs/a b^", "$defs": {"a b^": {"pattern": "^a$"}}}, "a\n", False),
    ({"properties": {"pattern": {"const": "^a$"}}}, {"pattern": "^a$"}, True),
]


@pytest.mark.parametrize(("schema", "document", "passes"), PATTERNS)
def test_patterns_of_a_schema_are_those_of_ecma_262(
    schema: dict[str, object], document: object, passes: bool
) -> None:
    answer = evaluate(document, '"made"', schema)
    assert (answer == "made") is passes
    if not passes:
        assert answer.reason == "SchemaViolation"
        # as the author spelled it
        assert "(?a:" not in answer.message
        assert "\\U0000" not in answer.message
