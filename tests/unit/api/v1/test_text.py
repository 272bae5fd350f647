"""What people read shows all that is in it, in its order."""

import unicodedata

import pytest

from api.v1.text import escape_hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 日本 😀", "plain ü 日本 😀"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb\x00\x7f\x9b", "a\\x0d\\x0ab\\x00\\x7f\\x9b"),
        ("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f"),
        ("a\u2028b\u200bc\ufeff", "a\\u2028b\\u200bc\\ufeff"),
    ],
)
def test_what_hides_or_reorders_is_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert escape_hidden(text) == shown


def test_no_control_and_no_mark_of_direction_is_left() -> None:
    marks = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI", "B"}
    for code in range(0x10000):
        char = chr(code)
        if unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in marks:
            assert char not in escape_hidden(char), hex(code)
