"""Runs tests on several Docker Engines and prints a table: see ``hack/engines``."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree as ET

from tests.support.private_engine import PrivateEngine

_ROOT = Path(__file__).parents[1]
_TREES = _ROOT / ".cache/engines"
_LOGS = _ROOT / ".run/engines"
_SELECTION = (
    *("tests/contract", "tests/integration/api/engine"),
    *("tests/e2e/test_dispatch.py", "tests/e2e/test_newer_api.py"),
    *("tests/chaos", "--deselect", "tests/chaos/test_smoke.py"),
)
_CHAOS = ("-m", "tests.chaos", "--seconds", "120", "--seed", "1")
_CONTAINERD_STORE = {"features": {"containerd-snapshotter": True}}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine to try: the tree it comes from, and its members of ``daemon.json``."""

    name: str
    tree: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What has private engines run this one."""
        path = os.environ["PATH"]
        if self.tree is not None:
            path = f"{_TREES / self.tree}.bin:{path}"
        return {"PATH": path, "ENGINE_OPTIONS": json.dumps(self.options)}


CANDIDATES = (
    Candidate("installed"),
    Candidate("trixie", "trixie"),
    Candidate("sid", "sid"),
    Candidate("sid-containerd", "sid", _CONTAINERD_STORE),
)


@dataclass(frozen=True, slots=True)
class Reported:
    """What pytest said: how many passed, which failed, and the differences that tests name."""

    passed: int
    failed: tuple[str, ...]
    differences: frozenset[str]


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table; ``chaos`` is None where no such run was asked for."""

    name: str
    version: str
    api: str
    reported: Reported
    chaos: bool | None

    @property
    def is_well(self) -> bool:
        """Tell whether something ran and nothing failed."""
        return self.reported.passed > 0 and not self.reported.failed and self.chaos is not False


def main() -> None:
    """Try every engine that is asked for, and fail if anything failed on one of them."""
    parser = argparse.ArgumentParser(description=__doc__, usage="hack/engines [--only ENGINE] …")
    names = [candidate.name for candidate in CANDIDATES]
    parser.add_argument("--only", action="append", choices=names, help="this engine; repeatable")
    wanted, arguments = parser.parse_known_args()
    _LOGS.mkdir(parents=True, exist_ok=True)
    results = [
        try_engine(candidate, arguments)
        for candidate in CANDIDATES
        if candidate.name in (wanted.only or names)
    ]
    print("\n".join(draw_table(results)))  # noqa: T201
    sys.exit(not all(result.is_well for result in results))


def try_engine(candidate: Candidate, arguments: Sequence[str]) -> Result:
    """Run the selection beside a chaos run, or ``arguments`` of pytest alone."""
    began = time.monotonic()
    if candidate.tree is not None:
        subprocess.run([_ROOT / "hack/tree", candidate.tree], check=True)
    with patch.dict(os.environ, candidate.environment):
        with PrivateEngine() as engine:
            form = "{{.Server.Version}} {{.Server.APIVersion}}"
            version, api = engine.docker("version", "--format", form).stdout.split()
        _say(f"{candidate.name}: Docker Engine {version}")
        report = _LOGS / f"{candidate.name}.xml"
        report.unlink(missing_ok=True)
        chaos = None if arguments else _start(_LOGS / f"{candidate.name}.chaos.log", _CHAOS)
        workers = str((os.cpu_count() or 1) + 1)
        tests = _start(
            _LOGS / f"{candidate.name}.log",
            [
                *("-m", "pytest", "-n", workers, "--dist", "loadfile", "-p", "no:cacheprovider"),
                *("-m", "not quiet", "--junitxml", str(report), *(arguments or _SELECTION)),
            ],
        )
        tests.wait()
        is_calm = None if chaos is None else chaos.wait() == 0
    reported = read_report(report.read_text() if report.exists() else "<none/>")
    _say(f"{candidate.name}: done after {time.monotonic() - began:.0f} s")
    return Result(candidate.name, version, api, reported, is_calm)


def _start(log: Path, arguments: Iterable[str]) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


def read_report(text: str) -> Reported:
    """Read pytest's JUnit report; a test that was skipped has not passed, and so has failed."""
    passed, failed, differences = 0, [], set()
    for case in ET.fromstring(text).iter("testcase"):
        properties = [(item.get("name"), item.get("value")) for item in case.iter("property")]
        differences |= {str(value) for name, value in properties if name == "difference"}
        if any(case.find(word) is not None for word in ("failure", "error", "skipped")):
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            passed += 1
    return Reported(passed, tuple(failed), frozenset(differences))


def draw_table(results: Sequence[Result]) -> list[str]:
    """Return the lines of the table, then what failed and every difference with its engines."""
    words = {None: "-", True: "passed", False: "failed"}
    rows = [("engine", "version", "API", "passed", "failed", "differences", "chaos")]
    rows += [
        (
            *(one.name, one.version, one.api, str(one.reported.passed)),
            *(str(len(one.reported.failed)), str(len(one.reported.differences)), words[one.chaos]),
        )
        for one in results
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [f"failed on {one.name}: {test}" for one in results for test in one.reported.failed]
    for difference in sorted({text for one in results for text in one.reported.differences}):
        where = [one.name for one in results if difference in one.reported.differences]
        lines.append(f"{difference} ({', '.join(where)})")
    return lines


def _say(text: str) -> None:
    print(f"engines: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
