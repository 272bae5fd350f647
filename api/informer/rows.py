"""A list's rows beside what is known of their jobs, and the places that they give them."""

from collections.abc import Iterable, Iterator, Mapping

from api.informer.merge import find_place
from api.v1.job import LEAVING, Job, Status


def may_be_unmade(known: Job) -> bool:
    """Tell whether the engine may still be creating a job: it lists it, but does not find it."""
    return known.is_pending and not known.made


def is_old_news(row: Job, known: Job | None) -> bool:
    """Tell whether a row of a touched job needs no inspect: it waits by all that is known of it.

    The engine may be creating it still, and would answer an inspect with 404.
    """
    return known is not None and known.is_pending and row.status is Status.CREATED


def wants_inspect(job: Job, *, wants_finish: bool, doubts_active: bool) -> bool:
    """Tell whether a job is to be inspected that only a list has shown in its present status.

    A list does not show how often the engine has run a job again, nor of a removal whether the job
    has run, nor whether one that was to be stopped ended by itself. For the rest see ``JobStore``.
    """
    if job.detailed:
        return False
    if job.status is Status.RESTARTING or job.status in LEAVING:
        return True
    wishes = job.spec.wishes
    is_kept = doubts_active and wishes.keep_for is not None
    is_steered = job.mark is not None or wishes.run_for is not None or is_kept
    return (job.started and (wants_finish or is_steered)) or (doubts_active and job.is_active)


def place_rows(
    pairs: Iterable[tuple[Job, Job | None]], previous: int, *, is_whole: bool = True
) -> Iterator[tuple[Job, Job | None, int]]:
    """Yield each row, the oldest first, with what is known of it and its order.

    ``previous`` is the order of what precedes the first. In a list that is not ``is_whole``, known
    jobs keep their order.
    """
    for row, known in pairs:
        if known is not None and not is_whole:
            yield row, known, known.order
            continue
        order = find_place(row, known, previous)
        previous = max(previous, order)
        yield row, known, order


def find_rows(rows: Iterable[Job], known: Mapping[str, Job]) -> Iterator[tuple[Job, Job | None]]:
    """Yield each row with what is known of it."""
    return ((row, known.get(row.uid)) for row in rows)


def pair_rows(rows: Iterable[Job], known: Mapping[str, Job]) -> Iterator[tuple[Job, Job | None]]:
    """Yield each row with what is known of it.

    Both mostly stand in the same order: following it spares a jump through memory for each of
    100,000 rows, which is most of what comparing them costs.
    """
    walk = iter(tuple(known.values()))
    ahead = next(walk, None)
    for row in rows:
        if ahead is not None and ahead.uid == row.uid:
            yield row, ahead
            ahead = next(walk, None)
            continue
        found = known.get(row.uid)
        yield row, found
        if found is not None:
            while ahead is not None and ahead.uid != row.uid:
                ahead = next(walk, None)
            ahead = next(walk, None)
