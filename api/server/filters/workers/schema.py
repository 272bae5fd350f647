"""The JSON Schema of a filter's documents, applied in the worker: its patterns may be slow."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

_MAX_VIOLATIONS = 10
_MAX_MESSAGE = 300


class BadSchemaError(Exception):
    """A schema that is not one; ``path`` leads to the fault inside it."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class DocumentSchema:
    """A compiled schema; it is self-contained, nothing is ever fetched for it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        dialect = str(schema.get("$schema", Draft202012Validator.META_SCHEMA["$id"]))
        unknown: Any = None
        kind = validator_for({"$schema": dialect}, default=unknown)
        if kind is None:
            raise BadSchemaError(f"{dialect} is not a dialect known here", ("$schema",))
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise BadSchemaError(error.message, tuple(error.absolute_path)) from None
        specification = specification_with(kind.META_SCHEMA["$id"], default=DRAFT202012)
        resolver = Registry().with_resource("", specification.create_resource(schema)).resolver()
        for path, reference in _find_references(schema, ()):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                raise BadSchemaError(f"{reference} leads nowhere in this schema", path) from None
        self._validator = kind(schema, registry=Registry())

    def find_violations(self, document: Any) -> list[dict[str, str]]:
        """Return the first violations as JSON pointer and message."""
        violations = []
        try:
            for error in self._validator.iter_errors(document):
                pointer = "".join(
                    "/" + str(part).replace("~", "~0").replace("/", "~1")
                    for part in error.absolute_path
                )
                violations.append({"pointer": pointer, "message": error.message[:_MAX_MESSAGE]})
                if len(violations) == _MAX_VIOLATIONS:
                    break
        except (Unresolvable, RecursionError) as error:
            message = f"the schema cannot be applied: {error}"
            violations.append({"pointer": "", "message": message[:_MAX_MESSAGE]})
        return violations


def _find_references(
    part: object, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield (*path, key), value
            # what stands in these is data
            elif key not in ("const", "enum", "default", "examples"):
                yield from _find_references(value, (*path, key))
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from _find_references(value, (*path, index))
