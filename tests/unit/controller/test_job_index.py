"""The index's indexes agree with the jobs, whatever changes in whatever order."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from api.v1.job import Job, Status
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from controller.endings import plan_removals, plan_stops, plan_unmarkings
from controller.job_index import JobIndex
from controller.ledger import Ledger
from controller.place import place
from controller.planner import plan, plan_starts
from controller.policy import Moment, Policy, find_last_run, find_last_start
from controller.scene import set_scene
from tests.support.jobs import make_job

IDS = st.sampled_from("abcdef")
KINDS = (("one",), ("one", "sh"), ("two",))
KEEP = Policy(keep_exited_for=10)
START = Moment(0, 100.0)
WISHES = st.builds(
    Wishes,
    queue=st.sampled_from(["default", "etl"]),
    priority=st.integers(0, 1),
    share=st.sampled_from(["", "ann", "bob"]),
    start_by=st.sampled_from([None, 3 * SECOND]),
    run_for=st.sampled_from([None, 4 * SECOND]),
)


class Changes(RuleBasedStateMachine):
    """Puts, replaces, cancels, sets aside and drops jobs; and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.index = JobIndex(KEEP)
        self.model: dict[str, Job] = {}
        self.aside: set[str] = set()
        self.late: set[str] = set()
        self.now = START

    def set_job(self, key: str, new: Job | None) -> None:
        old = self.model.pop(key, None)
        self.index.put(old, new, self.now)
        if new is None or not new.is_pending:
            self.aside.discard(key)
        if new is None or (old is not None and find_last_start(old) != find_last_start(new)):
            self.late.discard(key)
        if new is not None:
            self.model[key] = new

    @rule(
        key=IDS,
        status=st.sampled_from(list(Status)),
        order=st.integers(0, 5),
        likeness=st.sampled_from(KINDS),
        wishes=WISHES,
    )
    def put(
        self, key: str, status: Status, order: int, likeness: tuple[str, ...], wishes: Wishes
    ) -> None:
        job = make_job(
            key,
            status,
            order=order,
            started=status is not Status.CREATED,
            started_at=None if status is Status.CREATED else order,
            finished_at=order if status is Status.EXITED else None,
            likeness=likeness,
            spec=self.model[key].spec if key in self.model else JobSpec(wishes=wishes),
        )
        self.set_job(key, job)

    @rule(key=IDS, is_marked=st.booleans(), purge=st.booleans())
    def mark(self, key: str, is_marked: bool, purge: bool) -> None:
        if (job := self.model.get(key)) is not None:
            mark = Mark(f"mark-{key}", key, 1, purge=purge) if is_marked else None
            self.set_job(key, replace(job, mark=mark))

    @rule(key=IDS)
    def drop(self, key: str) -> None:
        if key in self.model:
            self.set_job(key, None)

    @rule(key=IDS)
    def set_aside(self, key: str) -> None:
        self.index.set_aside(key)
        if key in self.model and self.model[key].is_pending:
            self.aside.add(key)

    @rule(key=IDS)
    def put_back(self, key: str) -> None:
        self.index.put_back(key)
        self.aside.discard(key)

    @rule(seconds=st.integers(1, 3))
    def pass_time(self, seconds: int) -> None:
        self.now = Moment(self.now.engine + seconds * SECOND, self.now.steady + seconds)
        late = {
            job.uid
            for job in self.model.values()
            if self.is_waiting(job)
            and (last := find_last_start(job)) is not None
            and last <= self.now.engine
        }
        assert {job.uid for job in self.index.advance(self.now)} == late
        self.late |= late

    def is_waiting(self, job: Job) -> bool:
        return job.is_pending and job.mark is None and job.uid not in self.late

    @invariant()
    def indexes_agree(self) -> None:
        jobs = self.model.values()
        assert dict(self.index.jobs) == self.model
        assert set(self.index.active) == {job.uid for job in jobs if job.is_active}
        assert set(self.index.cancelled) == {j.uid for j in jobs if j.is_active and j.mark}
        waiting = [job for job in jobs if self.is_waiting(job)]
        assert self.index.pending == len(waiting)
        queue = sorted((j for j in waiting if j.uid not in self.aside), key=place)
        assert list(self.index.untried) == queue
        assert set(self.index.kinds) == {job.likeness for job in queue}
        over = {j.uid for j in jobs if j.is_finished and j.finished_at is not None}
        called_off = {j.uid for j in jobs if j.is_pending and not self.is_waiting(j)}
        assert {job.uid for _, job in self.index.expiring} == over | called_off
        expiries = [expiry for expiry, _ in self.index.expiring]
        assert expiries == sorted(expiries)
        timed = {j.uid for j in jobs if j.is_active and find_last_run(j) is not None}
        assert {uid for _, uid in self.index.last_runs} == timed
        timed = {j.uid for j in waiting if find_last_start(j) is not None}
        assert {uid for _, uid in self.index.last_starts} == timed

    @invariant()
    def what_is_planned_is_what_the_rules_say(self) -> None:
        """A glance never leaves out a plan, whatever is under way: nothing, or all of it."""
        ledger = Ledger()
        for _ in range(2):
            scene = set_scene(self.index, KEEP, ledger, self.now, ())
            rules = (plan_stops, plan_starts, plan_removals, plan_unmarkings)
            planned = plan(self.index, KEEP, ledger, self.now).actions
            assert planned == tuple(action for rule in rules for action in rule(scene))
            for action in planned:
                ledger.begin(action.kind, action.uid, self.now.steady)

    @invariant()
    def queues_agree(self) -> None:
        for name, queue in self.index.queues.items():
            own = [job for job in self.model.values() if job.spec.wishes.queue == name]
            assert queue.active == sum(job.is_active for job in own)
            assert queue.pending == sum(self.is_waiting(job) for job in own)
            untried = {j.uid: j for j in own if self.is_waiting(j) and j.uid not in self.aside}
            shares = Counter(job.spec.wishes.share for job in own if job.is_active)
            for doubted in ((), KINDS[:1]):
                left = [job for job in untried.values() if job.likeness not in doubted]
                heads = queue.iterate({}, may_start=lambda _: True, doubted=doubted)
                assert [head.job for head in heads] == list(order_by_turns(left, shares))
            found = [(rank, head) for rank, head in enumerate(queue.iterate({}, may_start=bool))]
            assert (queue.first is None) == (not found)
            for rank, head in found:
                assert queue.count_ahead(head.job, place(head.job), {}) == rank
                assert queue.first is not None
                assert queue.first <= head.standing
            for likeness, line in queue.alike.items():
                alike = [job for job in untried.values() if job.likeness == likeness]
                assert list(line) == sorted(alike, key=place)


