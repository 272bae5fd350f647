"""One filter, compiled: schema, jq and rules in the order in which a document meets them."""

import json
from typing import TYPE_CHECKING, Any

from api.server.filters.dialect import CompileError, Program, Run
from api.server.filters.wire import Call, Flaw, Refusal, Spec

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_OUTPUT = 1 << 20
"""Most bytes of a manifest as JSON."""
MAX_MESSAGE = 2000
_MAX_VIOLATIONS = 10
_MAX_DEPTH = 64


class Evaluation:
    """The compiled form of one ``Spec``; ``flaws`` says what did not compile."""

    def __init__(self, index: int, spec: Spec) -> None:
        self.flaws: list[Flaw] = []
        self._index = index
        self._spec = spec
        self._filter = self._compile(spec.source, "spec", "filter")
        self._rules = [
            (self._compile(expression, "spec", "rules", i, "expression"), expression, message)
            for i, (expression, message) in enumerate(spec.rules)
        ]
        self._schema = None if spec.schema is None else self._read_schema(spec.schema)

    def evaluate(self, call: Call) -> tuple[bytes, Run] | Refusal:
        """Return the first output as JSON, and the run for what may follow, or a refusal."""
        document = call.text.decode()
        if self._schema is not None:
            refusal = _check_schema(self._schema, json.loads(document))
            if refusal is not None:
                return refusal
        assert self._filter is not None
        try:
            run = self._filter.run(document, call.path)
            found, value = run.take()
        except ValueError as error:
            return _refuse("FilterFailed", f"the filter failed: {error}")
        if not found:
            return _refuse("NoManifest", "the filter yielded nothing")
        try:
            manifest = json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            ).encode(errors="replace")
        except (ValueError, RecursionError):
            return _refuse("FilterFailed", "the filter's output is not JSON, or nests too deeply")
        if len(manifest) > MAX_OUTPUT:
            return _refuse("FilterFailed", f"the filter's output is larger than {MAX_OUTPUT} bytes")
        return self._check_rules(manifest, call.path) or (manifest, run)

    def _check_rules(self, manifest: bytes, path: str) -> Refusal | None:
        violations = []
        for program, expression, message in self._rules:
            assert program is not None
            try:
                found, verdict = program.run(manifest.decode(), path).take()
                failure = None if found else "it yielded nothing"
            except ValueError as error:
                found, verdict, failure = False, None, str(error)[:MAX_MESSAGE]
            if found and verdict is True:
                continue
            violation = {"rule": expression, "message": message}
            # whatever is not plainly true is a violation, an error in the rule included
            if failure is not None:
                violation["failure"] = failure
            violations.append(violation)
        if not violations:
            return None
        text = "; ".join(v["message"] for v in violations)
        return Refusal(403, "RuleViolation", text[:MAX_MESSAGE], {"violations": violations})

    def _compile(self, source: str, *field: str | int) -> Program | None:
        try:
            return Program(source, self._spec.env)
        except CompileError as error:
            flaw = Flaw(self._index, field, error.message, error.line, error.column)
            self.flaws.append(flaw)
            return None

    def _read_schema(self, schema: dict[str, Any]) -> "Validator | None":
        # imported where a schema asks for it: it doubles a worker's start
        from jsonschema import Draft202012Validator  # noqa: PLC0415
        from jsonschema.exceptions import SchemaError  # noqa: PLC0415
        from jsonschema.validators import validator_for  # noqa: PLC0415
        from referencing import Registry  # noqa: PLC0415

        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            self._blame("spec", "schema", *error.absolute_path, message=error.message)
            return None
        # an empty registry: no reference is ever fetched
        return kind(schema, registry=Registry())

    def _blame(self, *field: str | int, message: str) -> None:
        self.flaws.append(Flaw(self._index, field, message[:MAX_MESSAGE]))


def _check_schema(validator: "Validator", document: Any) -> Refusal | None:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - as above

    violations = []
    try:
        for error in validator.iter_errors(document):
            pointer = "".join(
                "/" + str(part).replace("~", "~0").replace("/", "~1")
                for part in error.absolute_path
            )
            violations.append({"pointer": pointer, "message": error.message[:300]})
            if len(violations) == _MAX_VIOLATIONS:
                break
    except (Unresolvable, RecursionError) as error:
        return _refuse("SchemaViolation", f"the schema cannot be applied: {error}")
    if not violations:
        return None
    text = "; ".join(f"{v['pointer'] or '/'}: {v['message']}" for v in violations)
    return Refusal(400, "SchemaViolation", text[:MAX_MESSAGE], {"violations": violations})


def _refuse(reason: str, message: str) -> Refusal:
    return Refusal(400, reason, message[:MAX_MESSAGE], {})
