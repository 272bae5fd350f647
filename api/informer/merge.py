"""Folds what is read of a job into what is known of it: pure functions, older knowledge last."""

from dataclasses import replace

from api.v1.job import ACTIVE, LEAVING, Job, Status


def fold_inspect(known: Job | None, seen: Job) -> Job:
    """Fold an inspect into what is known.

    What was once seen started is never pending again. A place that a list has given is kept: an
    exact time among neighbours that have none would change the order of the list.
    """
    if known is None:
        return seen
    if known.started and seen.is_pending:
        return known
    return replace(seen, order=known.order, exact=known.exact)


def fold_end(known: Job) -> Job:
    """Fold in the event of an end. Of a job that lingers it tells nothing yet."""
    if known.status is not Status.RUNNING or known.lingers:
        return known
    return replace(known, ended=True)


def fold_row(known: Job | None, row: Job, order: int) -> Job | None:
    """Fold a list's row into what is known; ``None``: they disagree, and only inspect can tell.

    The row's status counts, with what was inspected before as long as the status is the same. The
    row's text is not kept: it is true for a moment only.
    """
    if known is None:
        return _begin(row, order)
    if known.started and row.status is Status.CREATED:
        return None
    # Of a removal a list shows nothing but that it is under way or has failed.
    if row.status in LEAVING and row.status is not known.status:
        return None
    # A full disk or a failed removal leaves the engine's list at an older state for good.
    if (known.is_finished or known.ended) and row.status in ACTIVE:
        return None
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


def find_place(row: Job, known: Job | None, previous: int) -> int:
    """Return the order of a row behind one of order ``previous`` in a list, the oldest first.

    A row that was never inspected gets the start of its second or the place right behind its
    predecessor, whichever is later; one that has such a place already keeps it while it still
    fits, so that nothing moves without need. An exact time is kept.
    """
    if known is not None and (known.exact or known.order > previous):
        return known.order
    return max(previous + 1, row.created)