def order_by_turns(jobs: list[Job], shares: Counter[str]) -> Iterator[Job]:
    """Yield jobs by priority, then of the share with the fewest active, then by place."""
    left, active = list(jobs), Counter(shares)
    while left:
        wishes = [job.spec.wishes for job in left]
        top = max(wish.priority for wish in wishes)
        first = min(
            (job for job in left if job.spec.wishes.priority == top),
            key=lambda job: (active[job.spec.wishes.share], place(job)),
        )
        left.remove(first)
        active[first.spec.wishes.share] += 1
        yield first


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_job_set_aside_stays_so_when_more_becomes_known_of_it() -> None:
    job = make_job("a", Status.CREATED, order=5)
    index = JobIndex(KEEP)
    index.put(None, job, START)
    index.set_aside("a")
    index.put(job, replace(job, order=6, exact=True), START)
    assert list(index.untried) == []
    assert index.pending == 1


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_of_the_engines_clock_moves_no_expiry_of_an_end_seen_before(jump: int) -> None:
    ended = make_job("a", Status.EXITED, started=True, finished_at=50 * SECOND)
    index = JobIndex(Policy(keep_exited_for=60 * SECOND))
    index.put(None, ended, Moment(50 * SECOND, 7.0))
    after = Moment((51 + jump) * SECOND, 8.0)
    # a list gives it another place, a removal fails, somebody renames it
    for news in ({"order": 9}, {"status": Status.DEAD}, {"id": "b"}):
        changed = replace(ended, **news)
        index.put(ended, changed, after)
        ended = changed
    assert [expiry for expiry, _ in index.expiring] == [67.0]
    again = replace(ended, status=Status.EXITED, finished_at=(52 + jump) * SECOND)
    index.put(ended, again, replace(after, engine=(52 + jump) * SECOND, steady=9.0))
    assert [expiry for expiry, _ in index.expiring] == [69.0]


def test_an_end_that_the_engine_notes_after_it_told_of_it_is_as_old_as_noted() -> None:
    """With live-restore, an engine that was restarted noted it 2.5 s after its event."""
    index = JobIndex(Policy(keep_exited_for=60 * SECOND))
    job = make_job("a", Status.RUNNING, started=True)
    index.put(None, job, Moment(49 * SECOND, 6.0))
    told = replace(job, status=Status.EXITED)
    index.put(job, told, Moment(50 * SECOND, 7.0))
    noted = replace(told, finished_at=53 * SECOND)
    index.put(told, noted, Moment(60 * SECOND, 17.0))
    assert [expiry for expiry, _ in index.expiring] == [70.0]


@pytest.mark.parametrize("status", [Status.CREATED, Status.RUNNING, Status.RESTARTING])
@pytest.mark.parametrize("jump", [3600, 0, -3600])
def test_an_end_before_our_eyes_is_as_old_as_the_steady_clock_says(
    jump: int, status: Status
) -> None:
    index = JobIndex(Policy(keep_exited_for=60 * SECOND))
    job = make_job("a", status, started=status is not Status.CREATED)
    index.put(None, job, Moment(49 * SECOND, 6.0))
    # its end is announced, or shown by a list, before it can be read
    listed = replace(job, status=Status.EXITED, started=True)
    index.put(job, listed, Moment((50 + jump) * SECOND, 7.0))
    ended = replace(listed, finished_at=50 * SECOND)
    index.put(listed, ended, Moment((51 + jump) * SECOND, 8.0))
    assert [expiry for expiry, _ in index.expiring] == [67.0]
