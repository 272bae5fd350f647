"""A job as far as it is known, and what its state means: phase, reason, message."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.v1.spec import JobSpec


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
    DEAD = "Dead"  # Failed: it never ran, and it is being removed
    ENGINE_SILENT = "EngineSilent"  # Unknown: the engine does not answer for this job


class Status(StrEnum):
    """The engine's own word for the state of a job."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ACTIVE: Final = frozenset({Status.RUNNING, Status.PAUSED, Status.RESTARTING})
"""States that hold a slot. Paused jobs do: their memory is in use and they will go on."""

FINISHED: Final = frozenset({Status.EXITED, Status.DEAD})
"""States after which a job may be collected."""

LEAVING: Final = frozenset({Status.REMOVING, Status.DEAD})
"""States of a removal: under way, or failed. A list does not show there whether the job has run."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as last read; the only material that phases and plans are derived from.

    ``uid`` is the engine's own id, in full, and ``id`` the name under which the job was recorded;
    it stays when someone gives the container another name. Times are integer nanoseconds since
    the Unix epoch by the engine's clock, ``None`` where nothing has happened yet.

    ``made`` tells whether its creation is over: a list shows a job before. ``told``: an event, or
    its creator, has told of it or of its status, and nothing has shown that yet; a list of all
    gives it its place, and corrects the rest.

    ``detailed`` tells whether an inspect has filled everything here in the present status. A list
    fills less: ``created`` in whole seconds, no other time, no ``error``, and ``exit_code`` only
    of jobs that have exited. ``text`` is the STATUS text of ``docker ps``, given by a list alone
    and true at that moment.

    ``order`` sorts jobs as the engine created them: the time of creation where it is ``exact``,
    else the earliest time that fits the engine's list, which shows whole seconds but is sorted to
    the nanosecond, or of a ``told`` one the time of its event. ``exit_code`` is that of the last
    run that ended, ``None`` if none did.
    ``restarts`` counts the runs that the engine's restart policy has begun. ``lingers``: it is
    not over when its process ends, because of a restart policy, a port of the host, or the like;
    true until an inspect shows, or its creator knows, that it does not. ``ended``: the engine has
    told that a running job has ended, and how is not read yet. After a start that the engine has
    confirmed, or of which an event tells, ``started_at`` is our estimate until the job's end is
    read; ``finished_at`` of a ``told`` end is the time of its event, which is later. ``likeness``:
    all that a list shows of what a start depends on, empty before; of jobs alike in it either all
    can start or none, as a rule.
    """

    uid: str
    id: str
    namespace: str
    spec: JobSpec
    status: Status
    created: int
    order: int
    exact: bool = False
    made: bool = False
    told: bool = False
    detailed: bool = False
    started: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    restarts: int = 0
    health: str | None = None
    lingers: bool = True
    ended: bool = False
    text: str = ""
    likeness: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Tell whether it holds a slot."""
        return self.status in ACTIVE and not self.ended

    @property
    def is_finished(self) -> bool:
        """Tell whether it may be collected one day."""
        return self.status in FINISHED

    @property
    def is_pending(self) -> bool:
        """Tell whether it waits for its first start: any other would run the job again."""
        return self.status is Status.CREATED and not self.started


def is_loss(old: Job | None, new: Job | None) -> bool:
    """Tell whether a change shows a job removed, or on its way out, before it was seen to run."""
    is_leaving = new is None or (new.status in LEAVING and not new.started)
    return old is not None and old.is_pending and is_leaving


@dataclass(frozen=True, slots=True)
class Condition:
    """A phase with its reason (``None`` where the phase says all) and a message for people."""

    phase: Phase
    reason: Reason | None = None
    message: str = ""


_NOT_RUN: Final = 255
_NO_EXECUTABLE: Final = (
    "usually an exec format error (the command is for another kind of processor,"
    " or a script without #!) or a task that the engine lost"
)


def derive_condition(job: Job, *, is_silent: bool = False) -> Condition:
    """Derive the phase from what the engine shows; ``is_silent``: it does not answer for the job.

    Every answer, metric and plan uses this function.
    """
    if is_silent:
        message = f"the engine does not answer for this container; a list says {job.status}"
        return Condition(Phase.UNKNOWN, Reason.ENGINE_SILENT, message)
    match job.status:
        case Status.CREATED if job.error:
            return Condition(Phase.PENDING, Reason.START_ERROR, job.error)
        case Status.CREATED:
            return Condition(Phase.PENDING, Reason.QUEUED, "waits for a slot or for a controller")
        case Status.RUNNING:
            return Condition(Phase.RUNNING)
        case Status.PAUSED:
            return Condition(Phase.RUNNING, Reason.PAUSED, "all processes are suspended")
        case Status.RESTARTING:
            message = f"exited {job.exit_code}, the engine restarts it"
            return Condition(Phase.RUNNING, Reason.RESTARTING, message)
        case Status.EXITED | Status.REMOVING | Status.DEAD:
            return _derive_finished(job)


def _derive_finished(job: Job) -> Condition:
    """Derive the phase from the exit code, whatever becomes of the container afterwards."""
    if job.status in LEAVING and job.detailed and not job.started:
        return Condition(Phase.FAILED, Reason.DEAD, "it was removed before it ran")
    if job.exit_code is None:
        return Condition(Phase.UNKNOWN, message="a list does not show how it ended")
    notes = (
        ("ran out of memory" if job.exit_code else "a process ran out of memory")
        if job.oom_killed
        else "",
        f"exited {job.exit_code}" if job.exit_code else "",
        _NO_EXECUTABLE if job.exit_code == _NOT_RUN else "",
        "the engine could not remove it" if job.status is Status.DEAD else "",
        job.error,
    )
    message = ", ".join(filter(None, notes))
    if job.exit_code == 0:
        return Condition(Phase.SUCCEEDED, None, message)
    reason = Reason.OOM_KILLED if job.oom_killed else Reason.ERROR
    return Condition(Phase.FAILED, reason, message)
