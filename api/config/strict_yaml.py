"""YAML as JSON with comments: no aliases, tags or duplicate keys, and YAML 1.2's plain scalars.

Values are built from libyaml's events, so depth and size are judged before anything is
built, and every value's place is known.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from api.config.faults import FieldPath

MAX_BYTES = 1 << 20
MAX_DEPTH = 64

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_UNCLEAR = re.compile(
    # octal in YAML 1.1, decimal in 1.2; hexadecimal and octal; too long to be exact; no JSON
    r"[-+]?0[0-9_]+|0[xo][0-9a-fA-F_]+|[-+]?[0-9]{19,}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class YamlError(Exception):
    """Text that is not acceptable YAML.

    ``line`` and ``column`` count from 1, ``document`` too (0: the file as a whole); ``path``
    leads to the value at fault.
    """

    def __init__(
        self, message: str, line: int, column: int, path: FieldPath = (), document: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.path = path
        self.document = document


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Where a scalar's text starts; ``literal`` is true for ``|``, whose lines are the file's."""

    line: int
    column: int
    literal: bool = False


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML document: its number in the file, a JSON value, each part's place by its path."""

    number: int
    value: object
    places: Mapping[FieldPath, TextPlace] = field(repr=False)

    def place(self, path: FieldPath) -> TextPlace:
        """Return the place of ``path`` or, where that is absent, of its nearest parent."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def load(content: bytes) -> list[YamlDocument]:
    """Return the non-empty documents in ``content``; raise ``YamlError`` at the first fault."""
    if len(content) > MAX_BYTES:
        raise YamlError(f"larger than {MAX_BYTES} bytes", 1, 1)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError("not UTF-8", line, 1) from None
    return list(_read(text))


def _read(text: str) -> Iterator[YamlDocument]:
    loader = yaml.CSafeLoader(text)
    number = 0
    try:
        while True:
            event = _next(loader)
            if isinstance(event, yaml.DocumentStartEvent):
                number += 1
                builder = _Builder(loader)
                value = builder.build(_next(loader), ())
                if value is not None:
                    yield YamlDocument(number, value, builder.places)
            elif isinstance(event, yaml.StreamEndEvent):
                return
    except YamlError as error:
        error.document = number
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        message = ", ".join(p for p in (error.context, error.problem) if p)
        raise YamlError(message or "not YAML", *place, document=number) from None
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split()), 1, 1) from None
    finally:
        loader.dispose()


def _next(loader: yaml.CSafeLoader) -> yaml.Event:
    event = loader.get_event()
    assert event is not None
    return event


def _locate(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


class _Builder:
    """Builds one document from events."""

    def __init__(self, loader: yaml.CSafeLoader) -> None:
        self._loader = loader
        self.places: dict[FieldPath, TextPlace] = {}

    def build(self, event: yaml.Event, path: FieldPath) -> object:
        """Return the value that begins with ``event``; raise ``YamlError`` with its place."""
        line, column = _locate(event)
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"alias *{event.anchor}: aliases are not accepted", line, column, path)
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            raise YamlError(f"anchor &{anchor}: anchors are not accepted", line, column, path)
        if tag is not None:
            raise YamlError(f"tag {tag}: tags are not accepted", line, column, path)
        if len(path) > MAX_DEPTH:
            raise YamlError(f"nests deeper than {MAX_DEPTH} levels", line, column, path[:8])
        if isinstance(event, yaml.ScalarEvent):
            literal = event.style == "|"
            self.places[path] = TextPlace(line, column, literal)
            if event.style:
                return event.value
            try:
                return _resolve(event.value)
            except ValueError as error:
                raise YamlError(str(error), line, column, path) from None
        self.places[path] = TextPlace(line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._build_list(path)
        return self._build_object(path)

    def _build_list(self, path: FieldPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := _next(self._loader), yaml.SequenceEndEvent):
            items.append(self.build(event, (*path, len(items))))
        return items

    def _build_object(self, path: FieldPath) -> dict[str, object]:
        members: dict[str, object] = {}
        while not isinstance(event := _next(self._loader), yaml.MappingEndEvent):
            line, column = _locate(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise YamlError("a key must be a string", line, column, path)
            key = self.build(event, (*path, "?"))
            if not isinstance(key, str):
                raise YamlError(f"the key {event.value} must be quoted", line, column, path)
            if key == "<<" and not event.style:
                raise YamlError("merge keys are not accepted", line, column, path)
            if key in members:
                raise YamlError(f"the key {key} stands twice", line, column, path)
            members[key] = self.build(_next(self._loader), (*path, key))
        return members


def _resolve(text: str) -> object:
    """Return what a plain scalar means: YAML 1.2's core schema, less what reads two ways."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _UNCLEAR.fullmatch(text):
        raise ValueError(f"{text[:40]} reads differently elsewhere: quote it")
    if any(c in "0123456789" for c in text) and _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{text[:40]} is too large a number")
        return number
    return text
