"""The JSON Schema of a filter's documents, applied in the worker: its patterns may be slow."""

import copy
from collections.abc import Iterator
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from api.config.faults import FieldPath
from api.server.filters.workers.formats import CHECKS, make_checker
from api.server.filters.workers.patterns import PatternError, translate

_MAX_VIOLATIONS = 10
_MAX_MESSAGE = 300
# which keywords hold schemas: one, a list of them, or an object of them
_ONE: Final = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LIST: Final = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_OBJECT: Final = (
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
)
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class BadSchemaError(Exception):
    """A schema that is not one; ``path`` leads to the fault inside it."""

    def __init__(self, message: str, path: FieldPath = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class DocumentSchema:
    """A compiled schema; it is self-contained, nothing is ever fetched for it.

    Patterns are ECMA-262's, and a ``format`` is enforced: the specification leaves both open.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        dialect = str(schema.get("$schema", Draft202012Validator.META_SCHEMA["$id"]))
        unknown: Any = None
        kind = validator_for({"$schema": dialect}, default=unknown)
        if kind is None:
            raise BadSchemaError(f"{dialect} is not a dialect known here", ("$schema",))
        try:
            # references of a schema are not held to the letter of RFC 3986
            kind.check_schema(schema, format_checker=make_checker(["regex"]))  # type: ignore[call-arg]  # missing in the stubs
        except SchemaError as error:
            raise BadSchemaError(_explain(error), tuple(error.absolute_path)) from None
        schema = copy.deepcopy(schema)
        specification = specification_with(kind.META_SCHEMA["$id"], default=DRAFT202012)
        resource = specification.create_resource(schema)
        resolver = Registry().with_resource("", resource).resolver()
        parts: dict[int, tuple[dict[str, Any], FieldPath]] = {}
        waiting: list[tuple[object, FieldPath]] = [(schema, ())]
        while waiting:
            for part, path in _walk(*waiting.pop()):
                if id(part) in parts:
                    continue
                parts[id(part)] = part, path
                for key in _REFERENCES:
                    if isinstance(reference := part.get(key), str):
                        try:
                            found = resolver.lookup(reference).contents
                        except Unresolvable:
                            message = f"{reference} leads nowhere in this schema"
                            raise BadSchemaError(message, (*path, key)) from None
                        # it may lie where no keyword leads to
                        waiting.append((found, (*path, key)))
        self._originals: dict[str, str] = {}
        for part, path in parts.values():
            self._check_format(part, path)
            self._translate_patterns(part, path)
        self._validator = kind(schema, registry=Registry(), format_checker=make_checker())

    def find_violations(self, document: Any) -> list[dict[str, str]]:
        """Return the first violations as JSON pointer and message."""
        violations = []
        try:
            for error in self._validator.iter_errors(document):
                pointer = "".join(
                    "/" + str(part).replace("~", "~0").replace("/", "~1")
                    for part in error.absolute_path
                )
                message = self._restore_patterns(error.message)
                violations.append({"pointer": pointer, "message": message[:_MAX_MESSAGE]})
                if len(violations) == _MAX_VIOLATIONS:
                    break
        except (Unresolvable, RecursionError) as error:
            message = f"the schema cannot be applied: {error}"
            violations.append({"pointer": "", "message": message[:_MAX_MESSAGE]})
        return violations

    def _check_format(self, part: dict[str, Any], path: FieldPath) -> None:
        name = part.get("format")
        if name is not None and name not in CHECKS:
            known = ", ".join(sorted(CHECKS))
            message = f"{name!r} is not a format that can be enforced here; those are {known}"
            raise BadSchemaError(message, (*path, "format"))

    def _translate_patterns(self, part: dict[str, Any], path: FieldPath) -> None:
        if isinstance(pattern := part.get("pattern"), str):
            part["pattern"] = self._translate(pattern, (*path, "pattern"))
        if isinstance(patterns := part.get("patternProperties"), dict):
            place = (*path, "patternProperties")
            part["patternProperties"] = {
                self._translate(key, (*place, key)): value for key, value in patterns.items()
            }

    def _translate(self, pattern: str, path: FieldPath) -> str:
        try:
            translated = translate(pattern)
        except PatternError as error:
            raise BadSchemaError(f"{pattern!r} is not a regex here: {error}", path) from None
        self._originals[translated] = pattern
        return translated

    def _restore_patterns(self, message: str) -> str:
        """Return ``message`` with patterns as the schema spells them."""
        if "(?a:" in message:
            for translated, original in self._originals.items():
                message = message.replace(repr(translated), repr(original))
        return message


def _explain(error: SchemaError) -> str:
    """Return what is wrong; of a pattern also why."""
    if error.validator == "format" and isinstance(error.instance, str):
        try:
            translate(error.instance)
        except PatternError as reason:
            return f"{error.message}: {reason}"
    return str(error.message)


def _walk(value: object, path: FieldPath) -> Iterator[tuple[dict[str, Any], FieldPath]]:
    """Yield a schema and all those that its keywords hold; what is no object has no keywords."""
    if not isinstance(value, dict):
        return
    yield value, path
    for key in _ONE:
        yield from _walk(value.get(key), (*path, key))
    for key in _LIST:
        if isinstance(parts := value.get(key), list):
            for index, part in enumerate(parts):
                yield from _walk(part, (*path, key, index))
    for key in _OBJECT:
        if isinstance(members := value.get(key), dict):
            for name, part in members.items():
                yield from _walk(part, (*path, key, name))
