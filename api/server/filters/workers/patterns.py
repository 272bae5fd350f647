r"""Patterns of JSON Schema, which are ECMA-262's, in the language of Python's ``re``.

The two differ where it matters: in Python ``$`` also matches before a last newline, and ``\d``
and ``\w`` take digits and letters of all scripts (ECMA-262, 22.2.2).
"""

import re
from functools import cache
from typing import Final

# WhiteSpace and LineTerminator of ECMA-262
_SPACES: Final = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
_LAST: Final = 0x10FFFF
_CONTROLS: Final = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B, "0": 0x00}
_HEX: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW_HALF: Final = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_CONTROL: Final = re.compile("c([a-zA-Z])")
_BACK: Final = re.compile(r"[1-9][0-9]*")
_NAME: Final = re.compile(r"k<([A-Za-z_][A-Za-z0-9_]*)>")
_GROUP: Final = re.compile(r"\((?!\?)|\(\?(?::|=|!|<=|<!)|\(\?<([A-Za-z_][A-Za-z0-9_]*)>")
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??")


class PatternError(ValueError):
    """A pattern that is none of ECMA-262's, or that Python cannot follow."""


@cache
def translate(pattern: str) -> str:
    """Return ``pattern`` as Python's ``re`` takes it, or raise ``PatternError``."""
    translated = f"(?a:{_Translation(pattern).run()})"
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"{error.args[0]}") from None
    return translated


class _Translation:
    """One pass over one pattern; ``position`` is where it stands."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0

    def run(self) -> str:
        parts: list[str] = []
        while self.position < len(self.pattern):
            parts.append(self._read_term())
        return "".join(parts)

    def _read_term(self) -> str:
        char = self.pattern[self.position]
        if char == "\\":
            self.position += 1
            return self._read_escape()
        if char == "[":
            self.position += 1
            return self._read_class()
        if char == "(":
            return self._read_group()
        if (quantifier := self._match(_QUANTIFIER)) is not None:
            if self.pattern[self.position : self.position + 1] == "+":
                raise PatternError("nothing to repeat before +")
            return quantifier[0]
        self.position += 1
        match char:
            case "$":
                return r"\Z"
            case ".":
                return "[^\\n\\r\\u2028\\u2029]"
            case "^" | "|" | ")":
                return char
            case _:
                return re.escape(char)

    def _read_group(self) -> str:
        found = self._match(_GROUP)
        if found is None:
            raise PatternError("(? is followed by what ECMA-262 does not know")
        return found[0] if found[1] is None else f"(?P<{found[1]}>"

    def _read_escape(self) -> str:
        """Return an escape outside of a class; the backslash is read."""
        if (back := self._match(_BACK)) is not None:
            # in a group, for a digit may follow
            return rf"(?:\{back[0]})"
        if (named := self._match(_NAME)) is not None:
            return f"(?P={named[1]})"
        letter = self.pattern[self.position : self.position + 1]
        if letter in {"b", "B"}:
            self.position += 1
            return f"\\{letter}"
        if (kind := self._read_set()) is not None:
            return f"[{kind}]"
        return _show(self._read_character())

    def _read_set(self) -> str | None:
        r"""Return the content of a class for ``\d``, ``\S`` and so on, None for another escape."""
        letter = self.pattern[self.position : self.position + 1]
        if not letter or letter not in "dDwWsS":
            return None
        self.position += 1
        match letter:
            case "s":
                return _show_ranges(_SPACES)
            case "S":
                return _show_ranges(_invert(_SPACES))
            case _:
                return f"\\{letter}"

    def _read_character(self) -> int:
        """Return the character that an escape stands for; the backslash is read."""
        if (found := self._match(_HEX)) is not None:
            code = int(found[1] or found[2] or found[3], 16)
            if 0xD800 <= code < 0xDC00 and (low := self._match(_LOW_HALF)) is not None:  # noqa: PLR2004 - UTF-16
                code = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
            if code > _LAST:
                raise PatternError("a character beyond U+10FFFF")
            return code
        if (control := self._match(_CONTROL)) is not None:
            return ord(control[1]) % 32
        char = self.pattern[self.position : self.position + 1]
        self.position += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if not char or char.isalnum():
            raise PatternError(f"\\{char} is no escape here")
        return ord(char)

    def _read_class(self) -> str:
        """Return a class; its bracket is read."""
        negated = self.pattern.startswith("^", self.position)
        self.position += negated
        parts: list[str] = []
        while not self.pattern.startswith("]", self.position):
            if self.position >= len(self.pattern):
                raise PatternError("a class without its ]")
            first = self._read_atom()
            if (
                isinstance(first, int)
                and self.pattern.startswith("-", self.position)
                and not self.pattern.startswith("-]", self.position)
            ):
                self.position += 1
                last = self._read_atom()
                if isinstance(last, str):
                    parts += (_show(first), r"\-", last)
                elif last < first:
                    raise PatternError("a range that ends before it begins")
                else:
                    parts.append(f"{_show(first)}-{_show(last)}")
            else:
                parts.append(_show(first) if isinstance(first, int) else first)
        self.position += 1
        if not parts:
            # ECMA-262 knows the class of nothing and that of everything
            return "(?s:.)" if negated else "(?!)"
        return f"[{'^' * negated}{''.join(parts)}]"

    def _read_atom(self) -> int | str:
        r"""Return a character of a class, or the content of a set such as ``\d``."""
        char = self.pattern[self.position : self.position + 1]
        self.position += 1
        if not char:
            raise PatternError("a class without its ]")
        if char != "\\":
            return ord(char)
        if self.pattern.startswith("b", self.position):
            self.position += 1
            return 0x08
        kind = self._read_set()
        return self._read_character() if kind is None else kind

    def _match(self, expression: "re.Pattern[str]") -> "re.Match[str] | None":
        found = expression.match(self.pattern, self.position)
        if found is not None:
            self.position = found.end()
        return found


def _show(code: int) -> str:
    """Return a character so that it stands for itself, in a class too."""
    return f"\\U{code:08x}"


def _show_ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    return "".join(f"{_show(first)}-{_show(last)}" for first, last in ranges)


def _invert(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    starts = [0, *(last + 1 for _, last in ranges)]
    ends = [*(first - 1 for first, _ in ranges), _LAST]
    return tuple(zip(starts, ends, strict=True))
