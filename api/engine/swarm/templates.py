"""Texts that Swarm takes for Go templates, written so that they arrive as they are."""

import json
from typing import Final

_OPENING: Final = "{{"


def escape(text: str) -> str:
    """Return ``text`` as a template that yields it, its end as one string literal if need be.

    JSON's string literals are Go's, too. One for each ``{{`` would do as well, but a manager needs
    1.4 s for the 130,000 that variables have room for. What stands before stays, so that an
    absolute path is one before it is expanded, too.
    """
    before, opening, after = text.partition(_OPENING)
    if not opening:
        return text
    return before + _OPENING + json.dumps(opening + after, ensure_ascii=False) + "}}"


def escape_variable(variable: str) -> str:
    """Return ``NAME=value`` with its value as a template: the name is not read as one."""
    name, equals, value = variable.partition("=")
    return name + equals + escape(value)
