"""What was measured, as frozen rows: a table for people, JSON for programs."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import find_percentile


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: ``at least`` or ``at most`` a bound."""

    kind: str
    bound: float

    def is_met(self, value: float) -> bool:
        """Tell whether ``value`` keeps to it."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; ``value`` is what ``goal`` judges: a ratio, a difference or the figure itself.

    ``ours`` and ``beside`` are what it was computed from, in ``unit``.
    """

    part: str
    name: str
    value: float
    measure: str
    ours: float | None = None
    beside: float | None = None
    unit: str = ""
    goal: Goal | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; ``None`` without one."""
        return None if self.goal is None else self.goal.is_met(self.value)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one part found: rows for the table, samples for the JSON, pictures by file name."""

    rows: Sequence[Row]
    samples: Mapping[str, object] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)


def at_least(bound: float) -> Goal:
    """Return a goal that larger values meet."""
    return Goal("at least", bound)


def at_most(bound: float) -> Goal:
    """Return a goal that smaller values meet."""
    return Goal("at most", bound)


def relate(
    part: str,
    name: str,
    ours: Sequence[float],
    beside: Sequence[float],
    *,
    unit: str,
    goal: Goal | None = None,
) -> Row:
    """Return a row with the ratio of the medians."""
    left, right = statistics.median(ours), statistics.median(beside)
    return Row(part, name, left / right, "ratio", left, right, unit, goal)


def subtract(
    part: str,
    name: str,
    ours: Sequence[float],
    beside: Sequence[float],
    *,
    unit: str,
    goal: Goal | None = None,
) -> Row:
    """Return a row with the difference of the medians."""
    left, right = statistics.median(ours), statistics.median(beside)
    return Row(part, name, left - right, unit + " more", left, right, unit, goal)


def state(part: str, name: str, value: float, unit: str, goal: Goal | None = None) -> Row:
    """Return a row that has nothing beside it."""
    return Row(part, name, value, unit, goal=goal)


def state_percentile(
    part: str,
    name: str,
    values: Sequence[float],
    share: float,
    *,
    unit: str,
    goal: Goal | None = None,
) -> Row:
    """Return a row with one percentile of ``values``."""
    return Row(part, name, find_percentile(values, share), unit, goal=goal)


def describe_machine(engine_version: str) -> dict[str, object]:
    """Return what the figures depend on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("docker-job-dispatcher"),
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "engine": engine_version,
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    head = ("part", "figure", "ours", "beside", "result", "wanted", "met")
    lines = [head, *[_format_row(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _format_row(row: Row) -> tuple[str, ...]:
    wanted = f"{row.goal.kind} {row.goal.bound:g}" if row.goal else ""
    met = {True: "yes", False: "NO", None: ""}[row.is_met]
    unit = f" {row.unit}" if row.unit else ""
    return (
        row.part,
        row.name,
        "" if row.ours is None else f"{row.ours:.3g}{unit}",
        "" if row.beside is None else f"{row.beside:.3g}{unit}",
        f"{row.value:.3g} {row.measure}",
        wanted,
        met,
    )


def format_json(machine: Mapping[str, object], findings: Sequence[Findings]) -> str:
    """Return everything, samples included, as JSON."""
    rows = [asdict(row) | {"is_met": row.is_met} for found in findings for row in found.rows]
    samples = {name: value for found in findings for name, value in found.samples.items()}
    return json.dumps({"machine": machine, "figures": rows, "samples": samples}, indent=1) + "\n"
