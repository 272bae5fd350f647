"""What engines differ in, said once for all that stands above the adapters."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class EngineKind(StrEnum):
    """The engines that there is an adapter for."""

    DOCKER = "docker"
    SWARM = "swarm"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine of this ``kind`` does; the defaults are those of one Docker Engine.

    ``images``: it has the images, so that one can be looked at, and pulled, before a create; else
    each node has its own. ``manifests``: it can do all that a manifest may ask for; else it is to
    be asked (``Engine.find_unsupported``). ``grace``: a cancel may give another one than the
    manifest. ``since``: to list what is newer than a job costs less than to list all. ``lock``: how
    one controller is told from the next, by a file of the host or by a lease on the engine.
    """

    kind: str = "docker"
    images: bool = True
    manifests: bool = True
    grace: bool = True
    since: bool = True
    lock: Literal["file", "lease"] = "file"


DOCKER: Final = Capabilities()
SWARM: Final = Capabilities(
    kind="swarm", images=False, manifests=False, grace=False, since=False, lock="lease"
)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What the engine cannot do of a manifest: its place (a JSON pointer), and a message."""

    pointer: str
    message: str
