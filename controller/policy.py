"""What the operator wants, and the moment at which a plan is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from api.v1.condition import DEFAULT_GRACE, START_SLACK
from api.v1.job import Job, Status
from api.v1.queue import Queue
from api.v1.record import record
from api.v1.times import SECOND
from api.v1.wishes import DEFAULT_QUEUE

FIRST_DELAY: Final = 1.0
"""Seconds between a job's first failed start and its second."""
LONGEST_DELAY: Final = 300.0
"""Seconds that the wait between two attempts grows to, as a kubelet's does."""
OVERDUE: Final = 3.0
"""Seconds after which a start in flight no longer keeps others from being sent."""
NOTED_LATE: Final = 60.0
"""Seconds at most by which an engine that shuts down notes an end later than it has told of it."""
_TOLD_LATE: Final = 10 * SECOND
"""Nanoseconds at most by which the event of an end is later than the end that the engine notes."""
_FEW_SLOTS: Final = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits that a plan keeps.

    ``max_concurrent``: most active jobs, ``None`` for no limit, 0 for no starts at all.
    ``keep_exited_for``: nanoseconds that a finished job is kept, ``None`` for ever.
    ``parallel_starts``, ``parallel_removals``: most calls of a kind in flight; an engine starts
    no more containers a second with more than a few at once, it only takes longer for each
    (moby#42096). ``parallel_stops`` is higher: a stop mostly waits. ``queues`` are those that the
    operator has configured, by name.
    """

    max_concurrent: int | None = None
    keep_exited_for: int | None = None
    parallel_starts: int = 4
    parallel_removals: int = 4
    parallel_stops: int = 256
    queues: Mapping[str, Queue] = field(default_factory=lambda: MappingProxyType({}))

    def get_queue(self, name: str) -> Queue:
        """Return a queue; one that is not known has no cap: no job waits for ever for a config."""
        return self.queues.get(name) or Queue(name)

    def knows_queue(self, name: str) -> bool:
        """Tell whether a queue is configured, or needs no config."""
        return name in self.queues or name == DEFAULT_QUEUE


def for_engine(policy: Policy, cpus: int) -> Policy:
    """Return ``policy`` at the pace of an engine with ``cpus`` processors.

    Four to eight starts at once keep it busy. With two slots at most they are sent one by one: of
    two in flight the engine may finish either first, and jobs are to start in the queue's order.
    """
    serial = policy.max_concurrent is not None and policy.max_concurrent <= _FEW_SLOTS
    return replace(policy, parallel_starts=1 if serial else min(8, 4 * cpus))


def find_end(job: Job) -> int | None:
    """Return when a job ended that neither waits nor runs (ns), or ``None`` if that is not known.

    One that waited when it was called off ended at that moment. A dead container that never
    started has no such time; that of its creation stands for it, for it is dead because somebody
    wanted it removed. A list does not show whether it started.
    """
    if job.is_pending:
        return _find_call_off(job)
    if job.finished_at is not None:
        return job.finished_at
    never_ran = job.status is Status.DEAD and job.detailed and not job.started
    return job.order if never_ran else None


def _find_call_off(job: Job) -> int | None:
    last = find_last_start(job)
    moments = [] if last is None else [last + START_SLACK]
    if job.mark is not None:
        moments.append(job.mark.at)
    return min(moments, default=None)


def find_last_start(job: Job) -> int | None:
    """Return from when on a job is not to be started any more (ns); ``None``: it does not say.

    One that is to be run anew was started in time.
    """
    start_by = job.spec.wishes.start_by
    return None if start_by is None or job.rerun else job.order + start_by


def find_last_run(job: Job) -> int | None:
    """Return when the present run of a job is to be stopped (ns); ``None``: never, or not known.

    One that was told to start is to be stopped when it has missed its start.
    """
    if job.status is Status.STARTING:
        return find_last_start(job)
    run_for = job.spec.wishes.run_for
    if run_for is None or job.started_at is None or job.status is Status.RESTARTING:
        return None
    return job.started_at + run_for


def find_grace(job: Job) -> int:
    """Return the seconds between stop signal and kill: of the container, else of the engine.

    A container that is never to be killed has the engine's: a deadline must hold.
    """
    grace = job.stop_timeout
    return DEFAULT_GRACE if grace is None or grace < 0 else grace


def is_same_end(known: int, noted: int, *, is_told: bool) -> bool:
    """Tell whether ``noted`` is the end ``known``: if that ``is_told``, its event came later."""
    return 0 <= known - noted <= (_TOLD_LATE if is_told else 0)


def find_keep(job: Job, policy: Policy) -> int | None:
    """Return for how long a job is kept after its end, in nanoseconds; ``None``: for good."""
    if job.mark is not None and job.mark.purge:
        return 0
    wish = job.spec.wishes.keep_for
    return policy.keep_exited_for if wish is None else wish


@record
class Moment:
    """One moment on two clocks.

    ``engine``: nanoseconds since the epoch by the engine's clock, to compare with its times;
    ``steady``: seconds of a clock that never jumps, for backoffs.
    """

    engine: int
    steady: float

    def translate(self, steady: float) -> int:
        """Return the engine's time at a moment of the steady clock."""
        return self.engine + int((steady - self.steady) * 1e9)

    def find_steady(self, engine: int) -> float:
        """Return the moment of the steady clock at a time of the engine's."""
        return self.steady + (engine - self.engine) / SECOND
