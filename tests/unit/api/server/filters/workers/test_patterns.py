r"""Patterns mean what ECMA-262 says: ``$`` is the very end, ``\d`` is 0 to 9."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.server.filters.workers.patterns import PatternError, translate

MATCHES = [
    # the end and nothing but the end, wherever it stands
    (r"^[a-z]+\.png$", "tom.png", True),
    (r"^[a-z]+\.png$", "tom.png\n", False),
    (r"^a$|^b$", "b\n", False),
    (r"^(?:a|b$)", "b\n", False),
    (r"(?!x$)x", "x\n", True),
    (r"^a\$$", "a$", True),
    (r"^[$]$", "$", True),
    (r"^\\$", "\\", True),
    (r"^\\$", "\\\n", False),
    ("^a$", "b\na", False),
    # digits, letters and boundaries are ASCII's, in a class and outside
    (r"^\d$", "7", True),
    (r"^\d$", "٣", False),
    (r"^[\d]$", "٣", False),
    (r"^\D$", "٣", True),
    (r"^[^\d]$", "٣", True),
    (r"^\w$", "é", False),
    (r"^[\w-]+$", "a-b", True),
    (r"^\W$", "é", True),
    (r"\bé", "é", False),
    # white space is Unicode's
    (r"^\s$", "\u00a0", True),
    (r"^\s$", "\ufeff", True),
    (r"^[\s]$", "\u2028", True),
    (r"^\s$", "\x1c", False),
    (r"^[\S]$", "\u00a0", False),
    (r"^\S$", "x", True),
    # the dot stops at every end of a line
    ("^.$", "\n", False),
    ("^.$", "\u2028", False),
    ("^.$", "\x0b", True),
    ("^[^]$", "\n", True),
    ("[]", "a", False),
    # escapes that Python does not know, or knows as something else
    (r"^\u0041\x42\/\-\cJ\0$", "AB/-\n\0", True),
    (r"^\u{1F600}$", "\U0001f600", True),
    (r"^\uD83D\uDE00$", "\U0001f600", True),
    ("^.$", "\U0001f600", True),
    (r"^[\b]$", "\b", True),
    (r"^(?<year>[0-9]{2})-\k<year>$", "26-26", True),
    (r"^(a)\1$", "aa", True),
    # what Python would read as sets, sets of sets or flags
    (r"^[[&&~~||]+$", "[&~|", True),
    (r"^[+--]$", ",", True),
    (r"^[\w-.]+$", "a-.", True),
    (r"^a{,2}$", "a{,2}", True),
    (r"^{}$", "{}", True),
    (r"^a # b$", "a # b", True),
    (r"^[a-z]{2,3}?$", "abc", True),
    (r"^(?=a)(?!ab)(?<=^)(?<!x)a", "ac", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_a_pattern_takes_what_ecma_262_says(pattern: str, text: str, matches: bool) -> None:
    assert (re.search(translate(pattern), text) is not None) is matches


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[a", "a**", "a++", "a{2}+", "*", "(?P<a>b)", "(?i)a", "(?#x)", "(?>a)", r"\Z",
     r"\A", r"\z", r"\p{L}", "[z-a]", "a\\", "[a\\", r"\k<no>", r"\8", "(?<=a+)b", r"\u{110000}"],
)  # fmt: skip
def test_what_is_no_pattern_or_cannot_be_followed_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        translate(pattern)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12), st.text(max_size=6))
def test_any_text_is_refused_or_becomes_a_pattern_that_joins_others(
    pattern: str, text: str
) -> None:
    """jsonschema joins the keys of patternProperties with ``|``."""
    try:
        translated = translate(pattern)
    except PatternError:
        return
    alone = re.search(translated, text) is not None
    assert (re.search(f"{translated}|{translate('^$')}", text) is not None) is (alone or text == "")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5))
def test_every_character_can_be_named_in_a_class(text: str) -> None:
    members = "".join(f"\\u{{{ord(char):x}}}" for char in text)
    pattern = translate(f"^[{members}]+$")
    assert re.search(pattern, text)
    other = next(char for char in "abcdefg" if char not in text)
    assert not re.search(pattern, text + other)
