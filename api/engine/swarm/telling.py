"""Which events tell the difference between two looks at a job. No I/O."""

from collections.abc import Iterator, Sequence

from api.engine.interface import Event, EventKind
from api.engine.swarm.decode import find_current
from api.engine.swarm.reader import Seen
from api.engine.swarm.services import Service
from api.engine.swarm.tasks import State, Task
from api.v1.job import Job, Status
from api.v1.record import record


@record
class Told:
    """What a subscriber was told of a job so far: how many of its runs had begun, and ended."""

    status: Status
    begun: int = 0
    ended: int = 0
    exit_code: int | None = None
    error: str = ""
    lost: bool = False
    rerun: int = 0
    lingers: bool = False
    marks: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        """Tell whether more is to be expected by itself."""
        return self.status in {Status.STARTING, Status.RUNNING, Status.RESTARTING}


def summarize(seen: Seen) -> Told:
    """Return all that is told of a job of which this is seen."""
    job, current = seen.job, find_current(seen.service, seen.tasks)
    has_ended = job.status in {Status.EXITED, Status.RESTARTING}
    begun = max(sum(task.has_run for task in current), int(job.started))
    ended = max(sum(task.has_run and task.is_over for task in current), int(has_ended))
    if job.status is Status.CREATED or (job.lost and job.started_at is None):
        begun = ended = 0  # what it lost with a node, or of which nobody has seen that it began
    elif job.status is Status.EXITED:
        begun = ended = max(begun, ended)
    return Told(
        job.status,
        begun,
        ended,
        job.exit_code,
        job.error,
        job.lost,
        job.rerun,
        job.lingers,
        frozenset(seen.service.marks),
    )


def make_creation(job: Job, time: int) -> Event:
    """Return the event of a service's creation, which shows the job where nothing has happened."""
    is_new = job.is_pending
    return Event(EventKind.CREATED, job.uid, time, is_job=True, job=job if is_new else None)


def make_removals(uid: str, told: Told | None, time: int) -> Iterator[Event]:
    """Yield the events of a service's removal: its marks go with it."""
    for own in sorted(told.marks if told is not None else ()):
        yield Event(EventKind.REMOVED, own, time, is_mark=True)
    yield Event(EventKind.REMOVED, uid, time, is_job=True)


def find_events(
    old: Told | None, new: Told, seen: Seen, time: int, *, since: int = 0
) -> Iterator[Event]:
    """Yield what is new in ``new``, which is the summary of ``seen``, in the order of a life.

    Nothing was told of a job without ``old``: of one that had ended before ``since`` (ns), when the
    subscription began, only that it has changed.
    """
    yield from _find_marks(old, new, seen, time)
    job, uid, ended_at = seen.job, seen.job.uid, seen.job.finished_at
    is_old = old is None and ended_at is not None and ended_at < since
    told = new if is_old else old or Told(Status.CREATED)
    begun, ended = (told.begun, told.ended) if told.rerun == new.rerun else (0, 0)
    has_told = False
    while begun < new.begun or ended < new.ended:
        has_told = True
        if begun <= ended:
            begun += 1
            yield Event(EventKind.STARTED, uid, time, is_job=True, job=job)
        else:
            ended += 1
            yield Event(EventKind.ENDED, uid, time, new.exit_code, is_job=True, job=job)
    if not has_told and (old is None or _show(old) != _show(new)):
        yield Event(EventKind.CHANGED, uid, time, is_job=True, job=job)


def _find_marks(old: Told | None, new: Told, seen: Seen, time: int) -> Iterator[Event]:
    before = frozenset[str]() if old is None else old.marks
    for own, mark in seen.service.marks.items():
        if own not in before:
            yield Event(EventKind.CREATED, own, time, is_mark=True, mark=mark)
    for own in sorted(before - new.marks):
        yield Event(EventKind.REMOVED, own, time, is_mark=True)


def _show(told: Told) -> tuple[object, ...]:
    return told.status, told.exit_code, told.error, told.lost, told.rerun, told.lingers


def has_ended(task: Task, service: Service) -> bool:
    """Tell whether a service's last task has run to its end, and nothing is to follow."""
    is_over = task.has_run and task.state in {State.COMPLETE, State.FAILED}
    return (
        is_over
        and not task.is_taken_away
        and task.start == service.start
        and not service.is_repeated
    )


def shows_all(tasks: Sequence[Task], seen: Seen) -> bool:
    """Tell whether tasks show all of a job: else its service has changed, or its node tells more.

    A task that is called off may belong to a stop of which nothing was heard yet.
    """
    service = seen.service
    if service.is_repeated or any(task.desired > State.RUNNING for task in tasks):
        return False
    return all(task.start == service.start for task in tasks)
