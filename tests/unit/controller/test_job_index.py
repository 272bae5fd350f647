"""The index's indexes agree with the jobs, whatever changes in whatever order."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from api.v1.job import Job, Status
from controller.job_index import JobIndex
from controller.policy import Policy
from tests.support.jobs import make_job

IDS = st.sampled_from("abcdef")
KEEP = Policy(keep_exited_for=10)


class Changes(RuleBasedStateMachine):
    """Puts, replaces, sets aside and drops jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.index = JobIndex(KEEP)
        self.model: dict[str, Job] = {}
        self.aside: set[str] = set()

    @rule(key=IDS, status=st.sampled_from(list(Status)), order=st.integers(0, 5))
    def put(self, key: str, status: Status, order: int) -> None:
        old = self.model.get(key)
        new = make_job(
            key,
            status,
            order=order,
            started=status is not Status.CREATED,
            finished_at=order if status is Status.EXITED else None,
        )
        self.index.put(old, new)
        self.model[key] = new
        if not new.is_pending:
            self.aside.discard(key)

    @rule(key=IDS)
    def drop(self, key: str) -> None:
        old = self.model.pop(key, None)
        if old is not None:
            self.index.put(old, None)
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
        assert list(self.index.untried) == sorted(untried, key=lambda job: (job.order, job.uid))
        assert [expiry for expiry, _ in self.index.expiring] == sorted(
            job.finished_at + 10 for job in jobs if job.is_finished and job.finished_at is not None
        )


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_job_set_aside_stays_so_when_more_becomes_known_of_it() -> None:
    job = make_job("a", Status.CREATED, order=5)
    index = JobIndex(KEEP, [job])
    index.set_aside("a")
    index.put(job, replace(job, order=6, exact=True))
    assert list(index.untried) == []
    assert index.pending == 1
