"""What is known of one job's container, and how newer and older knowledge are folded together."""

from dataclasses import dataclass, replace

from api.engine.interface import Summary
from api.v1.job import ACTIVE, FINISHED, Container, Status
from api.v1.times import SECOND


@dataclass(frozen=True, slots=True)
class Observed:
    """A job's container as last read; times are nanoseconds of the engine's clock.

    ``order`` sorts jobs as the engine created them: the exact time of creation of those that
    were inspected before any list showed them (``exact``), for others the earliest time that fits
    the engine's list, which has whole seconds only but is sorted to the nanosecond. ``detailed``
    tells whether everything here was inspected in the present status; a list shows neither
    ``error`` nor times. After a start that the engine has confirmed, ``started_at`` is our
    estimate until the job's end is read. ``lingers`` holds until an inspect shows that it does
    not. ``ended`` is what the engine's ``die`` event has told of a job that was running, until it
    is read how it ended: an inspect has to wait for the engine to clean up.
    """

    id: str
    name: str
    status: Status
    order: int
    exact: bool = False
    detailed: bool = False
    started: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    restart_count: int = 0
    lingers: bool = True
    ended: bool = False

    @property
    def is_active(self) -> bool:
        """Tell whether it holds a slot."""
        return self.status in ACTIVE and not self.ended

    @property
    def is_finished(self) -> bool:
        """Tell whether it may be collected one day."""
        return self.status in FINISHED

    @property
    def is_pending(self) -> bool:
        """Tell whether it waits for its first start."""
        return self.status is Status.CREATED and not self.started


def is_loss(old: Observed | None, new: Observed | None) -> bool:
    """Tell whether a change shows a job removed before it was seen to run."""
    return old is not None and old.is_pending and new is None


def observe(container: Container) -> Observed:
    """Return what an inspect tells."""
    return Observed(
        id=container.id,
        name=container.name,
        status=container.status,
        order=container.created,
        exact=True,
        detailed=True,
        started=container.started_at is not None,
        started_at=container.started_at,
        finished_at=container.finished_at,
        exit_code=container.exit_code if container.finished_at is not None else None,
        oom_killed=container.oom_killed,
        error=container.error,
        restart_count=container.restart_count,
        lingers=container.lingers,
    )


def fold_container(known: Observed | None, container: Container) -> Observed:
    """Fold an inspect into what is known.

    What was once seen started is never pending again. A place that a list has given is kept: an
    exact time among neighbours that have none would change the order of the list.
    """
    seen = observe(container)
    if known is None:
        return seen
    if known.started and seen.is_pending:
        return known
    return replace(seen, order=known.order, exact=known.exact)


def fold_end(known: Observed) -> Observed:
    """Fold in a ``die`` event. Of one that lingers it tells nothing yet."""
    if known.status is not Status.RUNNING or known.lingers:
        return known
    return replace(known, ended=True)


def fold_summary(known: Observed | None, row: Summary, order: int) -> Observed | None:
    """Fold a list's row into what is known; ``None`` if the two disagree and only inspect can tell.

    The row's status counts, with what was inspected before as long as the status is the same.
    """
    if known is None:
        return Observed(
            id=row.id,
            name=row.name,
            status=row.status,
            order=order,
            started=row.status is not Status.CREATED,
            exit_code=row.exit_code,
        )
    if known.started and row.status is Status.CREATED:
        return None
    # A full disk or a failed removal leaves the engine's list at an older state for good.
    if (known.is_finished or known.ended) and (
        row.status in ACTIVE or row.status is Status.REMOVING
    ):
        return None
    same_end = row.exit_code is None or row.exit_code == known.exit_code
    if row.status is known.status and row.name == known.name and same_end:
        return known if known.order == order else replace(known, order=order)
    return replace(
        known,
        name=row.name,
        status=row.status,
        order=order,
        detailed=False,
        ended=False,
        started=known.started or row.status is not Status.CREATED,
        exit_code=row.exit_code,
    )


def find_place(row: Summary, known: Observed | None, previous: int) -> int:
    """Return the order of a row behind one of order ``previous`` in a list, the oldest first.

    A row that was never inspected gets the start of its second or the place right behind its
    predecessor, whichever is later; one that has such a place already keeps it while it still
    fits, so that nothing moves without need. An exact time is kept.
    """
    if known is not None and (known.exact or known.order > previous):
        return known.order
    return max(previous + 1, row.created * SECOND)
