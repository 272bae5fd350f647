"""What a container's observed state means as a job: phase, reason, message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a job is in its life. Derived from the engine at every look, never stored."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a job is in its phase."""

    QUEUED = "Queued"  # Pending: waits for a slot or for a controller
    START_ERROR = "StartError"  # Pending: the engine refused to start it; it is tried again
    PAUSED = "Paused"
    RESTARTING = "Restarting"
    ERROR = "Error"  # Failed: exited with a code other than 0
    OOM_KILLED = "OOMKilled"
    DEAD = "Dead"  # Failed: the engine could not remove it
    ENGINE_SILENT = "EngineSilent"  # Unknown: the engine does not answer for this container


class Status(StrEnum):
    """The engine's own word for a container's state."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ACTIVE: Final = frozenset({Status.RUNNING, Status.PAUSED, Status.RESTARTING})
"""States that hold a slot. Paused ones do: their memory is in use and they will go on."""

FINISHED: Final = frozenset({Status.EXITED, Status.DEAD})
"""States after which a container may be collected."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container as ``inspect`` shows it: the only material a job is derived from.

    Times are integer nanoseconds since the Unix epoch by the engine's clock; ``None`` where the
    engine says ``0001-01-01T00:00:00Z``, that is: not yet.
    """

    id: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    image: str
    created: int
    status: Status
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    restart_count: int = 0
    lingers: bool = False  # beyond its process's end: a restart policy, a port of the host, …
    health: str | None = None

    @property
    def is_startable(self) -> bool:
        """Tell whether a start would be its first: anything else would run the job again."""
        return self.status is Status.CREATED and self.started_at is None


@dataclass(frozen=True, slots=True)
class Condition:
    """A phase with its reason (empty where the phase says all) and a message for people."""

    phase: Phase
    reason: Reason | None = None
    message: str = ""


def derive_condition(container: Container) -> Condition:
    """Derive the job's phase from what the engine shows. Both processes use this function."""
    match container.status:
        case Status.CREATED if container.error:
            return Condition(Phase.PENDING, Reason.START_ERROR, container.error)
        case Status.CREATED:
            return Condition(Phase.PENDING, Reason.QUEUED, "waits for a slot or for a controller")
        case Status.RUNNING:
            return Condition(Phase.RUNNING)
        case Status.PAUSED:
            return Condition(Phase.RUNNING, Reason.PAUSED, "all processes are suspended")
        case Status.RESTARTING:
            message = f"exited {container.exit_code}, the engine restarts it"
            return Condition(Phase.RUNNING, Reason.RESTARTING, message)
        case Status.DEAD:
            return Condition(Phase.FAILED, Reason.DEAD, "the engine could not remove it")
        case Status.EXITED | Status.REMOVING:
            return _derive_finished(container)


def _derive_finished(container: Container) -> Condition:
    if container.oom_killed:
        message = f"ran out of memory, exited {container.exit_code}"
        return Condition(Phase.FAILED, Reason.OOM_KILLED, message)
    if container.exit_code != 0 or container.error:
        message = container.error or f"exited {container.exit_code}"
        return Condition(Phase.FAILED, Reason.ERROR, message)
    return Condition(Phase.SUCCEEDED)
