"""Short ways to say what a planner sees."""

from collections.abc import Iterable
from dataclasses import replace
from textwrap import dedent
from typing import Any

from api.v1.job import Job, Status
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.wishes import Wishes
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.plan import ActionKind, Plan, Remove, Start
from controller.planner import plan
from controller.policy import Moment, Policy
from tests.support.jobs import make_job

SECOND = 1_000_000_000
NOON = 1_767_268_800 * SECOND
"""2026-01-01T12:00:00Z."""


def at(seconds: float = 0.0) -> Moment:
    """Return the moment some seconds after noon, 1,000 s of the steady clock."""
    return Moment(NOON + int(seconds * SECOND), 1000.0 + seconds)


def make_index(policy: Policy, jobs: Iterable[Job]) -> JobIndex:
    """Return an index of jobs that are seen at noon."""
    index = JobIndex(policy)
    for job in jobs:
        index.put(None, job, at())
    return index


def find_time(seconds: float) -> int:
    """Return the engine's time some seconds after noon (ns)."""
    return NOON + int(seconds * SECOND)


def pending(name: str, created: float = -60.0, **wishes: Any) -> Job:
    """Return a job that waits; ``created`` in seconds from noon."""
    order = find_time(created)
    spec = JobSpec(wishes=Wishes(**wishes))
    return make_job(name, Status.CREATED, order=order, created=order, exact=True, spec=spec)


def starting(name: str, created: float = -60.0, **wishes: Any) -> Job:
    """Return a job that the engine was told to start; ``created`` in seconds from noon."""
    return replace(pending(name, created, **wishes), status=Status.STARTING)


def running(
    name: str, status: Status = Status.RUNNING, started: float | None = None, **wishes: Any
) -> Job:
    """Return a job that holds a slot; ``started`` in seconds from noon, ``None``: not known."""
    since = None if started is None else find_time(started)
    spec = JobSpec(wishes=Wishes(**wishes))
    return make_job(name, status, order=NOON, started=True, started_at=since, spec=spec)


def finished(name: str, ended: float | None, status: Status = Status.EXITED, **wishes: Any) -> Job:
    """Return a job that ended; ``ended`` in seconds from noon, ``None``: the time is unknown."""
    return make_job(
        name,
        status,
        order=NOON - 3600 * SECOND,
        started=ended is not None,
        finished_at=None if ended is None else find_time(ended),
        exit_code=0,
        detailed=True,
        spec=JobSpec(wishes=Wishes(**wishes)),
    )


def cancelled(
    job: Job, at: float = 0.0, *, grace: int | None = None, purge: bool = False, why: str = ""
) -> Job:
    """Return a job with the mark of a cancel; ``at`` in seconds from noon."""
    return replace(job, mark=Mark(f"mark-{job.uid}", job.uid, find_time(at), grace, purge, why))


def failed(ledger: Ledger, name: str, *, due: float, number: int = 1) -> None:
    """Note that starts of a job failed; ``due`` in seconds from noon."""
    attempt = Attempt(name, number, 1000.0 + due, "no such command")
    ledger.attempts[ActionKind.START].put(attempt)


def starts(decided: Plan) -> list[Start]:
    """Return the starts of a plan."""
    return [action for action in decided.actions if isinstance(action, Start)]


def removals(decided: Plan) -> list[Remove]:
    """Return the removals of a plan."""
    return [action for action in decided.actions if isinstance(action, Remove)]


def decide(
    *jobs: Job,
    policy: Policy,
    ledger: Ledger | None = None,
    now: float = 0.0,
    explain: int = 100,
    unresponsive: frozenset[str] = frozenset(),
) -> str:
    """Return the text of what is planned at ``now`` (seconds from noon)."""
    ledger = ledger or Ledger()
    index = make_index(policy, jobs)
    for attempt in ledger.attempts[ActionKind.START]:
        index.set_aside(attempt.uid)
    index.advance(at(now))
    return str(plan(index, policy, ledger, at(now), unresponsive=unresponsive, explain=explain))


def check(actual: str, expected: str) -> None:
    """Compare a plan's text with an indented one."""
    assert actual == dedent(expected).strip("\n")
