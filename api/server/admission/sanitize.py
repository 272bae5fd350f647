"""Build a manifest anew from known keys, and say everything that is wrong with the given one.

Go's decoder takes keys in any case, Unicode's variants included, and of two spellings the later
one. So nothing is passed on that is not, letter for letter, in the create schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.server.admission.create_schema import (
    MANIFEST,
    MAX_TEXT,
    KnownKey,
    Leaf,
    ListOf,
    MapOf,
    Struct,
    ValueKind,
    Version,
)
from api.server.admission.suggestions import suggest
from api.server.admission.violations import MOST, Violation
from api.v1.quoting import point, quote

_LARGEST: Final = 1 << 53
_MISSING: Final = object()
_TEXTS: Final = frozenset({Leaf.TEXT, Leaf.VARIABLE})


class _EnoughError(Exception):
    """As many violations as an answer holds were found."""


class _Sanitizer:
    """One pass over one manifest; ``violations`` collects what is wrong."""

    def __init__(self, api_version: Version) -> None:
        self.api_version = api_version
        self.violations: list[Violation] = []

    def complain(self, pointer: str, message: str) -> None:
        self.violations.append(Violation(pointer, message))
        if len(self.violations) >= MOST:
            raise _EnoughError

    def build(
        self, kind: ValueKind, value: object, pointer: str, longest: int | None = MAX_TEXT
    ) -> Any:
        """Return ``value`` anew; what is wrong becomes a violation, and the value ``_MISSING``."""
        match kind:
            case Struct(fields):
                return self._build_struct(fields, value, pointer)
            case ListOf():
                return self._build_items(kind, value, pointer)
            case MapOf():
                return self._build_free(kind, value, pointer)
            case _:
                return self._build_leaf(kind, value, pointer, longest)

    def _build_struct(self, fields: Mapping[str, KnownKey], value: object, pointer: str) -> Any:
        if not isinstance(value, dict):
            return self._mismatch("an object", value, pointer)
        built: dict[str, Any] = {}
        for key, member in value.items():
            known = fields.get(key)
            here = point(pointer, key)
            if known is None:
                self.complain(here, _explain_unknown(key, fields))
            elif member is not None:
                self._check_version(known, here)
                item = self.build(known.kind, member, here, known.longest)
                if item is not _MISSING:
                    built[key] = item
        return built

    def _build_items(self, items: ListOf, value: object, pointer: str) -> Any:
        kind = items.kind
        if not isinstance(value, list):
            noun = "strings" if kind in _TEXTS else "values"
            return self._mismatch(f"an array of {noun}", value, pointer)
        if len(value) > items.most:
            self.complain(pointer, f"has {len(value)} elements; at most {items.most} are taken")
            return _MISSING
        if kind in _TEXTS and _are_clean(value, kind, items.longest):
            return list(value)
        built = [
            self.build(kind, item, point(pointer, index), items.longest)
            for index, item in enumerate(value)
        ]
        return _MISSING if any(item is _MISSING for item in built) else built

    def _build_free(self, members: MapOf, value: object, pointer: str) -> Any:
        if not isinstance(value, dict):
            return self._mismatch("an object", value, pointer)
        if len(value) > members.most:
            self.complain(pointer, f"has {len(value)} members; at most {members.most} are taken")
            return _MISSING
        built: dict[str, Any] = {}
        for key, member in value.items():
            here = point(pointer, key)
            if (fault := _find_fault(key)) is not None:
                self.complain(here, f"the key {fault}")
            elif member is not None:
                item = self.build(members.kind, member, here, members.longest)
                if item is not _MISSING:
                    built[key] = item
        return built

    def _build_leaf(self, leaf: Leaf, value: object, pointer: str, longest: int | None) -> Any:
        match leaf, value:
            case Leaf.TEXT | Leaf.VARIABLE, str():
                if (fault := _find_fault(value, longest)) is not None:
                    self.complain(pointer, fault)
                    return _MISSING
                if leaf is Leaf.VARIABLE and not _is_variable(value):
                    self.complain(pointer, 'is not of the form "NAME=value"')
                return value
            case Leaf.FLAG, bool():
                return value
            case Leaf.WHOLE | Leaf.COUNT, int() | float() if type(value) is not bool:
                whole = _read_whole(value)
                if whole is not None and (leaf is Leaf.WHOLE or whole >= 0):
                    return whole
            case Leaf.NOTHING, {} if not value:
                return {}
        return self._mismatch(leaf.value, value, pointer)

    def _check_version(self, known: KnownKey, pointer: str) -> None:
        if known.since is not None and self.api_version < known.since:
            fault = f"needs the engine's API version {_show_version(known.since)}"
        elif known.until is not None and self.api_version > known.until:
            fault = f"was removed after the engine's API version {_show_version(known.until)}"
        else:
            return
        spoken = _show_version(self.api_version)
        self.complain(pointer, f"{fault}; this engine speaks {spoken} and would ignore it")

    def _mismatch(self, expected: str, value: object, pointer: str) -> Any:
        self.complain(pointer, f"expected {expected}, not {_name_type(value)}")
        return _MISSING


def sanitize(manifest: object, api_version: Version) -> tuple[dict[str, Any], list[Violation]]:
    """Return ``manifest`` built anew from the create schema, and what is wrong with it.

    ``null`` means absent, except in an array, where it is wrong. Whole numbers may come as floats
    (``2.0``), for jq knows nothing else. What is wrong is left out of the result.
    """
    sanitizer = _Sanitizer(api_version)
    try:
        built = sanitizer.build(MANIFEST, manifest, "")
    except _EnoughError:
        built = {}
    return ({} if built is _MISSING else built), sanitizer.violations


def _explain_unknown(key: str, fields: Mapping[str, KnownKey]) -> str:
    suggestion = suggest(key, fields)
    hint = f"; did you mean {suggestion}?" if suggestion else ""
    return f"{quote(key)} is not a key of the engine's create call{hint}"


def _are_clean(values: Sequence[Any], kind: ValueKind, longest: int | None) -> bool:
    """Tell whether all values are strings without a fault; fast, for arrays may be long."""
    return (
        all(type(value) is str for value in values)
        and _find_fault("".join(values)) is None
        # no character has more than four bytes
        and (longest is None or max(map(len, values), default=0) <= longest // 4)
        and (kind is Leaf.TEXT or all(map(_is_variable, values)))
    )


def _is_variable(text: str) -> bool:
    return text.find("=") > 0


def _find_fault(text: str, longest: int | None = None) -> str | None:
    if "\0" in text:
        return "holds the character U+0000"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    if longest is not None and size > longest:
        return f"has {size} bytes; at most {longest} are taken"
    return None


def _read_whole(value: float) -> int | None:
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if -_LARGEST <= value <= _LARGEST else None


def _show_version(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _name_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "this number" if abs(value) > _LARGEST else f"the number {value}"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object with members" if value else "an object"
    return f"a {type(value).__name__}"
