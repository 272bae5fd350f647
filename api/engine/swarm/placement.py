"""Which nodes may run a job: those of its platform, and those that its constraints name."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.reading import Body, take
from api.v1.quoting import point, quote

CONSTRAINTS: Final = "com.docker.swarm.constraints"
"""The label that names constraints, as on the Swarm that came before: a JSON array of texts.

It is a manifest's own; on one engine it is a label as any other.
"""

_SYSTEMS: Final = frozenset({"linux", "windows"})
_ARCHITECTURES: Final = {
    "amd64": "amd64",
    "x86_64": "amd64",
    "arm64": "arm64",
    "arm64/v8": "arm64",
    "aarch64": "arm64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""Those that nodes tell of themselves in words that Swarm compares; of variants they tell none."""

# a key that is none of these matches no node, and the job would wait for ever
_CONSTRAINT: Final = re.compile(
    r"(?:node\.(?:id|hostname|ip|role|platform\.(?:os|arch))|(?:node|engine)\.labels\.[\w.-]+)"
    r" *(?:==|!=) *[\w:.*()?+\[\]\\^$|/-]+(?: +[\w:.*()?+\[\]\\^$|/-]+)*",
    re.ASCII | re.IGNORECASE,
)


def make_placement(body: Body, platform: str | None) -> dict[str, Any]:
    """Return the placement of a service; without any, each node may run the job."""
    found = {"Constraints": take(_read_constraints(body)), "Platforms": take(_read(platform))}
    return {key: value for key, value in found.items() if value}


def read_placement(body: Body, platform: str | None) -> Iterator[object]:
    """Yield what chooses nodes, and what cannot."""
    yield from _read_constraints(body)
    yield from _read(platform)


def _read_constraints(body: Body) -> Iterator[str | Unsupported]:
    text = body.get("Labels", {}).get(CONSTRAINTS)
    if text is None:
        return
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    pointer = point("/Labels", CONSTRAINTS)
    if not isinstance(found, list):
        message = "Swarm's constraints are a JSON array of texts like node.labels.disk==ssd"
        yield Unsupported(pointer, message)
        return
    for constraint in found:
        if isinstance(constraint, str) and _CONSTRAINT.fullmatch(constraint):
            yield constraint
        else:
            text = constraint if isinstance(constraint, str) else json.dumps(constraint)
            message = f"Swarm has no constraint {quote(text)}, but such as node.labels.disk==ssd"
            yield Unsupported(pointer, message)


def _read(platform: str | None) -> Iterator[dict[str, str] | Unsupported]:
    """Yield the platform of the nodes that may run a job, if its manifest has one.

    On one engine it is that of the image; a node takes of an image what it can run itself.
    """
    if not platform:
        return
    system, _, architecture = platform.lower().partition("/")
    if not architecture and system not in _SYSTEMS:
        system, architecture = "", system
    if architecture and architecture not in _ARCHITECTURES:
        yield Unsupported("/Platform", f"Swarm tells no nodes of {quote(platform)} from others")
        return
    found = {"OS": system, "Architecture": _ARCHITECTURES.get(architecture, "")}
    yield {key: value for key, value in found.items() if value}
