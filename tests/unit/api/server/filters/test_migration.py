"""What MIGRATION.md says of filters written for the original: each difference, each rewrite."""

from typing import Any

import pytest

from api.server.filters.jq.program import CompileError
from api.server.filters.service import select_environment
from tests.unit.api.server.filters.jq.test_program import evaluate, sha1

REWRITES: list[tuple[str, str, object, Any, Any]] = [
    # as written for the original, the rewrite, document, what the first does now, the second
    ('.a?//"d"', '.a? // "d"', {}, CompileError, ["d"]),
    ('try .a catch "d"', '.a // "d"', None, [None], ["d"]),
    (
        ".a",
        'if . == null then error("no document") else .a end',
        None,
        [None],
        ValueError,
    ),
    (
        '[try (.[] | tonumber) catch "no"]',
        '[.[] | try tonumber catch "no"]',
        ["1", "x", "2"],
        [[1, "no"]],
        [[1, "no", 2]],
    ),
    (
        '.a | ltrimstr("x-")',
        '.a | if type == "string" then ltrimstr("x-") else . end',
        {"a": 7},
        ValueError,
        [7],
    ),
    (
        '.a | rtrimstr("-x")',
        '.a | if type == "string" then rtrimstr("-x") else . end',
        {"a": 7},
        ValueError,
        [7],
    ),
    *(
        (f"is{kind}", f'type == "{kind}"', value, CompileError, [True])
        for kind, value in {
            "string": "a",
            "object": {},
            "array": [],
            "number": 1,
            "boolean": False,
        }.items()
    ),
    ("9007199254740993", '"9007199254740993"', None, [9007199254740992], ["9007199254740993"]),
    (".a | tojson", '"\\"\\(.a)\\""', {"a": 'x"y'}, ['"x\\"y"'], ['"x"y"']),
]


@pytest.mark.parametrize(
    ("written", "rewritten", "document", "now", "then"), REWRITES, ids=[r[0] for r in REWRITES]
)
def test_each_rewrite_does_what_the_original_did(
    written: str, rewritten: str, document: object, now: Any, then: Any
) -> None:
    for source, expected in ((written, now), (rewritten, then)):
        if isinstance(expected, type):
            with pytest.raises(expected):
                evaluate(source, document)
        else:
            assert evaluate(source, document) == expected


def test_digests_sort_keys_at_every_level_so_that_names_survive() -> None:
    document = {"b": [{"y": 1, "x": 2}], "a": 0}
    assert evaluate("@sha1", document) == [sha1('{"a":0,"b":[{"x":2,"y":1}]}')]


def test_only_what_is_named_of_the_environment_is_seen() -> None:
    environment = select_environment({"JOB_A": "1", "HOME": "/root", "TZ": "x"}, ["TZ"])
    assert evaluate("$ENV", env=environment) == [{"JOB_A": "1", "TZ": "x"}]
    assert evaluate('$ENV.HOME // "absent"', env=environment) == ["absent"]


NEW = [
    ("1 | def f: . + 1; f", [2]),
    ("[foreach (1, 2) as $x (0; . + $x)]", [[1, 3]]),
    ("[label $out | 1, break $out, 2]", [[1]]),
    ('{a: 1} as {a: $x} | "\\($x)"', ["1"]),
    ('{a: {b: 1}} | getpath(["a", "b"])', [1]),
    ("{a: 1, b: 2} | pick(.a)", [{"a": 1}]),
    ('" a " | trim', ["a"]),
    ("-1 | abs", [1]),
    ('"a" | format("base64")', ["YQ=="]),
    ("$__loc__.line", [1]),
    ('"a\\"b" | tojson', ['"a\\"b"']),
]


@pytest.mark.parametrize(("source", "expected"), NEW, ids=[n[0] for n in NEW])
def test_what_the_original_did_not_take_works(source: str, expected: list[object]) -> None:
    assert evaluate(source) == expected
