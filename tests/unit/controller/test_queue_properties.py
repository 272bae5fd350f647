"""Whatever waits in whichever queues: caps hold, weights count, nobody is left behind."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.v1.job import Job, Status
from api.v1.queue import Queue
from api.v1.spec import JobSpec
from api.v1.wishes import Wishes
from controller import queue_index
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.place import place
from controller.plan import ActionKind, Plan, Start
from controller.planner import plan
from controller.policy import Policy
from controller.scene import Scene as SceneOfPlan
from controller.scene import set_scene
from tests.support.jobs import make_job
from tests.unit.controller.scenes import at, cancelled, make_index, pending, starts

NAMES = ("default", "etl", "web", "unknown")
STATUSES = [Status.CREATED, Status.CREATED, Status.CREATED, Status.RUNNING, Status.EXITED]


@dataclass(frozen=True)
class Scene:
    """All that a plan is made of."""

    index: JobIndex
    policy: Policy
    ledger: Ledger

    def plan(self) -> Plan:
        return plan(self.index, self.policy, self.ledger, at())


@st.composite
def make_scene(draw: st.DrawFn) -> Scene:
    caps = st.none() | st.integers(0, 3)
    queues = {
        name: Queue(name, draw(caps), draw(st.integers(1, 5)), paused=draw(st.integers(0, 5)) == 0)
        for name in NAMES[:3]
    }
    policy = Policy(
        max_concurrent=draw(st.none() | st.integers(0, 8)),
        parallel_starts=draw(st.integers(1, 8)),
        queues=queues,
    )
    jobs = [draw_job(draw, number) for number in range(draw(st.integers(0, 16)))]
    index, ledger = make_index(policy, jobs), Ledger()
    for job in jobs:
        if job.is_pending and draw(st.integers(0, 3)) == 0:
            due, queue = 1000.0 + draw(st.integers(-9, 9)), job.spec.wishes.queue
            ledger.charge(ActionKind.START, Attempt(job.uid, 1, due, "no", queue=queue))
            index.set_aside(job.uid)
        if job.is_pending and draw(st.integers(0, 3)) == 0:
            ledger.begin(ActionKind.START, job.uid, 999.0)
    for number in range(draw(st.sampled_from([0, 0, 3]))):
        ledger.failures.note((f"bad{number}",), has_failed=True)
    return Scene(index, policy, ledger)


def draw_job(draw: st.DrawFn, number: int) -> Job:
    wishes = {
        "queue": draw(st.sampled_from(NAMES)),
        "priority": draw(st.integers(-1, 1)),
        "share": draw(st.sampled_from(["", "ann", "bob"])),
    }
    status = draw(st.sampled_from(STATUSES))
    waiting = pending(f"j{number:02}", draw(st.integers(-99, 0)), **wishes)
    job = replace(waiting, status=status, started=status is not Status.CREATED)
    job = replace(job, likeness=(draw(st.sampled_from(["one", "two"])),))
    return cancelled(job, -1) if draw(st.integers(0, 5)) == 0 else job


def count_by_queue(scene: Scene, sent: Sequence[Start]) -> Counter[str]:
    found = set_scene(scene.index, scene.policy, scene.ledger, at(), ())
    used = Counter({name: found.count_used(name) for name in NAMES})
    used.update(start.queue for start in sent)
    return used


@settings(max_examples=40)
@given(make_scene())
def test_no_start_exceeds_a_cap_or_leaves_a_paused_queue(scene: Scene) -> None:
    sent = starts(scene.plan())
    used = count_by_queue(scene, sent)
    for name in {start.queue for start in sent}:
        queue = scene.policy.get_queue(name)
        assert not queue.paused
        assert queue.max_concurrent is None or used[name] <= queue.max_concurrent


@settings(max_examples=40)
@given(make_scene())
def test_what_is_cancelled_is_never_started_and_what_is_not_is_never_stopped(scene: Scene) -> None:
    for action in scene.plan().actions:
        job = scene.index.jobs[action.uid]
        if action.kind is ActionKind.START:
            assert job.mark is None
        if action.kind is ActionKind.STOP:
            assert job.mark is not None
            assert job.is_active


@settings(max_examples=40)
@given(make_scene())
def test_nothing_that_has_room_is_left_waiting(scene: Scene) -> None:
    """The unknown queue is one of those: no job waits for ever because of a config."""
    limit = scene.policy.max_concurrent
    used = count_by_queue(scene, [])
    if scene.ledger.in_flight[ActionKind.START] or (limit is not None and used.total() >= limit):
        return
    attempts = scene.ledger.attempts[ActionKind.START]
    ready = {
        job.spec.wishes.queue
        for job in scene.index.jobs.values()
        if scene.index.is_waiting(job)
        and ((attempt := attempts.get(job.uid)) is None or attempt.due <= at().steady)
    }
    queues = [scene.policy.get_queue(name) for name in ready]
    is_open = any(
        not queue.paused
        and (queue.max_concurrent is None or used[queue.name] < queue.max_concurrent)
        for queue in queues
    )
    assert bool(starts(scene.plan())) == is_open


@settings(max_examples=40)
@given(make_scene())
def test_a_plan_is_a_function_of_what_is_known(scene: Scene) -> None:
    first, second = scene.plan(), scene.plan()
    assert first == second


@settings(max_examples=40)
@given(make_scene())
def test_within_a_share_priority_goes_before_age(scene: Scene) -> None:
    """Of jobs of one queue and share that are neither tried nor doubted, none is overtaken."""
    if scene.ledger.failures.find_doubts(scene.index.kinds):
        return
    sent = {start.uid for start in starts(scene.plan())}
    attempts, flying = scene.ledger.attempts[ActionKind.START], scene.ledger.in_flight
    lanes: dict[tuple[str, str], list[Job]] = {}
    for job in scene.index.jobs.values():
        is_untried = job.uid not in attempts and job.uid not in flying[ActionKind.START]
        if scene.index.is_waiting(job) and is_untried:
            wishes = job.spec.wishes
            lanes.setdefault((wishes.queue, wishes.share), []).append(job)
    for lane in lanes.values():
        lane.sort(key=lambda job: (-job.spec.wishes.priority, job.order, job.uid))
        chosen = [job.uid in sent for job in lane]
        assert chosen == sorted(chosen, reverse=True)


class Mill:
    """Jobs that each run for a random number of steps; every queue has more than it can start."""

    def __init__(self, policy: Policy, names: Sequence[str], seed: int, depth: int = 12) -> None:
        self.policy = policy
        self.index, self.ledger = JobIndex(policy), Ledger()
        self.random = random.Random(seed)
        self.left: dict[str, int] = {}
        self.sent: list[str] = []
        self.number = 0
        self.names = names
        for _ in range(depth):
            for name in names:
                self.add(name)

    def add(self, name: str) -> None:
        self.number += 1
        self.index.put(None, pending(f"{self.number:06}", self.number / 1e3, queue=name), at())

    def step(self) -> None:
        for uid in [uid for uid, left in self.left.items() if left == 0]:
            self.index.put(self.index.jobs[uid], None, at())
            del self.left[uid]
        self.left = {uid: left - 1 for uid, left in self.left.items()}
        for start in starts(plan(self.index, self.policy, self.ledger, at())):
            self.ledger.turns.note(start.queue, self.policy.get_queue(start.queue).weight)
            old = self.index.jobs[start.uid]
            self.index.put(old, replace(old, status=Status.RUNNING, started=True), at())
            self.left[start.uid] = self.random.randint(0, 5)
            self.sent.append(start.queue)
            self.add(start.queue)


@pytest.mark.parametrize(
    ("limit", "weights"), [(1, (1, 2, 3)), (4, (1, 2, 3)), (13, (1, 2, 3)), (4, (1, 1, 1))]
)
def test_over_a_thousand_starts_saturated_queues_have_their_shares(
    limit: int, weights: tuple[int, ...]
) -> None:
    names = ("a", "b", "c")
    queues = {name: Queue(name, weight=w) for name, w in zip(names, weights, strict=True)}
    policy = Policy(max_concurrent=limit, parallel_starts=8, queues=queues)
    mill = Mill(policy, names, seed=limit)
    while len(mill.sent) < 1000:
        mill.step()
    for name, weight in zip(names, weights, strict=True):
        share = mill.sent[:1000].count(name) / 1000
        assert abs(share - weight / sum(weights)) <= 0.05, (name, share)


@settings(max_examples=10)
@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))
def test_between_equal_queues_and_priorities_nobody_starves(
    limit: int, number: int, seed: int
) -> None:
    """Whatever the others have queued: a queue waits no longer than for a turn of each."""
    names = [f"q{n}" for n in range(number)]
    mill = Mill(Policy(max_concurrent=limit), names, seed, depth=4)
    while len(mill.sent) < 80:
        mill.step()
    for name in names:
        turns = [position for position, sent in enumerate(mill.sent) if sent == name]
        gaps = [after - before for before, after in pairwise(turns)]
        assert max(gaps) <= 4 * (number + limit)


@pytest.mark.parametrize(("queues", "shares"), [(1, 1), (20, 10)])
def test_a_plan_reads_no_more_of_ten_times_as_many_jobs(
    monkeypatch: pytest.MonkeyPatch, queues: int, shares: int
) -> None:
    """Counted, not timed: how often a plan asks whether a job may start, and for its place."""
    few, many = (count_reads(monkeypatch, jobs, queues, shares) for jobs in (400, 4_000))
    assert few == many
    assert few["may_start"] <= 12


def count_reads(
    monkeypatch: pytest.MonkeyPatch, jobs: int, queues: int, shares: int
) -> Counter[str]:
    """Return how often a plan for so many jobs calls what it asks of each."""
    policy = Policy(max_concurrent=4, keep_exited_for=1)
    index = make_index(policy, make_crowd(jobs, queues, shares))
    calls: Counter[str] = Counter()

    def count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(queue_index, "place", count("place", place))
        patch.setattr(SceneOfPlan, "may_start", count("may_start", SceneOfPlan.may_start))
        assert len(starts(plan(index, policy, Ledger(), at()))) == 4
    return calls


def make_crowd(jobs: int, queues: int, shares: int) -> Iterator[Job]:
    wishes = [
        JobSpec(wishes=Wishes(queue=f"q{queue}", share=f"s{share}"))
        for queue in range(queues)
        for share in range(shares)
    ]
    return (
        make_job(f"{number:06}", Status.CREATED, order=number, spec=wishes[number % len(wishes)])
        for number in range(jobs)
    )
