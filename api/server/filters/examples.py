"""Run the examples that configs carry, and say which do not come out as they should."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from api.config.faults import ConfigFault
from api.server.filters.catalog import FilterCatalog, FilterEntry
from api.server.filters.config import FilterExample
from api.server.filters.generation import Rendered
from api.server.filters.service import Filters
from api.server.filters.workers.limits import FilterLimits
from api.server.http import json_body
from api.server.http.problem import Problem

Admit = Callable[[Rendered], Mapping[str, object]]
"""Judges what was rendered: the manifest as it would be recorded, or ``Problem``."""

_SHOWN = 400

_Case = tuple[FilterEntry, int, FilterExample]


@dataclass(frozen=True, slots=True)
class ExamplesRun:
    """How many examples there are, what is wrong with them, and what each filter made."""

    count: int
    faults: list[ConfigFault]
    manifests: Mapping[str, list[dict[str, Any]]]
    """By the filter's name."""


async def run_examples(catalog: FilterCatalog, admit: Admit | None) -> ExamplesRun:
    """Run the examples in ``catalog``.

    An example sees its own ``env`` and its config's, nothing of this process's.
    """
    cases = [
        (entry, number, example)
        for entry in catalog.entries
        for number, example in enumerate(entry.config.spec.examples)
    ]
    cases.sort(key=_environment)
    faults: list[ConfigFault] = []
    manifests: dict[str, list[dict[str, Any]]] = {}
    for _, group in groupby(cases, key=_environment):
        alike = list(group)
        filters = Filters(catalog, alike[0][2].env, limits=FilterLimits(size=1))
        await filters.start()
        try:
            for entry, number, example in alike:
                message, manifest = await _try(filters, entry, example, admit)
                if isinstance(manifest, dict):
                    manifests.setdefault(entry.config.metadata.name, []).append(manifest)
                if message is not None:
                    field = ("spec", "examples", number)
                    label = f"{example.name}: {message}" if example.name else message
                    faults.append(entry.blame(field, label))
        finally:
            await filters.close()
    return ExamplesRun(len(cases), faults, manifests)


def _environment(case: _Case) -> str:
    return json.dumps(case[2].env, sort_keys=True)


async def _try(
    filters: Filters, entry: FilterEntry, example: FilterExample, admit: Admit | None
) -> tuple[str | None, object]:
    """Return what is wrong with an example, and the manifest if there is one."""
    path = example.path or entry.config.spec.served[0]
    try:
        # numbers mean what they mean in a request
        document = json_body.parse(json.dumps(example.document).encode())
        rendered = await filters.render(path, document)
        if rendered.filter != entry.config.metadata.name:
            return f"{path} is served by the filter {rendered.filter}", None
        if admit is not None:
            admit(rendered)
    except Problem as problem:
        return _check_refusal(example, problem), None
    return _compare(example, _drop_nulls(rendered.manifest)), rendered.manifest


def _compare(example: FilterExample, manifest: object) -> str | None:
    if example.error is not None:
        return f"expected {example.error.reason}, got the manifest {_show(manifest)}"
    if example.contains is not None:
        missing = _find_missing(_drop_nulls(example.contains), manifest, "")
        return None if missing is None else f"{missing}; the manifest is {_show(manifest)}"
    if manifest == _drop_nulls(example.manifest):
        return None
    return f"expected {_show(example.manifest)}, got {_show(manifest)}"


def _check_refusal(example: FilterExample, problem: Problem) -> str | None:
    expected = example.error
    hidden = f" ({problem.hidden})" if problem.hidden else ""
    if expected is None:
        return f"refused: {problem}{hidden}"
    if expected.reason != problem.reason:
        return f"expected {expected.reason}, got {problem}{hidden}"
    if expected.message is not None and expected.message not in problem.message + hidden:
        return f"expected a message with {expected.message!r}, got {problem.message + hidden!r}"
    return None


def _drop_nulls(value: object) -> object:
    """Return ``value`` without members that are null: absent, for admission and engine."""
    if isinstance(value, dict):
        return {k: _drop_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_drop_nulls(v) for v in value]
    return value


def _find_missing(expected: object, actual: object, pointer: str) -> str | None:
    """Return where ``actual`` lacks what ``expected`` has; lists are compared whole."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            below = f"{pointer}/{key}"
            if key not in actual:
                return f"{below} is absent"
            missing = _find_missing(value, actual[key], below)
            if missing is not None:
                return missing
        return None
    if expected == actual:
        return None
    return f"{pointer or '/'}: expected {_show(expected)}, got {_show(actual)}"


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
