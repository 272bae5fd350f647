"""Whatever is known, a plan keeps the promises that the fault suites check on a real engine."""

from hypothesis import given
from hypothesis import strategies as st

from api.informer.merge import Observed
from api.v1.job import Status
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.plan import Plan
from controller.planner import count_used, plan
from controller.policy import Policy
from tests.unit.controller.scenes import NOON, SECOND, at

TIMES = st.integers(-100, 100).map(lambda seconds: NOON + seconds * SECOND)


@st.composite
def make_job(draw: st.DrawFn, number: int) -> Observed:
    status = draw(st.sampled_from(list(Status)))
    started = status is not Status.CREATED
    ended = status in {Status.EXITED, Status.DEAD, Status.RESTARTING}
    return Observed(
        id=f"j{number}",
        name=f"j{number}",
        status=status,
        order=draw(TIMES),
        started=started,
        finished_at=draw(st.none() | TIMES) if ended else None,
    )


@st.composite
def make_scene(draw: st.DrawFn) -> tuple[JobIndex, Policy, Ledger]:
    jobs = [draw(make_job(number)) for number in range(draw(st.integers(0, 12)))]
    index, ledger = JobIndex(jobs), Ledger()
    for job in jobs:
        if job.is_pending and draw(st.booleans()):
            due = 1000.0 + draw(st.integers(-50, 50))
            ledger.starts.put(Attempt(job.id, draw(st.integers(1, 9)), due, "no"))
            index.set_aside(job.id)
        if job.is_pending and draw(st.booleans()):
            ledger.begin_start(job.id, 1000.0 - draw(st.integers(0, 9)))
        if job.is_finished and draw(st.booleans()):
            ledger.begin_removal(job.id)
    ledger.unresponsive = {job.id for job in jobs if draw(st.integers(0, 4)) == 0}
    policy = Policy(
        max_concurrent=draw(st.none() | st.integers(0, 6)),
        keep_exited_for=draw(st.none() | st.integers(0, 90).map(lambda s: s * SECOND)),
        parallel_starts=draw(st.integers(1, 5)),
        parallel_removals=draw(st.integers(1, 5)),
    )
    return index, policy, ledger


def decide(scene: tuple[JobIndex, Policy, Ledger]) -> Plan:
    return plan(*scene, at(), explain=100)


@given(make_scene())
def test_never_exceeds_the_limit_by_a_start(scene: tuple[JobIndex, Policy, Ledger]) -> None:
    index, policy, ledger = scene
    starts = decide(scene).starts
    if policy.max_concurrent is not None and starts:
        assert count_used(index, ledger) + len(starts) <= policy.max_concurrent


@given(make_scene())
def test_starts_only_what_never_ran_and_is_not_being_started(
    scene: tuple[JobIndex, Policy, Ledger],
) -> None:
    index, _, ledger = scene
    for start in decide(scene).starts:
        assert index.jobs[start.id].is_pending
        assert start.id not in ledger.starting
        assert start.id not in ledger.unresponsive
        attempt = ledger.starts.get(start.id)
        assert attempt is None or attempt.due <= at().steady


@given(make_scene())
def test_never_collects_early_or_unstarted(scene: tuple[JobIndex, Policy, Ledger]) -> None:
    index, policy, ledger = scene
    for removal in decide(scene).removals:
        job = index.jobs[removal.id]
        assert policy.keep_exited_for is not None
        assert job.is_finished
        end = job.order if job.finished_at is None else job.finished_at
        assert end + policy.keep_exited_for <= at().engine
        assert removal.id not in ledger.removing


@given(make_scene())
def test_a_free_slot_is_never_idle(scene: tuple[JobIndex, Policy, Ledger]) -> None:
    """While something may start and neither limit nor pace forbids it, something starts."""
    index, policy, ledger = scene
    free = policy.max_concurrent is None or count_used(index, ledger) < policy.max_concurrent
    may_start = [
        job
        for job in index.jobs.values()
        if job.is_pending
        and job.id not in ledger.starting
        and job.id not in ledger.unresponsive
        and ((attempt := ledger.starts.get(job.id)) is None or attempt.due <= at().steady)
    ]
    # With nothing in flight one start is always within the pace.
    if free and may_start and not ledger.starting:
        assert decide(scene).starts


@given(make_scene())
def test_the_oldest_untried_goes_first(scene: tuple[JobIndex, Policy, Ledger]) -> None:
    index, _, ledger = scene
    chosen = [s.id for s in decide(scene).starts if s.id not in ledger.starts]
    waiting = [
        job.id
        for job in sorted(index.jobs.values(), key=lambda job: (job.order, job.id))
        if job.is_pending
        and job.id not in ledger.starts
        and job.id not in ledger.starting
        and job.id not in ledger.unresponsive
    ]
    assert chosen == waiting[: len(chosen)]


@given(make_scene())
def test_one_retry_at_most_while_untried_jobs_wait(
    scene: tuple[JobIndex, Policy, Ledger],
) -> None:
    _, _, ledger = scene
    decided = decide(scene)
    retries = [start for start in decided.starts if start.id in ledger.starts]
    left_waiting = [
        wait
        for wait in decided.waits
        if wait.id not in ledger.starts
        and wait.id not in ledger.starting
        and wait.id not in ledger.unresponsive
    ]
    if left_waiting:
        under_way = any(start.is_retry for start in ledger.starting.values())
        assert len(retries) <= (0 if under_way else 1)


@given(make_scene())
def test_every_pending_job_is_started_or_explained(
    scene: tuple[JobIndex, Policy, Ledger],
) -> None:
    index, _, _ = scene
    decided = decide(scene)
    told = {start.id for start in decided.starts} | {wait.id for wait in decided.waits}
    assert told == {job.id for job in index.jobs.values() if job.is_pending}


@given(make_scene())
def test_time_alone_changes_nothing_before_the_wake(
    scene: tuple[JobIndex, Policy, Ledger],
) -> None:
    """A loop that sleeps until ``wake_in`` misses nothing."""
    decided = decide(scene)
    horizon = 60.0 if decided.wake_in is None else decided.wake_in
    before = plan(*scene, at(max(0.0, horizon - 0.001)))
    assert [s.id for s in before.starts] == [s.id for s in decided.starts]
    assert [r.id for r in before.removals] == [r.id for r in decided.removals]
