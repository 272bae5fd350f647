"""Finds in a process's log what only a fault of its own makes it say: errors and tracebacks."""

import json
from collections.abc import Iterator

_FAULTS = {"error", "critical"}


def find_complaints(log: str) -> Iterator[str]:
    """Yield each line of level error, and each run of lines that are no structured log at all.

    No fault of the engine, and none of a client, is an error of the process: it warns.
    """
    stray: list[str] = []
    for line in log.splitlines():
        if not line.startswith("{"):
            stray.append(line)
            continue
        if stray:
            yield "\n".join(stray)
            stray = []
        if _read_level(line) in _FAULTS:
            yield line
    if stray:
        yield "\n".join(stray)


def _read_level(line: str) -> str | None:
    try:
        level: str | None = json.loads(line).get("level")
    except ValueError:
        return None  # a kill has cut it short
    return level
