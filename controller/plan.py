"""A plan: the actions to carry out now, the jobs that wait, the reason of each, as stable text."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import ClassVar

from api.v1.condition import Cause
from api.v1.text import escape_hidden
from api.v1.wishes import DEFAULT_QUEUE


class ActionKind(Enum):
    """What an action does, and the words for it: in a plan, in metrics, as events of the log."""

    START = ("start", "starts", "starting", "start done", "start not done")
    STOP = ("stop", "stops", "stopping", "stop done", "stop not done")
    REMOVE = ("remove", "removals", "removing", "removal done", "removal not done")
    UNMARK = ("unmark", "unmarkings", "removing mark", "mark removed", "mark not removed")

    def __init__(self, verb: str, plural: str, begins: str, done: str, not_done: str) -> None:
        self.verb, self.plural = verb, plural
        self.begins, self.done, self.not_done = begins, done, not_done

    # Enum's own is in Python, and each plan asks for a dozen: members are one of a kind
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is decided of one job: ``uid`` is its container's full id, ``id`` the job's name."""

    uid: str
    id: str
    cause: str


@dataclass(frozen=True, slots=True)
class Start(_Decision):
    """Start a container that never ran; ``attempt`` counts from 1.

    ``is_retry``: it has failed before, or starts of jobs like it have.
    """

    kind: ClassVar[ActionKind] = ActionKind.START
    attempt: int
    is_retry: bool = False
    queue: str = DEFAULT_QUEUE


@dataclass(frozen=True, slots=True)
class Stop(_Decision):
    """Stop an active job: the stop signal, then after ``grace`` seconds the kill.

    ``grace`` is ``None`` where only a look tells it, or whether to stop at all; ``reason`` is why.
    ``deadline`` is the one that the run has missed (ns of the engine's clock), 0 for none.
    """

    kind: ClassVar[ActionKind] = ActionKind.STOP
    is_retry: ClassVar[bool] = False
    attempt: int
    grace: int | None
    reason: Cause
    deadline: int = 0


@dataclass(frozen=True, slots=True)
class Remove(_Decision):
    """Remove a container that ended at ``ended`` (nanoseconds of the engine's clock).

    ``is_told``: that is the time of the event of the end, which comes a little later.
    ``is_unstarted``: it was called off before it ran; ``mark`` is the uid of the mark that did so.
    ``is_plain``: it has run, and is kept for no time: whatever end it is, it is to be collected.
    """

    kind: ClassVar[ActionKind] = ActionKind.REMOVE
    is_retry: ClassVar[bool] = False
    attempt: int
    ended: int
    is_told: bool = False
    is_unstarted: bool = False
    mark: str | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Unmark(_Decision):
    """Remove a mark, whose ``uid`` is the mark's own; its ``job``, a uid, is gone."""

    kind: ClassVar[ActionKind] = ActionKind.UNMARK
    is_retry: ClassVar[bool] = False
    attempt: int
    job: str


Action = Start | Stop | Remove | Unmark
"""What an executor carries out: each has a ``uid``, ``id``, ``cause``, ``attempt`` and ``kind``."""


class WaitReason(StrEnum):
    """Why a job waits; of several the first in this order."""

    CANCELLING = "Cancelling"  # cancelled while its start is under way
    ENGINE_DOWN = "EngineDown"
    NO_CONTROLLER = "NoController"
    START_ERROR = "StartError"
    QUEUE_PAUSED = "QueuePaused"
    QUEUE_CAP = "QueueCap"
    NO_SLOT = "NoSlot"
    TURN = "Turn"


@dataclass(frozen=True, slots=True)
class Wait(_Decision):
    """Leave a job as it is for now.

    ``position`` counts from 1 in its ``queue``, ``None`` where it is not in line; ``until`` is the
    time of its next attempt in nanoseconds of the engine's clock, if one is set.
    """

    reason: WaitReason = WaitReason.TURN
    queue: str = DEFAULT_QUEUE
    position: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Hold(_Decision):
    """Leave a job in the slot that it holds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do at one moment.

    ``actions`` are in the order in which they are to be sent. ``wake_in`` is the number of
    seconds after which a plan would say something new although nothing has changed, ``None`` if
    never. ``unlisted`` counts the jobs that wait beyond those in ``waits``. ``holds`` are given
    where a plan is shown to people.
    """

    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    wake_in: float | None = None
    unlisted: int = 0
    holds: tuple[Hold, ...] = ()

    def narrow(self, job_id: str) -> "Plan":
        """Return what this plan says of one job."""
        return Plan(
            tuple(action for action in self.actions if action.id == job_id),
            tuple(wait for wait in self.waits if wait.id == job_id),
            holds=tuple(hold for hold in self.holds if hold.id == job_id),
        )

    def __str__(self) -> str:
        """Return a line for each hold, action and wait: verb, job, cause."""
        rows = [
            *(("hold", hold.id, hold.cause) for hold in self.holds),
            *((action.kind.verb, action.id, action.cause) for action in self.actions),
            *(("wait", wait.id, wait.cause) for wait in self.waits),
        ]
        width = max((len(job_id) for _, job_id, _ in rows), default=0)
        lines = [
            # an engine's words quote what a job asks for
            escape_hidden(f"{verb:<6} job/{job_id:<{width}}  {cause}")
            for verb, job_id, cause in rows
        ]
        if self.unlisted:
            lines.append(f"and {self.unlisted} more wait")
        return "\n".join(lines)
