"""A plan: the actions to carry out now, the jobs that wait, the reason of each, as stable text."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from api.v1.text import escape_hidden


class ActionKind(Enum):
    """What an action does, and the words for it: in a plan, in metrics, as events of the log."""

    START = ("start", "starts", "starting", "start done", "start not done")
    REMOVE = ("remove", "removals", "removing", "removal done", "removal not done")

    def __init__(self, verb: str, plural: str, begins: str, done: str, not_done: str) -> None:
        self.verb, self.plural = verb, plural
        self.begins, self.done, self.not_done = begins, done, not_done


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


@dataclass(frozen=True, slots=True)
class Remove(_Decision):
    """Remove a container that ended at ``ended`` (nanoseconds of the engine's clock).

    ``is_told``: that is the time of the event of the end, which comes a little later.
    """

    kind: ClassVar[ActionKind] = ActionKind.REMOVE
    is_retry: ClassVar[bool] = False
    attempt: int
    ended: int
    is_told: bool = False


Action = Start | Remove
"""What an executor carries out: each has a ``uid``, ``id``, ``cause``, ``attempt`` and ``kind``."""


@dataclass(frozen=True, slots=True)
class Wait(_Decision):
    """Leave a job as it is for now."""


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
