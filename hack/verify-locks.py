#!/usr/bin/env python3
"""Checks, without network, that the lock files answer pyproject.toml and agree with each other."""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
RUN, DEV = "requirements.lock", "requirements-dev.lock"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")


def main() -> None:
    """Print every fault and fail if there is one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run_wanted = [*project["dependencies"], *extras["build"]]
    run, dev = read_pins(RUN), read_pins(DEV)
    faults = [
        *find_unanswered(RUN, run, run_wanted),
        *find_unanswered(DEV, dev, [*run_wanted, *extras["dev"]]),
        *(
            f"{name} is {version} in {RUN}, {dev.get(name)} in {DEV}"
            for name, version in run.items()
            if dev.get(name) != version
        ),
        *find_unhashed(RUN),
        *find_unhashed(DEV),
    ]
    if faults:
        sys.exit("\n".join([*faults, "run hack/update-locks"]))


def read_pins(lock: str) -> dict[str, str]:
    """Return the version of each package of a lock file."""
    matches = map(PIN.match, (ROOT / lock).read_text().splitlines())
    return {canonicalize_name(m["name"]): m["version"] for m in matches if m}


def find_unanswered(lock: str, pins: dict[str, str], wanted: list[str]) -> list[str]:
    """Return a line for each requirement that no pin satisfies."""
    faults = []
    for requirement in map(Requirement, wanted):
        version = pins.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{lock}: {requirement} is wanted, {version} is there")
    return faults


def find_unhashed(lock: str) -> list[str]:
    """Return a line for each pin without a hash."""
    lines = (ROOT / lock).read_text().splitlines()
    return [
        f"{lock}: {line} has no hash"
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.match(line) and "--hash=sha256:" not in line + following
    ]


if __name__ == "__main__":
    main()
