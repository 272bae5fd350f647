"""Request bodies: what jq would misread or choke on is refused before it sees them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.server.http import json_body
from api.server.http.problem import Problem

GOOD = [
    b"null",
    b'{"args": ["Hello", "world!"]}',
    b' [1, -0, 1.5e-300, 1.5, 9007199254740992, -9007199254740992, "9007199254740993"] ',
    b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}',
    '{"ü": "\U0001f600 \\ud83d\\ude00"}'.encode(),
    b'{"a\\"b": "\\\\u0000", "c": "\\\\ud800", "d": ": , [ { NaN 99999999999999999999"}',
    b"[" * 64 + b"]" * 64,
    b"1.5e3",
    b'{"version": 1.12345678901234567890}',
]


SAME = [
    (b"320", 320),
    (b"320.0", 320),
    (b"3.2e2", 320),
    (b"3.2E+2", 320),
    (b"32000e-2", 320),
    (b"0.0", 0),
    (b"-0.0", 0),
    (b"-0", 0),
    (b"0e5", 0),
    (b"0.0e300", 0),
    (b"0.01e17", 10**15),
    (b"-1e0", -1),
    (b"9007199254740992.0", 2**53),
    (b"-9.007199254740992e15", -(2**53)),
    (b"9007199254740991.0", 2**53 - 1),
]


@pytest.mark.parametrize(("body", "number"), SAME)
def test_a_number_without_a_fraction_is_an_integer_however_it_is_spelled(
    body: bytes, number: int
) -> None:
    for document in (body, b"[" + body + b"]", b'{"a": ' + body + b"}"):
        value: Any = json_body.parse(document)
        found = (
            value
            if isinstance(value, int)
            else next(iter(value.values() if isinstance(value, dict) else value))
        )
        assert (type(found), found, str(found)) == (int, number, str(number))


@pytest.mark.parametrize("body", [b"1.5", b"-0.1", b"1e-7", b"9007199254740.25", b"4e-400"])
def test_other_numbers_stay_what_they_are(body: bytes) -> None:
    assert json_body.parse(body) == float(body)


OUT_OF_RANGE = [
    (b"9007199254740993", ""),
    (b"9007199254740993.0", ""),
    (b"9.007199254740993e15", ""),
    (b"-9007199254740993.0", ""),
    (b"9007199254740992.5", ""),
    (b"[1, 2.0, 1e16]", "/2"),
    (b"[1, 0.1e17]", "/1"),
    (b"[1.5e15, -12.5E+0016, true]", "/1"),
    (b'{"a": {"b/c~": [0, {"": 1e300}]}}', "/a/b~1c~0/1/"),
    (b'{"a": 1, "z": [99999999999999999999], "b": 1e99}', "/z/0"),
    (b'{"a": 1e16, "b": 99999999999999999999}', "/a"),
    (b'{"a": "1e400", "b": 1e400}', "/b"),
    (b'{"a": 1e-' + b"9" * 400 + b', "b": 1e' + b"9" * 400 + b"}", "/b"),
    (b"[0e" + b"9" * 400 + b", -1E+" + b"9" * 4000 + b"]", "/1"),
    (b'{"a": 9007199254740993, "a": 1}', "/a"),
    (b'{"n": NaN}', "/n"),
    (b"[[], [-Infinity]]", "/1/0"),
    (b"[" + b"1" * 5000 + b"]", "/0"),
    (b"[1." + b"0" * 5000 + b"e5000]", "/0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "pointer"), OUT_OF_RANGE, ids=[str(b[:24]) for b, _ in OUT_OF_RANGE]
)
def test_a_number_out_of_range_is_refused_with_its_place(body: bytes, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        json_body.parse(body)
    problem = caught.value
    assert (problem.code, problem.reason) == (400, "NumberOutOfRange")
    violations: Any = problem.details["violations"]
    [violation] = violations
    assert violation["pointer"] == pointer
    assert problem.message.startswith(f"{pointer or '/'}: ")
    assert len(problem.message) < 200


@pytest.mark.parametrize("body", [b'{"a": 1e300', b"[" + b"1," * 60_000 + b"1e300]"])
def test_without_a_place_a_number_out_of_range_is_named(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        json_body.parse(body)
    assert caught.value.reason == "NumberOutOfRange"
    assert caught.value.message.startswith("the number 1e300 is beyond 2^53")
    assert not caught.value.details


@pytest.mark.parametrize("body", GOOD, ids=[b[:30].decode(errors="replace") for b in GOOD])
def test_json_is_taken_as_it_stands(body: bytes) -> None:
    assert json_body.parse(body) == json.loads(body)


BAD = [
    (b"", "EmptyBody"),
    (b" \n", "EmptyBody"),
    (b"\xef\xbb\xbf{}", "NotUtf8"),
    ('{"a": 1}'.encode("utf-16"), "NotUtf8"),
    ('{"a": 1}'.encode("utf-16-le"), "NotUtf8"),
    (b'{"a": "\xff"}', "NotUtf8"),
    (b'{"a": "\xed\xa0\x80"}', "NotUtf8"),
    (b'{"a": "\x00"}', "NotUtf8"),
    (b"{", "NotJson"),
    (b"{'a': 1}", "NotJson"),
    (b"[1,]", "NotJson"),
    (b"{} {}", "NotJson"),
    (b'{"a": "line\nbreak"}', "NotJson"),
    (b"[01]", "NotJson"),
    (b"+1", "NotJson"),
    (b"NaN", "NumberOutOfRange"),
    (b"[-Infinity]", "NumberOutOfRange"),
    (b'{"a": Infinity}', "NumberOutOfRange"),
    (b"1e999", "NumberOutOfRange"),
    (b'{"a": [-1E+400]}', "NumberOutOfRange"),
    (b"1" + b"0" * 400 + b".5", "NumberOutOfRange"),
    (b"9007199254740993", "NumberOutOfRange"),
    (b'{"a": [1, -9007199254740993]}', "NumberOutOfRange"),
    (b"[10000000000000000]", "NumberOutOfRange"),
    (b"1" * 5000, "NumberOutOfRange"),
    (b'{"a": 1, "a": 2}', "DuplicateKey"),
    (b'{"a": {"x": {"b": 1, "b": 1}}}', "DuplicateKey"),
    (b'[{"a": 1, "\\u0061": 2}]', "DuplicateKey"),
    (b'{"\\ud800": 1}', "LoneSurrogate"),
    (b'["\\udc00\\ud800"]', "LoneSurrogate"),
    (b'["\\ud83d"]', "LoneSurrogate"),
    (b'["\\u0000"]', "NulCharacter"),
    (b'{"a\\u0000": 1}', "NulCharacter"),
    (b"[" * 65 + b"]" * 65, "TooDeep"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, "TooDeep"),
    (b"[" * 40_000 + b"]" * 40_000, "TooDeep"),
    (b"[" * 100_000, "TooComplex"),
    (b"[" + b"[]," * 60_000 + b"[]]", "TooComplex"),
]


@pytest.mark.parametrize(("body", "reason"), BAD, ids=[f"{r}-{b[:20]!r}" for b, r in BAD])
def test_what_json_leaves_open_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Problem) as caught:
        json_body.parse(body)
    assert (caught.value.code, caught.value.reason) == (400, reason)


def test_a_message_stays_short_whatever_the_body_is() -> None:
    for body in (b"1" * 500_000, b'{"' + b"k" * 9000 + b'": 1, "' + b"k" * 9000 + b'": 2}'):
        with pytest.raises(Problem) as caught:
            json_body.parse(body)
        assert len(caught.value.message) < 300


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text('[]{}",:\\u0dD8e1-+.NaI \n', max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        value = json_body.parse(body)
    except Problem as problem:
        refusal = problem
    else:
        assert json.loads(json.dumps(value)) == value
        return
    assert refusal.code == 400


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda below: st.lists(below) | st.dictionaries(st.text('ab"\\:{', max_size=3), below),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None)
@given(JSON_VALUES, st.booleans())
def test_every_acceptable_value_arrives_unchanged(value: object, ascii_only: bool) -> None:
    assert json_body.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
