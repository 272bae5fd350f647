"""The filter language: jq 1.8 with ``$PATH``, an explicit ``$ENV``, digests and ``cuid2``.

A prelude on the program's own first line shadows what jq would take from the process, so
that lines (``$__loc__``, errors) count as in the author's text. Everything that changes
from run to run goes in with the input.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping

import jq

from api.server.filters.jq.digests import define_digests
from api.server.filters.jq.failures import JqError, define_marking, is_same_but_marked

_HALT, _ASK = 0, 1
_RUNS = 1024
"""Most runs of one evaluation; each miss of the digest table costs two."""
_CANDIDATES = 256
_END = "__end"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGESTING = re.compile(r"@sha1|@md5|\bformat\b")
_QUESTION = re.compile("(sha1|md5)[=:]")
_POSITION = re.compile(
    r"^(?:jq: error: )?(.*?) at <top-level>, line (\d+), column (\d+)", re.DOTALL
)

_PASSES = (
    # jq comes back to the second pass when the program has no more output; an error raised here
    # stands before every `try` of the program. Without it a halt would look like the end.
    f'(0, 1) as $__pass | if $__pass == 1 then error("{_END}") else . end |'
)
_INPUTS = (
    # no other input, file, module or terminal is in reach of a filter
    'def input: error("input is not available: a filter has one document");'
    " def inputs: empty; def input_filename: null; def input_line_number: 0;"
    " def get_search_list: []; def halt_error: error; def halt_error($code): error;"
    ' def modulemeta: error("modules are not available");'
)
_FORMATS = (
    "def __format(f): format(f);"
    " def format(f): f as $f"
    ' | if $f == "sha1" or $f == "md5" then __digest($f) else __format($f) end;'
)
_ASKING = (
    # halt cannot be caught by the filter's own try; the error of the second run tells what
    # a string is hashed as it is, anything else as JSON with sorted keys: = and : tell which
    'def __digest($k): ($k + (if type == "string" then "=" else ":" end) + tostring) as $q'
    " | $__host.t[$q]"
    " // if $__host.m == 0 then halt else error({__digest: $q}) end;"
)
_PURE = (
    'def __digest($k): (if type == "string" then . else __json end)'
    ' | if $k == "sha1" then __sha1 else __md5 end;'
)
_CUID2 = (
    # two calls never see the same clock reading: each waits until it has changed
    "def cuid2: now as $a | ($a | until(. != $a; now)) as $t | ($t * 1000000 | floor) as $n"
    f" | $__host.s[0:1] + ([range(8) as $i | ($n / pow(36; $i) | floor) % 36"
    f' | "{_DIGITS}"[.:.+1]] | add) + $__host.s[1:16];'
)


class CompileError(Exception):
    """jq refused a program: ``message`` and, where jq says so, ``line`` and ``column`` (from 1)."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Outputs:
    """What one evaluation yielded: the first values, and what is known of all of them."""

    def __init__(self) -> None:
        self.values: list[object] = []
        """The first outputs, as many as were asked for."""
        self.count = 0
        self.all_true = True
        """Whether each output is ``true``, as no output at all is."""
        self.halted = False
        """Whether ``halt`` ended the evaluation."""


