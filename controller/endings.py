"""Decides which jobs are stopped and collected, and which marks have served."""

from collections.abc import Iterator

from api.v1.condition import Cause
from api.v1.job import Job, Status
from api.v1.mark import name_mark
from api.v1.times import SECOND
from controller.job_index import JobIndex
from controller.ledger import Attempt
from controller.plan import ActionKind, Remove, Stop, Unmark
from controller.policy import Moment, find_end, find_grace, find_keep, find_last_run
from controller.scene import Scene


def plan_stops(scene: Scene) -> tuple[Stop, ...]:
    """Return the active jobs to be stopped: those with a mark, and those whose time is up."""
    stopping = scene.ledger.in_flight[ActionKind.STOP]
    attempts = scene.ledger.attempts[ActionKind.STOP]
    room = scene.policy.parallel_stops - len(stopping)
    stops: list[Stop] = []
    for job, cause in _find_condemned(scene):
        if len(stops) >= room:
            break
        failed = attempts.get(job.uid)
        is_due = failed is None or failed.due <= scene.now.steady
        if is_due and job.uid not in stopping and job.uid not in scene.unresponsive:
            stops.append(_describe_stop(scene, job, cause, count_attempt(failed)))
    return tuple(stops)


def _find_condemned(scene: Scene) -> Iterator[tuple[Job, Cause]]:
    index = scene.index
    for job in index.cancelled.values():
        yield job, Cause.CANCEL
    for _, uid in index.last_runs.find_due(scene.now.steady):
        if uid not in index.cancelled:
            job = index.jobs[uid]
            yield job, Cause.START_BY if job.is_to_run else Cause.RUN_FOR


def _describe_stop(scene: Scene, job: Job, cause: Cause, attempt: int) -> Stop:
    mark = job.mark
    if cause is Cause.CANCEL and mark is not None:
        ago = max(scene.now.engine - mark.at, 0) // SECOND
        text = f"cancelled {ago}s ago" + (f" ({mark.why})" if mark.why else "")
        grace = find_grace(job) if mark.grace is None and job.detailed else mark.grace
    elif cause is Cause.START_BY:
        start_by = (job.spec.wishes.start_by or 0) / SECOND
        ago = max(scene.now.engine - job.order, 0) // SECOND
        text = f"created {ago}s ago and not started yet, start-by {start_by:g}s"
        grace = None
    else:
        run_for = (job.spec.wishes.run_for or 0) / SECOND
        ago = max(scene.now.engine - (job.started_at or 0), 0) // SECOND
        text = f"started {ago}s ago, run-for {run_for:g}s"
        grace = None
    if attempt > 1:
        text += f", attempt {attempt}"
    deadline = 0 if cause is Cause.CANCEL else find_last_run(job) or 0
    return Stop(job.uid, job.id, text, attempt, grace, cause, deadline)


def plan_removals(scene: Scene) -> tuple[Remove, ...]:
    """Return the jobs to be collected, those that expired first at the head."""
    removing = scene.ledger.in_flight[ActionKind.REMOVE]
    attempts = scene.ledger.attempts[ActionKind.REMOVE]
    room = scene.policy.parallel_removals - len(removing)
    removals: list[Remove] = []
    for expiry, job in scene.index.expiring:
        # An end in the future (a clock was set back) defers, too.
        if len(removals) >= room or scene.now.steady < expiry:
            break
        failed = attempts.get(job.uid)
        is_due = failed is None or failed.due <= scene.now.steady
        is_left_alone = job.uid in scene.unresponsive or job.uid in scene.starting
        if is_due and job.uid not in removing and not is_left_alone:
            overdue = scene.now.steady - expiry
            removals.append(_describe_removal(overdue, scene, job, failed))
    return tuple(removals)


def _describe_removal(overdue: float, scene: Scene, job: Job, failed: Attempt | None) -> Remove:
    end, keep = find_end(job), (find_keep(job, scene.policy) or 0) / SECOND
    assert end is not None
    cause = f"{_word_end(job)} {int(keep + overdue)}s ago, {_word_keep(job, keep)}"
    number = count_attempt(failed)
    is_unstarted = job.is_pending
    mark = job.mark.uid if is_unstarted and job.mark is not None else None
    # a policy may run it again, and then it has not ended
    is_plain = job.started and not job.lingers and not keep and failed is None
    return Remove(job.uid, job.id, cause, number, end, job.told, is_unstarted, mark, is_plain)


def _word_end(job: Job) -> str:
    if job.is_pending and job.mark is not None and find_end(job) == job.mark.at:
        return "cancelled"
    if job.is_pending:
        return "not started in time"
    return "dead" if job.status is Status.DEAD else "exited"


def _word_keep(job: Job, keep: float) -> str:
    if job.mark is not None and job.mark.purge:
        return "purge"
    return f"{'keep-exited-for' if job.spec.wishes.keep_for is None else 'keep-for'} {int(keep)}s"


def plan_unmarkings(scene: Scene) -> tuple[Unmark, ...]:
    """Return the marks to be removed, as far as is known: those whose jobs are gone."""
    removing = scene.ledger.in_flight[ActionKind.UNMARK]
    attempts = scene.ledger.attempts[ActionKind.UNMARK]
    room = scene.policy.parallel_removals - len(removing)
    unmarkings: list[Unmark] = []
    for uid, mark in scene.index.strays.items():
        if len(unmarkings) >= room:
            break
        failed = attempts.get(uid)
        is_due = failed is None or failed.due <= scene.now.steady
        if is_due and uid not in removing:
            cause = "its job is gone"
            unmarkings.append(
                Unmark(uid, name_mark(mark.job), cause, count_attempt(failed), mark.job)
            )
    return tuple(unmarkings)


def count_attempt(failed: Attempt | None) -> int:
    """Return which attempt the next one is, from 1."""
    return 1 if failed is None else failed.number + 1


def find_next_ending(index: JobIndex, now: Moment) -> tuple[float | None, ...]:
    """Return the next moments at which a job expires, is over its time, or may not start more."""
    return (
        index.find_next_expiry(now.steady),
        index.last_runs.find_next(now.steady),
        index.last_starts.find_next(now.steady),
    )
