"""Which nodes may run a job: what its manifest's platform means where nodes differ."""

from collections.abc import Iterator
from typing import Final

from api.engine.capabilities import Unsupported
from api.v1.quoting import quote

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


def read_platform(platform: str | None) -> Iterator[dict[str, str] | Unsupported]:
    """Yield the platform of the nodes that may run a job, if its manifest has one.

    On one engine it is that of the image; a node takes of an image what it can run itself.
    """
    if not platform:
        return
    system, _, architecture = platform.lower().partition("/")
    if not architecture and system not in _SYSTEMS:
        system, architecture = "", system
    if architecture and architecture not in _ARCHITECTURES:
        message = f"Swarm tells no nodes of {quote(platform)} from others"
        yield Unsupported("/Platform", message)
        return
    found = {"OS": system, "Architecture": _ARCHITECTURES.get(architecture, "")}
    yield {key: value for key, value in found.items() if value}
