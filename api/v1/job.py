"""A job as far as it is known: its identity, its spec and its state."""

from enum import StrEnum
from typing import Final

from api.v1.mark import Mark
from api.v1.record import record
from api.v1.spec import JobSpec


class Phase(StrEnum):
    """Where a job is in its life. Derived from the engine at every look, never stored."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a job is in its phase."""

    QUEUED = "Queued"  # Pending: waits for a slot or for a controller
    START_ERROR = "StartError"  # Pending: the engine refused to start it; it is tried again
    SCHEDULING = "Scheduling"  # Pending: the engine is told to start it, and looks for a node
    PAUSED = "Paused"
    RESTARTING = "Restarting"
    STOPPING = "Stopping"  # Running, or told to start: it was cancelled, or its time is up
    UNKILLABLE = "Unkillable"  # Running: ten seconds after it should have been killed, at least
    ERROR = "Error"  # Failed: exited with a code other than 0
    OOM_KILLED = "OOMKilled"
    DEAD = "Dead"  # Failed: it never ran, and it is being removed
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # Failed: it ran for longer than it wished to
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"  # Failed: it was not started in time
    NODE_LOST = "NodeLost"  # its node was lost while it ran: Failed, or Pending where it runs again
    ENGINE_SILENT = "EngineSilent"  # Unknown: the engine does not answer for this job


class Status(StrEnum):
    """The engine's own word for the state of a job."""

    CREATED = "created"
    STARTING = "starting"  # told to start, and not started yet: engines of several nodes alone
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ACTIVE: Final = frozenset({Status.STARTING, Status.RUNNING, Status.PAUSED, Status.RESTARTING})
"""States that hold a slot. Paused jobs do: their memory is in use and they will go on."""

_TO_RUN: Final = frozenset({Status.CREATED, Status.STARTING})

FINISHED: Final = frozenset({Status.EXITED, Status.DEAD})
"""States after which a job may be collected."""

LEAVING: Final = frozenset({Status.REMOVING, Status.DEAD})
"""States of a removal: under way, or failed. A list does not show there whether the job has run."""


@record
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
    can start or none, as a rule. ``stop_timeout``: seconds between the stop signal and the kill
    where none are given; negative for no kill, ``None`` for the engine's ten, or not known yet.
    ``mark``: the cancel that was asked for, where the store knows of one; what the engine shows of
    the job itself tells of none.

    On an engine of several nodes: ``error`` of a ``starting`` job says what its start waits for.
    Such a job may be ``created`` again, with an error. ``lost``: its node was lost while it ran; a
    job that has exited so has no ``exit_code``, one that is ``created`` runs again as it wished,
    and its ``error`` names the node. ``rerun`` counts the runs that were lost so and are repeated:
    of two readings the one with the higher number is newer.
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
    stop_timeout: int | None = None
    mark: Mark | None = None
    lost: bool = False
    rerun: int = 0

    @property
    def is_active(self) -> bool:
        """Tell whether it holds a slot."""
        return self.status in ACTIVE and not self.ended

    @property
    def is_to_run(self) -> bool:
        """Tell whether it has yet to run: it waits, or the engine was told to start it."""
        return self.status in _TO_RUN and not self.started

    @property
    def is_finished(self) -> bool:
        """Tell whether it may be collected one day."""
        return self.status in FINISHED

    @property
    def is_pending(self) -> bool:
        """Tell whether it waits for its first start: any other would run the job again."""
        return self.status is Status.CREATED and not self.started
