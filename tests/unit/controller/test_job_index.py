"""The index's indexes agree with the jobs, whatever changes in whatever order."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from api.v1.job import Job, Status
from api.v1.times import SECOND
from controller.job_index import JobIndex
from controller.policy import Moment, Policy
from tests.support.jobs import make_job

IDS = st.sampled_from("abcdef")
KINDS = (("one",), ("one", "sh"), ("two",))
KEEP = Policy(keep_exited_for=10)
START = Moment(0, 100.0)


class Changes(RuleBasedStateMachine):
    """Puts, replaces, sets aside and drops jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.index = JobIndex(KEEP)
        self.model: dict[str, Job] = {}
        self.aside: set[str] = set()

    @rule(
        key=IDS,
        status=st.sampled_from(list(Status)),
        order=st.integers(0, 5),
        likeness=st.sampled_from(KINDS),
    )
    def put(self, key: str, status: Status, order: int, likeness: tuple[str, ...]) -> None:
        old = self.model.get(key)
        new = make_job(
            key,
            status,
            order=order,
            started=status is not Status.CREATED,
            finished_at=order if status is Status.EXITED else None,
            likeness=likeness,
        )
        self.index.put(old, new, START)
        self.model[key] = new
        if not new.is_pending:
            self.aside.discard(key)

    @rule(key=IDS)
    def drop(self, key: str) -> None:
        old = self.model.pop(key, None)
        if old is not None:
            self.index.put(old, None, START)
            self.aside.discard(key)

    @rule(key=IDS)
    def set_aside(self, key: str) -> None:
        self.index.set_aside(key)
        if key in self.model and self.model[key].is_pending:
            self.aside.add(key)

    @invariant()
    def indexes_agree(self) -> None:
        jobs = self.model.values()
        assert dict(self.index.jobs) == self.model
        assert set(self.index.active) == {job.uid for job in jobs if job.is_active}
        assert self.index.pending == sum(job.is_pending for job in jobs)
        untried = [job for job in jobs if job.is_pending and job.uid not in self.aside]
        queue = sorted(untried, key=lambda job: (job.order, job.uid))
        assert list(self.index.untried) == queue
        assert set(self.index.alike) == {job.likeness for job in queue}
        for kind in KINDS:
            own = [job for job in queue if job.likeness == kind]
            assert list(self.index.alike.get(kind, ())) == own
            assert list(self.index.iterate_unlike({kind})) == [j for j in queue if j not in own]
        expiring = {job.uid for job in jobs if job.is_finished and job.finished_at is not None}
        assert {job.uid for _, job in self.index.expiring} == expiring
        expiries = [expiry for expiry, _ in self.index.expiring]
        assert expiries == sorted(expiries)


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
