"""Says how long the holders of slots have run: one that waits for its input runs for ever."""

from collections.abc import Mapping

from api.v1.condition import derive_condition
from api.v1.job import Job, Phase, Reason
from api.v1.times import SECOND
from controller.plan import Hold


def list_holds(active: Mapping[str, Job], now: int, *, most: int) -> tuple[Hold, ...]:
    """Return the active jobs, those that have run the longest first; ``now`` in nanoseconds."""
    jobs = sorted(active.values(), key=lambda job: job.started_at or job.order)
    return tuple(Hold(job.uid, job.id, _describe(job, now)) for job in jobs[:most])


def find_longest(active: Mapping[str, Job], now: int) -> float:
    """Return how many seconds the active job has run that has run the longest, 0.0 of none."""
    times = (job.started_at for job in active.values() if job.started_at is not None)
    return max((now - min(times, default=now)) / SECOND, 0.0)


def _describe(job: Job, now: int) -> str:
    condition = derive_condition(job, now)
    reason = condition.reason
    word = Phase.RUNNING.lower() if reason is None else Reason(reason).lower()
    if job.is_to_run:
        return f"{word}: {condition.message}"
    if job.started_at is None:
        return f"{word}, since when is not read yet"
    return f"{word}, started {max(now - job.started_at, 0) // SECOND}s ago"