class JqProgram:
    """One jq program, compiled once; ``environment`` is all that ``$ENV`` and ``env`` show."""

    def __init__(self, source: str, environment: Mapping[str, str]) -> None:
        self._source = source
        self._environment = json.dumps(dict(environment))
        self._digests = bool(_DIGESTING.search(source))
        self._ids = "cuid2" in source
        self._fresh = self._ids or "now" in source
        self._pure: jq._Program | None = None
        self._marked: dict[bool, jq._Program] = {}
        self._mark = os.urandom(8).hex()
        self._program = self._compile("", _ASKING)

    def run(self, document: str, path: str, *, keep: int = 1, most: int | None = None) -> Outputs:
        """Evaluate on ``document`` (compact JSON text); ``path`` is the value of ``$PATH``.

        Keeps the first ``keep`` outputs and stops after ``most``. A failure, also one after the
        first output, raises ``JqError`` with jq's text.
        """
        if not self._digests:
            return self._evaluate(self._pack(document, path), keep, most)
        table = _answer(json.loads(document), document)
        guessed = False
        # a digest of something fresh in every run will never be in the table
        for _ in range(8 if self._fresh else _RUNS):
            digests = json.dumps(table)
            text = self._pack(document, path, digests)
            outputs = self._evaluate(text, keep, most)
            if not outputs.halted:
                return outputs
            question = self._ask(self._pack(document, path, digests, _ASK))
            if question is not None and question not in table:
                table[question] = _digest(question)
                continue
            if guessed:
                break
            guessed = True
            table.update(_guess(document, path))
        if self._pure is None:
            self._pure = self._compile(define_digests(), _PURE)
        return self._evaluate(self._pack(document, path), keep, most, pure=self._pure)

    def _evaluate(
        self, text: str, keep: int, most: int | None, pure: "jq._Program | None" = None
    ) -> Outputs:
        try:
            return _collect(pure or self._program, text, keep, most)
        except ValueError as error:
            is_raised = self._is_raised(str(error), text, most, is_pure=pure is not None)
            raise JqError(str(error), is_raised=is_raised) from None

    def _is_raised(self, failure: str, text: str, most: int | None, *, is_pure: bool) -> bool:
        """Run once more, with a mark on what ``error`` raises: without it, the failure is the same.

        The mark shows in a ``catch``, so the program may take another way; then nothing is sure.
        """
        if is_pure not in self._marked:
            digests = (define_digests(), _PURE) if is_pure else ("", _ASKING)
            self._marked[is_pure] = self._compile(*digests, define_marking(self._mark))
        try:
            _collect(self._marked[is_pure], text, 0, most)
        except ValueError as error:
            return is_same_but_marked(str(error), failure, self._mark)
        return False

    def _ask(self, text: str) -> str | None:
        """Return the digest that a run misses; None if the program caught the question."""
        try:
            _collect(self._program, text, 0, None)
        except ValueError as error:
            # any other error may be the filter's answer to having caught the question
            return _read_question(str(error))
        return None

    def _compile(self, definitions: str, digest: str, marking: str = "") -> "jq._Program":
        prelude = (
            f"{_PASSES} {self._environment} as $ENV | .h as $__host | .p as $PATH | .i |"
            f" def env: $ENV; {marking} {_INPUTS} {definitions} {digest} {_FORMATS} {_CUID2} "
        )
        if "\0" in self._source:
            # libjq would take what stands before it for the whole
            line = self._source.count("\n", 0, self._source.index("\0")) + 1
            raise CompileError("the program holds the character U+0000", line, 1)
        try:
            return jq.compile(prelude + self._source)
        except ValueError as error:
            raise _place(str(error), len(prelude), self._source) from None

    def _pack(self, document: str, path: str, digests: str = "{}", mode: int = _HALT) -> str:
        """Return the input of one run as JSON."""
        seed = _draw_seed() if self._ids else ""
        return (
            f'{{"h":{{"t":{digests},"m":{mode},"s":"{seed}"}},"p":{json.dumps(path)},'
            f'"i":{document}}}'
        )


def _collect(program: "jq._Program", text: str, keep: int, most: int | None) -> Outputs:
    """Run a program on ``text`` until its end, a halt, a failure (``ValueError``) or ``most``."""
    outputs = Outputs()
    try:
        for value in program.input_text(text):
            outputs.count += 1
            outputs.all_true = outputs.all_true and value is True
            if outputs.count <= keep:
                outputs.values.append(value)
            if outputs.count == most:
                return outputs
    except ValueError as error:
        if str(error) == _END:
            return outputs
        raise
    outputs.halted = True
    return outputs


def _digest(question: str) -> str:
    """Return the hex digest that ``sha1=string``, ``md5:JSON`` and so on ask for."""
    kind, text = re.split("[=:]", question, maxsplit=1)
    if question[len(kind)] == ":":
        text = json.dumps(
            json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
    return hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()


def _answer(value: object, text: str) -> dict[str, str]:
    """Return the table entries of one value, ``text`` being its JSON."""
    asked = f"={value}" if isinstance(value, str) else f":{text}"
    return {kind + asked: _digest(kind + asked) for kind in ("sha1", "md5")}


def _read_question(error: str) -> str | None:
    if not error.startswith('{"__digest"'):
        return None
    try:
        question = json.loads(error)["__digest"]
    except (ValueError, KeyError, RecursionError):
        return None
    return question if isinstance(question, str) and _QUESTION.match(question) else None


def _guess(document: str, path: str) -> dict[str, str]:
    """Return the digests of what is most often hashed: parts of the document, the path."""
    table: dict[str, str] = {}
    level: list[object] = [path, json.loads(document)]
    while level and len(table) < _CANDIDATES:
        below: list[object] = []
        for value in level[:_CANDIDATES]:
            table.update(
                _answer(value, json.dumps(value, separators=(",", ":"), ensure_ascii=False))
            )
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = below
    return table


def _draw_seed() -> str:
    number = int.from_bytes(os.urandom(16))
    letters = [_DIGITS[10 + number % 26]]
    for _ in range(15):
        number, digit = divmod(number, 36)
        letters.append(_DIGITS[digit])
    return "".join(letters)


def _place(text: str, prelude: int, source: str) -> CompileError:
    """Return jq's first error, its place counted in the author's text."""
    found = _POSITION.match(text)
    if found is None:
        message = text.removeprefix("jq: error: ").splitlines()[0]
        return CompileError(message)
    line, column = int(found[2]), int(found[3])
    if line == 1:
        column = max(column - prelude, 1)
    if not re.sub(r"#[^\n]*", "", source).strip():
        return CompileError("the program is empty", 1, 1)
    return CompileError(found[1], line, column)
