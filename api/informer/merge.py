"""Folds what is read of a job into what is known of it: pure functions, older knowledge last."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from api.v1.job import ACTIVE, LEAVING, Job, Status

_STAGES: Final[Mapping[Status, int]] = {
    Status.CREATED: 0,
    Status.STARTING: 1,
    Status.RUNNING: 2,
    Status.EXITED: 3,
}
"""Of one run."""


def fold_inspect(known: Job | None, seen: Job) -> Job:
    """Fold an inspect into what is known.

    What was once seen started never waits again, unless it is to be run anew; what was only told
    may. A loss may never have been noted, and then the lost run counts once its node is
    back. A place that a list has given is kept: an exact time among neighbours that have none would
    change the order of the list.
    """
    if known is None:
        return seen
    if known.told:
        return seen
    if seen.rerun < known.rerun and (seen.is_to_run or not known.is_pending):
        return known
    if known.started and seen.is_to_run and seen.rerun == known.rerun:
        return known
    return replace(seen, order=known.order, exact=known.exact)


def is_further(known: Job, seen: Job) -> bool:
    """Tell whether a look of unknown age is newer than what is known.

    What has begun only goes on. A start may yet come to nothing, and the job wait again.
    """
    is_one_run = not (known.lost or seen.lost or seen.lingers) and seen.rerun == known.rerun
    before, after = _STAGES.get(known.status), _STAGES.get(seen.status)
    if before is None or after is None or not seen.started:
        return False
    return is_one_run and before < after


def shows_no_more(known: Job, seen: Job) -> bool:
    """Tell whether a look shows nothing else than is known, and known from a look."""
    return known.detailed and _show(known) == _show(seen)


def _show(job: Job) -> tuple[object, ...]:
    end = job.finished_at, job.exit_code, job.error
    return job.id, job.status, job.started, end, job.lost, job.rerun, job.lingers


def fold_own(known: Job | None, own: Job) -> Job:
    """Fold in what this process has created; an event, or a list, may have been faster."""
    return (
        own if known is None else replace(known, made=True, lingers=known.lingers and own.lingers)
    )


def fold_creation(known: Job) -> Job:
    """Fold in the event of a creation: it is sent when that is over."""
    return known if known.made else replace(known, made=True)


def fold_start(known: Job, moment: int) -> Job | None:
    """Fold in the event of a start at ``moment`` (ns); ``None``: the job has begun before."""
    if not known.is_to_run:
        return None
    return replace(
        known,
        status=Status.RUNNING,
        made=True,
        told=True,
        detailed=False,
        started=True,
        started_at=moment,
        error="",
        lost=False,
    )


def fold_rerun(known: Job) -> Job:
    """Fold in the event that somebody runs a job again: it holds a slot until it is read.

    Only an end that was told is known to lie before it: a list may be faster than both events.
    """
    if not known.ended and not (known.told and known.status is Status.EXITED):
        return known
    return replace(known, status=Status.RUNNING, detailed=False, ended=False)


def fold_end(known: Job, exit_code: int | None = None, moment: int | None = None) -> Job:
    """Fold in the event of an end at ``moment`` (ns). Of a job that lingers it tells nothing yet.

    Without an ``exit_code`` that can be believed it is told only that the job has ended.
    """
    if known.status is not Status.RUNNING or known.lingers:
        return known
    if exit_code is None:
        return replace(known, ended=True)
    return replace(
        known,
        status=Status.EXITED,
        told=True,
        detailed=False,
        finished_at=moment,
        exit_code=exit_code,
        ended=False,
    )


def fold_row(known: Job | None, row: Job, order: int, *, is_placed: bool = True) -> Job | None:
    """Fold a list's row into what is known; ``None``: they disagree, and only inspect can tell.

    ``is_placed`` tells whether ``order`` is the place that a list without gaps gives it.

    The row's status counts, with what was inspected before as long as the status is the same, or
    all of a row that is as good as an inspect. The row's text is not kept: it is true for a moment
    only.
    """
    if known is None:
        return _begin(row, order)
    is_rerun = row.rerun > known.rerun
    if known.started and row.status is Status.CREATED and not is_rerun:
        return None
    # Of a removal a list shows nothing but that it is under way or has failed.
    if row.status in LEAVING and row.status is not known.status:
        return None
    # A full disk or a failed removal leaves the engine's list at an older state for good.
    if (known.is_finished or known.ended) and row.status in ACTIVE and not is_rerun:
        return None
    if row.rerun < known.rerun:
        return None
    if known.status is Status.STARTING and row.status is Status.CREATED and not row.error:
        return None  # it may be from before the start, or a refusal whose reason an inspect tells
    if row.detailed and row is not known:
        return fold_inspect(known, row)
    if known.told:
        return _correct(known, row, order, is_told=not is_placed)
    same_end = row.exit_code is None or row.exit_code == known.exit_code
    if row.status is known.status and row.id == known.id and same_end:
        return known if known.order == order else replace(known, order=order)
    return replace(
        known,
        id=row.id,
        status=row.status,
        order=order,
        detailed=False,
        ended=False,
        started=known.started or row.started,
        exit_code=row.exit_code,
    )


def _begin(row: Job, order: int) -> Job:
    """Return what a row shows of a job that was not known; ``replace`` takes twice the time."""
    if row.detailed:
        return row if row.order == order else replace(row, order=order)
    return Job(
        row.uid,
        row.id,
        row.namespace,
        row.spec,
        row.status,
        row.created,
        order,
        started=row.started,
        exit_code=row.exit_code,
        likeness=row.likeness,
    )


def _correct(known: Job, row: Job, order: int, *, is_told: bool) -> Job:
    """Return a job of which only events have told, with all that a row shows in place of that."""
    return replace(
        _begin(row, order),
        made=known.made,
        told=is_told,
        started=known.started or row.started,
        started_at=known.started_at,
        exit_code=known.exit_code if row.exit_code is None else row.exit_code,
        lingers=known.lingers,
    )


def find_place(row: Job, known: Job | None, previous: int) -> int:
    """Return the order of a row behind one of order ``previous`` in a list, the oldest first.

    A row that was never inspected gets the start of its second or the place right behind its
    predecessor, whichever is later; one that has such a place already keeps it while it still
    fits, so that nothing moves without need. An exact time is kept; that of an event is not, for
    it is later than the creation.
    """
    if known is not None and not known.told and (known.exact or known.order > previous):
        return known.order
    return max(previous + 1, row.created)
