"""What the state of a job means: phase, reason, message, and when it counts as ended.

Derived at every look from the job, its mark and the time; nothing here is stored anywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.v1.job import LEAVING, Job, Phase, Reason, Status
from api.v1.record import record
from api.v1.times import SECOND, format_duration

DEFAULT_GRACE: Final = 10
"""Seconds that the engine leaves a process between stop signal and kill, if nothing is said."""
KILL_SLACK: Final = 10 * SECOND
"""From the kill to the time at which a job that still runs counts as unkillable."""
START_SLACK: Final = SECOND
"""From the last moment for a start to the time at which it counts as missed.

A list shows the creation in whole seconds, and a start that began in time takes a while.
"""


class Cause(StrEnum):
    """Why a job ends, or has ended, before its own end."""

    CANCEL = "cancel"
    START_BY = "start-by"
    RUN_FOR = "run-for"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end that a job was due at ``at`` (ns), and why."""

    at: int
    cause: Cause


@record
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
_LOST: Final = "its node was lost while it ran"
_OVER: Final = frozenset({Status.EXITED, *LEAVING})


def find_ending(job: Job, now: int) -> Ending | None:
    """Return the first that ended ``job``, or is to end it, by ``now`` (ns): cancel or deadline.

    ``None`` for a job whose own end fell before. Of one of which only a list has shown the end,
    which has no times, a mark counts and a deadline does not.
    """
    if not is_steered(job):
        return None
    return min(_find_endings(job, now), key=lambda ending: ending.at, default=None)


def _find_endings(job: Job, now: int) -> Iterator[Ending]:
    is_over, has_run = job.status in _OVER, job.started
    end = job.finished_at if is_over else None
    wishes, mark = job.spec.wishes, job.mark
    # a clock that is behind must not hide a cancel
    if mark is not None and (end is None or mark.at <= end):
        yield Ending(mark.at, Cause.CANCEL)
    missed = _find_missed_start(job) if job.is_to_run or job.detailed else None
    if missed is not None and missed <= now and not has_run:
        yield Ending(missed, Cause.START_BY)
    if wishes.run_for is not None and has_run and job.started_at is not None:
        due = job.started_at + wishes.run_for
        run_end = job.finished_at if is_over or job.status is Status.RESTARTING else now
        if run_end is not None and due <= run_end:
            yield Ending(due, Cause.RUN_FOR)


def find_end(job: Job, now: int) -> int | None:
    """Return when ``job`` counts as ended (ns): its own end, or for want of a start another's.

    ``None`` for one that waits or runs, and where the time is not known yet.
    """
    if job.is_pending or (job.status in LEAVING and not job.started):
        ending = find_ending(job, now)
        return None if ending is None else ending.at
    return job.finished_at if job.is_finished else None


def find_expiry(job: Job, now: int, *, keep: int | None = None) -> int | None:
    """Return when ``job`` is to be collected (ns); ``None``: never, or not known yet.

    ``keep`` is how long jobs stay that do not say so themselves (ns), ``None`` for good.
    """
    end = find_end(job, now)
    if end is None:
        return None
    if job.mark is not None and job.mark.purge:
        return max(end, job.mark.at)
    wish = job.spec.wishes.keep_for
    keep = keep if wish is None else wish
    return None if keep is None else end + keep


def derive_condition(job: Job, now: int = 0, *, is_silent: bool = False) -> Condition:
    """Derive the phase at engine time ``now`` (ns) from what the engine shows.

    ``is_silent``: the engine does not answer for the job. Every answer, metric and plan uses this
    function.
    """
    if is_silent:
        message = f"the engine does not answer for this container; a list says {job.status}"
        return Condition(Phase.UNKNOWN, Reason.ENGINE_SILENT, message)
    ending = find_ending(job, now)
    if ending is None:
        return _derive_own(job)
    cause = _word_cause(job, ending.cause)
    if job.is_active or job.ended:
        return _derive_stopping(job, ending, cause, now)
    message = ", ".join(filter(None, (cause, *_list_notes(job))))
    match ending.cause:
        case Cause.CANCEL:
            return Condition(Phase.CANCELLED, None, message)
        case Cause.START_BY:
            return Condition(Phase.FAILED, Reason.START_DEADLINE_EXCEEDED, message)
        case Cause.RUN_FOR:
            return Condition(Phase.FAILED, Reason.DEADLINE_EXCEEDED, message)


def find_kill(job: Job, ending: Ending) -> int | None:
    """Return when an active job should have been killed (ns); ``None``: never, or not known."""
    grace, mark = job.stop_timeout, job.mark
    if ending.cause is Cause.CANCEL and mark is not None and mark.grace is not None:
        grace = mark.grace
    elif not job.detailed:
        return None
    if grace is not None and grace < 0:
        return None
    # a start that was in flight at its cancel is waited for
    since = max(ending.at, job.started_at or 0)
    return since + (DEFAULT_GRACE if grace is None else grace) * SECOND


