"""The one object that every answer shows of a job: its fields, and how they come from a ``Job``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict

from api.v1.condition import Condition, derive_condition, find_end, find_expiry
from api.v1.job import FINISHED, Job, Phase, Reason, Status
from api.v1.mark import Mark
from api.v1.status import describe_status
from api.v1.times import SECOND, count_seconds, format_time

OVER: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})
"""Phases that a job does not leave."""

_HAS_RUN: Final = FINISHED | {Status.RESTARTING, Status.REMOVING}
_ENGINE_DOWN: Final = "the engine does not answer"


class Waiting(TypedDict):
    """Why a job is Pending; ``until`` is the time of its next attempt, RFC 3339."""

    reason: str
    message: str
    position: int | None
    until: str | None


class Cancel(TypedDict):
    """The cancel that was asked for; ``at`` is RFC 3339, ``grace`` in seconds."""

    at: str
    grace: float | None
    purge: bool
    why: str


class JobView(TypedDict):
    """A job as every answer shows it.

    ``created`` is in seconds since the epoch; ``startedAt`` and ``finishedAt`` are RFC 3339, null
    until they happen and where only a list has shown the job, and in this order: the engine may
    note an end up to 33 ms before its start. ``exitCode`` and ``finishedAt`` are those of the
    present run: null while it runs, and of the last one while the engine waits to restart it.
    ``finishedAt`` of a job that was cancelled, or whose time was up, before it ran is that moment.
    ``startBy``, ``runFor`` and ``keepFor`` are in seconds. ``expiresAt`` is null where the
    controller's ``--keep-exited-for`` decides.
    """

    id: str
    created: int
    status: str
    phase: Phase
    reason: Reason | None
    message: str
    exitCode: int | None
    startedAt: str | None
    finishedAt: str | None
    uid: str
    finished: bool
    filter: str
    path: str
    image: str
    labels: Mapping[str, str]
    queue: str
    priority: int
    share: str
    startBy: float | None
    runFor: float | None
    keepFor: float | None
    expiresAt: str | None
    restarts: int
    cancel: Cancel | None
    waiting: Waiting | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known around a job: whether the engine answers, and whether it does for this job.

    ``waiting`` is what the controller says of its wait.
    """

    engine_is_up: bool = True
    is_silent: bool = False
    waiting: Waiting | None = None


AT_HAND: Final = Standing()
"""The engine has just answered for the job."""


def view_job(job: Job, now: int, standing: Standing = AT_HAND) -> JobView:
    """Return what is shown of ``job`` at engine time ``now`` (ns)."""
    condition = derive_condition(job, now, is_silent=standing.is_silent)
    has_ended = job.status in _HAS_RUN
    end = job.finished_at if has_ended else find_end(job, now)
    if end is not None and job.started_at is not None:
        end = max(end, job.started_at)
    spec, wishes = job.spec, job.spec.wishes
    return {
        "id": job.id,
        "created": job.created // SECOND,
        "status": describe_status(job, now),
        "phase": condition.phase,
        "reason": condition.reason,
        "message": condition.message,
        "exitCode": job.exit_code if has_ended and job.started else None,
        "startedAt": format_time(job.started_at),
        "finishedAt": format_time(end),
        "uid": job.uid,
        "finished": is_over(job, condition),
        "filter": spec.filter,
        "path": spec.path,
        "image": spec.image,
        "labels": dict(spec.labels),
        "queue": wishes.queue,
        "priority": wishes.priority,
        "share": wishes.share,
        "startBy": count_seconds(wishes.start_by),
        "runFor": count_seconds(wishes.run_for),
        "keepFor": count_seconds(wishes.keep_for),
        "expiresAt": format_time(find_expiry(job, now)),
        "restarts": job.restarts + job.rerun,
        "cancel": _view_cancel(job.mark),
        "waiting": _explain_waiting(condition, standing),
    }


def _view_cancel(mark: Mark | None) -> Cancel | None:
    if mark is None:
        return None
    at = format_time(mark.at) or ""
    return {"at": at, "grace": mark.grace, "purge": mark.purge, "why": mark.why}


def is_over(job: Job, condition: Condition) -> bool:
    """Tell whether a client need not ask again: the job has ended, even if it is unknown how."""
    return condition.phase in OVER or (job.is_finished and condition.reason is None)


def _explain_waiting(condition: Condition, standing: Standing) -> Waiting | None:
    if condition.phase is not Phase.PENDING:
        return None
    reason, message = str(condition.reason), condition.message
    if not standing.engine_is_up:
        reason, message = "EngineDown", _ENGINE_DOWN
    elif standing.waiting is not None:
        return standing.waiting
    return {"reason": reason, "message": message, "position": None, "until": None}
