"""How an action ended: its result, and what was read by the way."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from api.engine.interface import EventKind
from api.v1.job import Job
from api.v1.mark import Mark

_LONGEST_MESSAGE: Final = 300


class Result(Enum):
    """How an action ended."""

    DONE = "done"
    REFUSED = "refused"  # the engine would not; this job is charged
    TRIED = "tried"  # an earlier process failed to start it; nothing was sent
    CHANGED = "changed"  # the container is not in the state that the action is meant for
    GONE = "gone"  # or not there yet: a list shows it before its creation is over
    UNKILLABLE = "unkillable"  # it was stopped and killed, and has not ended
    SILENT = "silent"  # the engine does not answer for this container, but for others
    OUTAGE = "outage"  # the engine as a whole; no job is charged
    DIED = "died"  # the engine broke off during the start: it may be the job that ends it


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """The result of an action, or of one inspect.

    ``job`` is as it was read last, if it was; ``event`` is the event that the action causes: it
    tells nothing that is not in here, whether it came already or comes later. ``mark`` is one that
    was found, and kept a job from being started.
    """

    result: Result
    job: Job | None = None
    error: str = ""
    event: EventKind | None = None
    mark: Mark | None = None


def shorten(message: str) -> str:
    """Return an error's text as one line of bounded length."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
