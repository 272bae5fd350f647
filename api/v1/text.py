"""Texts of jobs and clients as people may see them: nothing in them moves a terminal's cursor."""

from typing import Final

# C0 and C1; zero width and direction; separators of lines; direction again; invisible operators.
_HIDDEN: Final = (
    *range(0x20),
    *range(0x7F, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_ESCAPES: Final = {c: f"\\x{c:02x}" if c < 0x100 else f"\\u{c:04x}" for c in _HIDDEN}  # noqa: PLR2004


def escape_hidden(text: str) -> str:
    """Return ``text`` with control characters, and those that hide or reorder others, escaped."""
    return text.translate(_ESCAPES)
