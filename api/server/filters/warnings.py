"""What compiles and yet may pass what it means to forbid: told by ``check``, never an error.

An upper bound is found by trying it: rules are run on manifests with and without the limit.
A pattern is found by reading it, for what a test is to keep out cannot be known. A limit of time is
seen in what the examples make.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from api.config.faults import ConfigFault, FieldPath
from api.server.filters.catalog import FilterCatalog, FilterEntry, build_catalog
from api.server.filters.config import FilterConfig
from api.server.filters.service import Filters
from api.server.filters.workers.limits import FilterLimits
from api.server.http.problem import Problem

Manifest = dict[str, Any]

# members of a manifest whose absence, and which values of them, are "no limit" to the engine
_UNLIMITED: Final[Mapping[str, tuple[tuple[str, ...], tuple[int | None, ...]]]] = {
    key: (("HostConfig", key), values)
    for key, values in {
        "CpuQuota": (None, 0, -1),
        "Memory": (None, 0, -1),
        "MemorySwap": (None, 0, -1),
        "NanoCpus": (None, 0),
        "PidsLimit": (None, 0, -1),
    }.items()
} | {
    "MaximumRetryCount": (("HostConfig", "RestartPolicy", "MaximumRetryCount"), (None, 0)),
    "StopTimeout": (("StopTimeout",), (-1,)),
}
_GOOD: Final = (1, 1_000_000, 64 << 20, 512 << 20, 1 << 30, 2 << 30)
_HUGE: Final = 1 << 53
_SHOWN: Final = {None: "absent", 0: "0", -1: "-1"}

_CALL: Final = re.compile(r"\b(test|match|capture|scan)\s*\(\s*\[?\s*(?=\")")
_TOKEN: Final = re.compile(r"\\\(|\\.|\"|[^\"\\]+", re.DOTALL)
# of a pattern: an escape, a class, any other character
_PART: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


async def find_warnings(
    catalog: FilterCatalog, manifests: Mapping[str, Sequence[Manifest]]
) -> list[ConfigFault]:
    """Return what looks like a slip, with its place.

    ``manifests`` are what the examples of each filter (by its name) made.
    """
    warnings = [w for entry in catalog.entries for w in _read_patterns(entry)]
    for entry in catalog.entries:
        found_limits = map(_find_timeout, manifests.get(entry.config.metadata.name, ()))
        # once each, however many examples show it
        messages = dict.fromkeys(message for found in found_limits for message in found)
        warnings += [entry.blame(("spec", "filter"), message) for message in messages]
    bounded = [(entry, keys) for entry in catalog.entries if (keys := _find_keys(entry))]
    if not bounded:
        return warnings
    candidates = [_make_candidate(entry, number) for number, (entry, _) in enumerate(bounded)]
    filters = Filters(build_catalog(candidates)[0], {}, limits=FilterLimits(size=1))
    await filters.start()
    try:
        for candidate, (entry, keys) in zip(candidates, bounded, strict=True):
            made = manifests.get(entry.config.metadata.name, ())
            found: dict[tuple[int, str], set[int | None]] = {}
            for base in _make_bases(keys, made):
                for key in keys:
                    for number, passed in await _find_loose(filters, candidate, base, key):
                        found.setdefault((number, key), set()).add(passed)
            warnings += [
                entry.blame(("spec", "rules", number, "expression"), _word(key, passed))
                for (number, key), passed in sorted(found.items())
            ]
    finally:
        await filters.close()
    return warnings


def _find_timeout(manifest: Manifest) -> Iterator[str]:
    """Yield how a limit of time by ``timeout`` fails to hold in some images."""
    parts = (manifest.get("Entrypoint"), manifest.get("Cmd"))
    command = [word for part in parts if isinstance(part, list) for word in part]
    if not command or str(command[0]).rpartition("/")[2] != "timeout":
        return
    host = manifest.get("HostConfig")
    if not isinstance(host, dict) or host.get("Init") is not True:
        yield (
            "timeout without HostConfig.Init: true: in images with busybox the job is process 1,"
            " and neither TERM nor a KILL from inside ends it"
        )
    options = [str(word) for word in command[1:6]]
    if any(option.startswith("--kill-after") for option in options):
        yield "timeout --kill-after is unknown to busybox; -k is known to both"
    elif not any(option.startswith("-k") for option in options):
        yield "timeout without -k does not end a job that ignores TERM; write -k 10"


def _find_keys(entry: FilterEntry) -> list[str]:
    """Return the limits that rules speak of."""
    rules = entry.config.spec.rules
    return [k for k in _UNLIMITED if any(re.search(rf"\b{k}\b", r.expression) for r in rules)]


def _read_patterns(entry: FilterEntry) -> Iterator[ConfigFault]:
    spec = entry.config.spec
    for number, rule in enumerate(spec.rules):
        yield from _read_jq(entry, ("spec", "rules", number, "expression"), rule.expression)
    yield from _read_jq(entry, ("spec", "filter"), spec.filter)


def _read_jq(entry: FilterEntry, path: FieldPath, source: str) -> Iterator[ConfigFault]:
    for call in _CALL.finditer(source):
        parts = _PART.findall(_read_string(source, call.end() + 1))
        line = source.count("\n", 0, call.start()) + 1
        column = call.start() - source.rfind("\n", 0, call.start())
        for sign in ("$", "\\Z"):
            if sign in parts:
                message = f"{call[1]}: {sign} matches before a last newline too; the end is \\\\z"
                yield entry.blame(path, message, line, column)
        if any(part == "\\d" or (part[0] == "[" and "\\d" in part) for part in parts):
            message = f"{call[1]}: \\d takes the digits of every script; write [0-9]"
            yield entry.blame(path, message, line, column)


def _read_string(source: str, start: int) -> str:
    """Return the pattern that the jq string from ``start`` on holds, without interpolations."""
    parts: list[str] = []
    position = start
    while (token := _TOKEN.match(source, position)) is not None:
        position = token.end()
        text = token[0]
        if text == '"':
            break
        if text == "\\(":
            depth = 1
            while depth and position < len(source):
                depth += {"(": 1, ")": -1}.get(source[position], 0)
                position += 1
        elif text.startswith("\\"):
            parts.append(text[1])
        else:
            parts.append(text)
    return "".join(parts)


def _make_candidate(entry: FilterEntry, number: int) -> FilterEntry:
    """Return a filter that yields its document, under the rules of ``entry``."""
    spec = entry.config.spec
    config = FilterConfig.model_validate(
        {
            "apiVersion": entry.config.api_version,
            "kind": entry.config.kind,
            "metadata": {"name": f"candidate-{number}"},
            "spec": {
                "path": f"/job/{number}",
                "filter": ".",
                "env": dict(spec.env),
                "rules": [{"expression": r.expression, "message": r.message} for r in spec.rules],
            },
        }
    )
    return FilterEntry(config, entry.file)


def _make_bases(keys: Sequence[str], manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    yield {}
    for limit in (1, 64 << 20):
        base: Manifest = {}
        for key in keys:
            base = _put(base, key, limit)
        yield base
    yield from manifests[:3]


async def _find_loose(
    filters: Filters, candidate: FilterEntry, base: Manifest, key: str
) -> list[tuple[int, int | None]]:
    """Return each rule that bounds ``key`` from above and yet passes "no limit", and which."""
    usual: set[int] | None = None
    for good in _GOOD:
        broken = await _break(filters, candidate, _put(base, key, good))
        if usual is None or len(broken) < len(usual):
            usual = broken
    assert usual is not None
    bounds = await _break(filters, candidate, _put(base, key, _HUGE)) - usual
    if not bounds:
        return []
    loose: list[tuple[int, int | None]] = []
    for value in _UNLIMITED[key][1]:
        # another rule may be there to forbid it
        if await _break(filters, candidate, _put(base, key, value)) <= usual:
            loose += [(number, value) for number in bounds]
    return loose


async def _break(filters: Filters, candidate: FilterEntry, manifest: Manifest) -> set[int]:
    """Return the numbers of the rules that ``manifest`` breaks; all, if that cannot be told."""
    rules = candidate.config.spec.rules
    try:
        await filters.render(candidate.config.spec.served[0], manifest)
    except Problem as problem:
        violations: Any = problem.details.get("violations", ())
        broken = {violation["rule"] for violation in violations}
        return {n for n, rule in enumerate(rules) if not broken or rule.expression in broken}
    return set()


def _put(manifest: Manifest, key: str, value: int | None) -> Manifest:
    """Return a copy with a limit; None removes it."""
    changed = copy.deepcopy(manifest)
    *parents, last = _UNLIMITED[key][0]
    part = changed
    for name in parents:
        part = part.setdefault(name, {})
        if not isinstance(part, dict):
            return changed
    part.pop(last, None)
    if value is not None:
        part[last] = value
    return changed


def _word(key: str, values: set[int | None]) -> str:
    shown = ", ".join(text for value, text in _SHOWN.items() if value in values)
    path = ".".join(_UNLIMITED[key][0])
    return (
        f"the upper bound passes where {path} is {shown}, which is no limit to the engine;"
        f" write .{path} // 0 | 0 < . and . <= …"
    )
