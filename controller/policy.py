"""What the operator wants, and the moment at which a plan is made."""

from dataclasses import dataclass, replace
from typing import Final

from api.v1.job import Job, Status
from api.v1.times import SECOND

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
    (moby#42096).
    """

    max_concurrent: int | None = None
    keep_exited_for: int | None = None
    parallel_starts: int = 4
    parallel_removals: int = 4


def for_engine(policy: Policy, cpus: int) -> Policy:
    """Return ``policy`` at the pace of an engine with ``cpus`` processors.

    Four to eight starts at once keep it busy. With two slots at most they are sent one by one: of
    two in flight the engine may finish either first, and jobs are to start in the queue's order.
    """
    serial = policy.max_concurrent is not None and policy.max_concurrent <= _FEW_SLOTS
    return replace(policy, parallel_starts=1 if serial else min(8, 4 * cpus))


def find_end(job: Job) -> int | None:
    """Return when a finished job ended, in nanoseconds, or ``None`` if that is not known.

    A dead container that never started has no such time; that of its creation stands for it, for
    it is dead because somebody wanted it removed. A list does not show whether it started.
    """
    if job.finished_at is not None:
        return job.finished_at
    never_ran = job.status is Status.DEAD and job.detailed and not job.started
    return job.order if never_ran else None


def is_same_end(known: int, noted: int, *, is_told: bool) -> bool:
    """Tell whether ``noted`` is the end ``known``: if that ``is_told``, its event came later."""
    return 0 <= known - noted <= (_TOLD_LATE if is_told else 0)


def find_expiry(job: Job, policy: Policy) -> int | None:
    """Return when a job is to be removed, in nanoseconds; ``None`` if never or not known yet."""
    end = find_end(job) if job.is_finished else None
    return None if end is None or policy.keep_exited_for is None else end + policy.keep_exited_for


@dataclass(frozen=True, slots=True)
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
