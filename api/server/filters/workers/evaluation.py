"""One filter, compiled: schema, jq and rules in the order in which a document meets them."""

import json
from typing import TYPE_CHECKING

from api.server.filters.jq.failures import JqError
from api.server.filters.jq.program import CompileError, JqProgram
from api.server.filters.workers.protocol import CompileFault, FilterCall, FilterRefusal, WorkerSpec
from api.server.filters.workers.wishes import complete_wishes

if TYPE_CHECKING:
    from api.server.filters.workers.schema import DocumentSchema

MAX_OUTPUT = 1 << 20
"""Most bytes of a manifest as JSON."""
_MAX_MESSAGE = 2000
_MOST_OUTPUTS = 1001
"""Outputs of a filter that are counted."""
_JQ_FAILED = (
    "jq failed; its text may show variables and is not passed on, but `render` shows it, and what"
    " the filter says itself with error(…)"
)
_NO_VERDICT = "the rule has no output: where a list may be empty, write all(…)"


class Evaluation:
    """The compiled form of one ``WorkerSpec``; ``faults`` says what did not compile."""

    def __init__(self, index: int, spec: WorkerSpec) -> None:
        self.faults: list[CompileFault] = []
        self._index = index
        self._spec = spec
        self._schema = self._read_schema()
        self._filter = self._compile(spec.source, "spec", "filter")
        self._rules = [
            (self._compile(expression, "spec", "rules", i, "expression"), expression, message)
            for i, (expression, message) in enumerate(spec.rules)
        ]

    def evaluate(self, call: FilterCall) -> bytes | FilterRefusal:
        """Return the manifest as JSON, or why there is none."""
        document = call.text.decode()
        if self._schema is not None:
            violations = self._schema.find_violations(json.loads(document))
            if violations:
                text = "; ".join(f"{v['pointer'] or '/'}: {v['message']}" for v in violations)
                details: dict[str, object] = {"violations": violations}
                return FilterRefusal(400, "SchemaViolation", text[:_MAX_MESSAGE], details)
        assert self._filter is not None
        try:
            outputs = self._filter.run(document, call.path, most=_MOST_OUTPUTS)
        except JqError as error:
            return _refuse("FilterFailed", f"the filter failed: {_explain(error)}", _hide(error))
        if outputs.count != 1:
            return _refuse_count(outputs.count)
        try:
            manifest = json.dumps(
                complete_wishes(outputs.values[0], self._spec.job),
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
            ).encode(errors="replace")
        except (ValueError, RecursionError):
            return _refuse("FilterFailed", "the filter's output is not JSON, or nests too deeply")
        if len(manifest) > MAX_OUTPUT:
            return _refuse("FilterFailed", f"the filter's output is larger than {MAX_OUTPUT} bytes")
        return self._check_rules(manifest, call.path) or manifest

    def _check_rules(self, manifest: bytes, path: str) -> FilterRefusal | None:
        violations = []
        hidden = []
        for program, expression, message in self._rules:
            assert program is not None
            failure = None
            try:
                outputs = program.run(manifest.decode(), path)
            except JqError as error:
                failure = _explain(error)[:_MAX_MESSAGE]
                hidden.append(_hide(error))
            else:
                if outputs.count and outputs.all_true:
                    continue
                if not outputs.count:
                    failure = _NO_VERDICT
            # whatever is not plainly true is a violation, an error in the rule included
            violation = {"rule": expression, "message": message}
            if failure is not None:
                violation["failure"] = failure
            violations.append(violation)
        if not violations:
            return None
        text = "; ".join(v["message"] for v in violations)
        details: dict[str, object] = {"violations": violations}
        message = text[:_MAX_MESSAGE]
        return FilterRefusal(
            403, "RuleViolation", message, details, "; ".join(filter(None, hidden))
        )

    def _compile(self, source: str, *field: str | int) -> JqProgram | None:
        try:
            return JqProgram(source, self._spec.env)
        except CompileError as error:
            flaw = CompileFault(self._index, field, error.message, error.line, error.column)
            self.faults.append(flaw)
            return None

    def _read_schema(self) -> "DocumentSchema | None":
        if self._spec.schema is None:
            return None
        # imported where a config asks for it: it doubles a worker's start
        from api.server.filters.workers.schema import BadSchemaError, DocumentSchema  # noqa: PLC0415

        try:
            return DocumentSchema(self._spec.schema)
        except BadSchemaError as error:
            field = ("spec", "schema", *error.path)
            self.faults.append(CompileFault(self._index, field, error.message[:_MAX_MESSAGE]))
            return None


def _refuse(reason: str, message: str, hidden: str = "") -> FilterRefusal:
    return FilterRefusal(400, reason, message[:_MAX_MESSAGE], {}, hidden)


def _explain(error: JqError) -> str:
    """Return what a client may know: jq's own texts show values, the operator's secrets too."""
    return str(error) if error.is_raised else _JQ_FAILED


def _hide(error: JqError) -> str:
    return "" if error.is_raised else str(error)[:_MAX_MESSAGE]


def _refuse_count(count: int) -> FilterRefusal:
    if not count:
        return _refuse(
            "NoManifest",
            "the filter yielded nothing; the usual cause is `empty` or a `select` that nothing"
            " passes: where a member is to be absent, write null",
        )
    shown = str(count) if count < _MOST_OUTPUTS else f"more than {count - 1}"
    return _refuse(
        "ManyManifests",
        f"the filter yielded {shown} manifests, and a document is one job: have it yield one,"
        " with first(…) or [.[] | …] around what makes several",
    )
