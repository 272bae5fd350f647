"""The history of a run: what happened, one JSON line each, written the moment it is seen."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing seen: ``at`` in nanoseconds since the epoch, by the clock all parts share."""

    at: int
    kind: str
    facts: Mapping[str, Any] = field(hash=False)

    def __getitem__(self, key: str) -> Any:
        return self.facts[key]

    def get(self, key: str) -> Any:
        """Return a fact, or None."""
        return self.facts.get(key)

    def to_line(self) -> str:
        """Return the entry as one line of JSON."""
        return json.dumps({"at": self.at, "kind": self.kind, **self.facts}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read an entry back."""
        facts = json.loads(line)
        return cls(facts.pop("at"), facts.pop("kind"), facts)


class Recorder:
    """Writes entries to a file from any thread and keeps them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def record(self, kind: str, **facts: Any) -> Entry:
        """Record something that happens now."""
        entry = Entry(time.time_ns(), kind, facts)
        self.add(entry)
        return entry

    def add(self, *entries: Entry) -> None:
        """Record what happened at its own time."""
        with self._lock:
            for entry in entries:
                self._entries.append(entry)
                self._file.write(entry.to_line() + "\n")
            self._file.flush()

    def read(self) -> list[Entry]:
        """Return all entries so far, in order of time."""
        with self._lock:
            return sorted(self._entries, key=lambda entry: entry.at)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_history(path: Path) -> list[Entry]:
    """Return the entries of a history file in order of time."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted(map(Entry.from_line, lines), key=lambda entry: entry.at)


def excerpt(entries: Iterable[Entry], subjects: Iterable[str]) -> list[Entry]:
    """Return the shortest part that tells of ``subjects`` (ids, names, or parts of the suite).

    Everything about them, from the first such entry to the last, and every fault in between; of
    the looks at the engine only those that show a change.
    """
    wanted = {subject for subject in subjects if subject}
    entries = list(entries)
    about = [index for index, entry in enumerate(entries) if _speaks_of(entry, wanted)]
    part: list[Entry] = []
    shown: list[object] | None = None
    for entry in entries[about[0] : about[-1] + 2] if about else ():
        if entry.kind == "look":
            rows = [row for row in entry["rows"] if wanted.intersection(row)]
            if rows != shown:
                shown = rows
                part.append(Entry(entry.at, entry.kind, {**entry.facts, "rows": rows}))
        elif entry.kind == "fault" or _speaks_of(entry, wanted):
            part.append(entry)
    return part


def _speaks_of(entry: Entry, wanted: set[str]) -> bool:
    if entry.kind == "look":
        return any(wanted.intersection(row) for row in entry["rows"])
    names = (entry.get(key) for key in ("id", "name", "uid", "process"))
    return any(name in wanted for name in names if name)
