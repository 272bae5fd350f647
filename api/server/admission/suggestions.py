"""The known key that an unknown one was probably meant to be."""

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from api.server.admission.create_schema import MANIFEST, KnownKey, Struct, ValueKind
from api.server.admission.violations import point

_LONGEST: Final = 40
"""Characters of a key worth a guess; the longest known key has 22."""


def fold(text: str) -> str:
    """Return ``text`` as a reader takes it that ignores case and Unicode's variants of letters."""
    return unicodedata.normalize("NFKC", text).casefold()


def suggest(key: str, fields: Mapping[str, KnownKey]) -> str | None:
    """Return the nearest name among ``fields``, or the pointer of that key elsewhere."""
    if len(key) > _LONGEST:
        return None
    folded = fold(key)
    here = {fold(name): name for name in fields}
    if folded in here:
        return here[folded]
    if folded in _elsewhere():
        return _elsewhere()[folded]
    close = difflib.get_close_matches(folded, here, n=1, cutoff=0.75)
    return here[close[0]] if close else None


@cache
def _elsewhere() -> Mapping[str, str]:
    """Return the pointer of each known key that is found outside of arrays and free-form maps."""
    pointers: dict[str, str] = {}
    for name, pointer in _walk(MANIFEST, ""):
        pointers.setdefault(fold(name), pointer)
    return pointers


def _walk(kind: ValueKind, pointer: str) -> Iterator[tuple[str, str]]:
    match kind:
        case Struct(fields):
            for name in fields:
                yield name, point(pointer, name)
            for name, known in fields.items():
                yield from _walk(known.kind, point(pointer, name))
        case _:
            return
