"""Finds in a process's log what only a fault of its own makes it say, and which jobs it gave up."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.chaos.history import Entry

_LOSS = "job lost: it was removed before it ran"
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
        if _read(line).get("level") in _FAULTS:
            yield line
    if stray:
        yield "\n".join(stray)


def find_losses(log: str) -> Iterator[Entry]:
    """Yield an entry for each job that the process says was removed before it ran."""
    for line in log.splitlines():
        told = _read(line)
        if told.get("event") == _LOSS:
            seconds = datetime.fromisoformat(told["timestamp"]).timestamp()
            yield Entry(int(seconds * 1e9), "lost", {"id": told["id"], "name": told["job"]})


def _read(line: str) -> dict[str, Any]:
    """Read a structured line; empty if it is none, or was cut short by a kill."""
    try:
        facts: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return facts