def is_steered(job: Job) -> bool:
    """Tell whether more than the engine's word of its state decides of a job's condition."""
    wishes = job.spec.wishes
    return not (job.mark is None and wishes.start_by is None and wishes.run_for is None)


def find_change(job: Job, now: int) -> int | None:
    """Return the first moment after ``now`` (ns) at which time alone changes a job's condition."""
    moments = list[int]()
    deadline = _find_deadline(job)
    if deadline is not None and (job.mark is None or deadline < job.mark.at):
        moments.append(deadline)
    ending = find_ending(job, now) if job.is_active else None
    kill = None if ending is None else find_kill(job, ending)
    if kill is not None:
        moments.append(kill + KILL_SLACK)
    return min((moment for moment in moments if moment > now), default=None)


def _find_deadline(job: Job) -> int | None:
    """Return when a job that waits has missed its start, or one that runs is over its time (ns)."""
    wishes = job.spec.wishes
    if job.is_to_run:
        return _find_missed_start(job)
    if not job.is_active or job.status is Status.RESTARTING:
        return None
    has_time = wishes.run_for is not None and job.started_at is not None
    return (job.started_at or 0) + (wishes.run_for or 0) if has_time else None


def _find_missed_start(job: Job) -> int | None:
    """Return when a job that has not run counts as not started in time; it may be run anew."""
    start_by = job.spec.wishes.start_by
    return None if start_by is None or job.rerun else job.created + start_by + START_SLACK


def is_loss(old: Job | None, new: Job | None, now: int = 0) -> bool:
    """Tell whether a change shows a job removed, or on its way out, before it was seen to run.

    One that counted as ended by ``now`` (ns), for its mark or its wishes, is no loss.
    """
    is_leaving = new is None or (new.status in LEAVING and not new.started)
    if old is None or not old.is_to_run or not is_leaving:
        return False
    return find_ending(old, now) is None


def _derive_stopping(job: Job, ending: Ending, cause: str, now: int) -> Condition:
    message = f"{cause}, is to be stopped"
    if job.status is Status.STARTING:
        return Condition(Phase.PENDING, Reason.STOPPING, message)
    kill = find_kill(job, ending)
    if job.ended or kill is None or now < kill + KILL_SLACK:
        return Condition(Phase.RUNNING, Reason.STOPPING, message)
    late = format_duration((now - kill) // SECOND * SECOND)
    message = f"{cause}, and {late} s after it should have been killed it has not ended"
    return Condition(Phase.RUNNING, Reason.UNKILLABLE, message)


def _word_cause(job: Job, cause: Cause) -> str:
    wishes, mark = job.spec.wishes, job.mark
    match cause:
        case Cause.CANCEL:
            return f"cancelled ({mark.why})" if mark is not None and mark.why else "cancelled"
        case Cause.START_BY:
            return f"was not started within {format_duration(wishes.start_by or 0)} s"
        case Cause.RUN_FOR:
            return f"ran for more than {format_duration(wishes.run_for or 0)} s"


def _derive_own(job: Job) -> Condition:
    match job.status:
        case Status.CREATED if job.lost:
            return Condition(Phase.PENDING, Reason.NODE_LOST, job.error or _LOST)
        case Status.CREATED if job.error:
            return Condition(Phase.PENDING, Reason.START_ERROR, job.error)
        case Status.CREATED:
            return Condition(Phase.PENDING, Reason.QUEUED, "waits for a slot or for a controller")
        case Status.STARTING:
            message = job.error or "waits for a node to start it"
            return Condition(Phase.PENDING, Reason.SCHEDULING, message)
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
    if job.lost:
        return Condition(Phase.FAILED, Reason.NODE_LOST, job.error or _LOST)
    if job.exit_code is None:
        told = job.error if job.detailed else ""
        return Condition(Phase.UNKNOWN, message=told or "a list does not show how it ended")
    message = ", ".join(_list_notes(job))
    if job.exit_code == 0:
        return Condition(Phase.SUCCEEDED, None, message)
    reason = Reason.OOM_KILLED if job.oom_killed else Reason.ERROR
    return Condition(Phase.FAILED, reason, message)


def _list_notes(job: Job) -> list[str]:
    """Return what is to be said of how a job ended, or of why it did not start."""
    notes = (
        ("ran out of memory" if job.exit_code else "a process ran out of memory")
        if job.oom_killed
        else "",
        f"exited {job.exit_code}" if job.exit_code else "",
        _NO_EXECUTABLE if job.exit_code == _NOT_RUN else "",
        "the engine could not remove it" if job.status is Status.DEAD else "",
        job.error,
    )
    return [note for note in notes if note]
