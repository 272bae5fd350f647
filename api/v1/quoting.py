"""How a refusal quotes a manifest: JSON pointers, and texts that stay short and readable."""

import json
from typing import Final

_SHOWN: Final = 80


def point(pointer: str, key: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a member; a key of any length stays readable."""
    return f"{pointer}/{_shorten(str(key)).replace('~', '~0').replace('/', '~1')}"


def quote(text: str) -> str:
    """Return ``text`` as a short JSON string in ASCII: look-alike characters show their code."""
    return json.dumps(_shorten(text))


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
