"""Whatever is known, a plan keeps the promises that the fault suites check on a real engine."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from api.v1.job import Job, Status
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.plan import ActionKind, Plan
from controller.planner import plan
from controller.policy import Moment, Policy
from controller.scene import count_used
from tests.support.jobs import make_job
from tests.unit.controller.scenes import NOON, SECOND, at, make_index, removals, starts

TIMES = st.integers(-100, 100).map(lambda seconds: NOON + seconds * SECOND)


@st.composite
def draw_job(draw: st.DrawFn, number: int) -> Job:
    status = draw(st.sampled_from(list(Status)))
    started = status is not Status.CREATED
    ended = status in {Status.EXITED, Status.DEAD, Status.RESTARTING}
    return make_job(
        f"j{number}",
        status,
        order=draw(TIMES),
        started=started,
        finished_at=draw(st.none() | TIMES) if ended else None,
    )


@dataclass(frozen=True)
class Scene:
    """All that a plan is made of."""

    index: JobIndex
    policy: Policy
    ledger: Ledger
    unresponsive: frozenset[str]

    def plan(self, moment: Moment, *, explain: int = 100) -> Plan:
        return plan(
            self.index,
            self.policy,
            self.ledger,
            moment,
            unresponsive=self.unresponsive,
            explain=explain,
        )


@st.composite
def make_scene(draw: st.DrawFn) -> Scene:
    jobs = [draw(draw_job(number)) for number in range(draw(st.integers(0, 12)))]
    policy = Policy(
        max_concurrent=draw(st.none() | st.integers(0, 6)),
        keep_exited_for=draw(st.none() | st.integers(0, 90).map(lambda s: s * SECOND)),
        parallel_starts=draw(st.integers(1, 5)),
        parallel_removals=draw(st.integers(1, 5)),
    )
    index, ledger = make_index(policy, jobs), Ledger()
    for job in jobs:
        if job.is_pending and draw(st.booleans()):
            due = 1000.0 + draw(st.integers(-50, 50))
            ledger.attempts[ActionKind.START].put(
                Attempt(job.id, draw(st.integers(1, 9)), due, "no")
            )
            index.set_aside(job.id)
        if job.is_pending and draw(st.booleans()):
            ledger.begin(ActionKind.START, job.id, 1000.0 - draw(st.integers(0, 9)))
        if job.is_finished and draw(st.booleans()):
            ledger.begin(ActionKind.REMOVE, job.id, 1000.0)
    unresponsive = frozenset(job.id for job in jobs if draw(st.integers(0, 4)) == 0)
    return Scene(index, policy, ledger, unresponsive)


def decide(scene: Scene) -> Plan:
    return scene.plan(at())


@given(make_scene())
def test_never_exceeds_the_limit_by_a_start(scene: Scene) -> None:
    index, policy, ledger = scene.index, scene.policy, scene.ledger
    sent = starts(decide(scene))
    if policy.max_concurrent is not None and sent:
        assert count_used(index, ledger) + len(sent) <= policy.max_concurrent


@given(make_scene())
def test_starts_only_what_never_ran_and_is_not_being_started(
    scene: Scene,
) -> None:
    index, ledger = scene.index, scene.ledger
    for start in starts(decide(scene)):
        assert index.jobs[start.uid].is_pending
        assert start.uid not in ledger.in_flight[ActionKind.START]
        assert start.uid not in scene.unresponsive
        attempt = ledger.attempts[ActionKind.START].get(start.uid)
        assert attempt is None or attempt.due <= at().steady


@given(make_scene())
def test_never_collects_early_or_unstarted(scene: Scene) -> None:
    index, policy, ledger = scene.index, scene.policy, scene.ledger
    for removal in removals(decide(scene)):
        job = index.jobs[removal.uid]
        assert policy.keep_exited_for is not None
        assert job.is_finished
        end = job.order if job.finished_at is None else job.finished_at
        assert end + policy.keep_exited_for <= at().engine
        assert removal.uid not in ledger.in_flight[ActionKind.REMOVE]


@given(make_scene())
def test_a_free_slot_is_never_idle(scene: Scene) -> None:
    """While something may start and neither limit nor pace forbids it, something starts."""
    index, policy, ledger = scene.index, scene.policy, scene.ledger
    free = policy.max_concurrent is None or count_used(index, ledger) < policy.max_concurrent
    may_start = [
        job
        for job in index.jobs.values()
        if job.is_pending
        and job.id not in ledger.in_flight[ActionKind.START]
        and job.id not in scene.unresponsive
        and (
            (attempt := ledger.attempts[ActionKind.START].get(job.id)) is None
            or attempt.due <= at().steady
        )
    ]
    # With nothing in flight one start is always within the pace.
    if free and may_start and not ledger.in_flight[ActionKind.START]:
        assert starts(decide(scene))


@given(make_scene())
def test_the_oldest_untried_goes_first(scene: Scene) -> None:
    index, ledger = scene.index, scene.ledger
    chosen = [
        s.uid for s in starts(decide(scene)) if s.uid not in ledger.attempts[ActionKind.START]
    ]
    waiting = [
        job.id
        for job in sorted(index.jobs.values(), key=lambda job: (job.order, job.id))
        if job.is_pending
        and job.id not in ledger.attempts[ActionKind.START]
        and job.id not in ledger.in_flight[ActionKind.START]
        and job.id not in scene.unresponsive
    ]
    assert chosen == waiting[: len(chosen)]


@given(make_scene())
def test_one_retry_at_most_while_untried_jobs_wait(
    scene: Scene,
) -> None:
    ledger = scene.ledger
    decided = decide(scene)
    retries = [start for start in starts(decided) if start.uid in ledger.attempts[ActionKind.START]]
    left_waiting = [
        wait
        for wait in decided.waits
        if wait.uid not in ledger.attempts[ActionKind.START]
        and wait.uid not in ledger.in_flight[ActionKind.START]
        and wait.uid not in scene.unresponsive
    ]
    if left_waiting:
        under_way = any(start.is_retry for start in ledger.in_flight[ActionKind.START].values())
        assert len(retries) <= (0 if under_way else 1)


@given(make_scene())
def test_every_pending_job_is_started_or_explained(
    scene: Scene,
) -> None:
    index = scene.index
    decided = decide(scene)
    told = {start.uid for start in starts(decided)} | {wait.uid for wait in decided.waits}
    assert told == {job.id for job in index.jobs.values() if job.is_pending}


@given(make_scene())
def test_what_is_done_and_when_is_the_same_unexplained(scene: Scene) -> None:
    explained, decided = decide(scene), scene.plan(at(), explain=0)
    assert (decided.actions, decided.wake_in) == (explained.actions, explained.wake_in)


@given(make_scene())
def test_time_alone_changes_nothing_before_the_wake(
    scene: Scene,
) -> None:
    """A loop that sleeps until ``wake_in`` misses nothing."""
    decided = decide(scene)
    horizon = 60.0 if decided.wake_in is None else decided.wake_in
    before = scene.plan(at(max(0.0, horizon - 0.001)))
    assert [s.uid for s in starts(before)] == [s.uid for s in starts(decided)]
    assert [r.uid for r in removals(before)] == [r.uid for r in removals(decided)]
