"""All that a plan is made of, and what is counted of it once for all its rules."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from api.v1.job import Job
from controller.job_index import JobIndex
from controller.ledger import Attempt, InFlight, Ledger
from controller.place import Place, place
from controller.plan import ActionKind
from controller.policy import OVERDUE, Moment, Policy, find_last_start
from controller.queue_index import Likeness

Turn = tuple[Place, Job, Attempt | None]
"""A job that may be started: its place, and what is known of an attempt that failed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known at ``now``; ``used`` counts the slots held, ``starting`` starts in flight.

    ``doubted`` are the likenesses of jobs that no longer go ahead of others, and why. ``busy`` has
    the starts in flight of jobs that are not active yet, by queue and share.
    """

    index: JobIndex
    policy: Policy
    ledger: Ledger
    now: Moment
    unresponsive: Collection[str]
    used: int
    starting: Mapping[str, InFlight]
    doubted: Mapping[Likeness, str]
    busy: Mapping[str, Counter[str]] = field(default_factory=dict)

    def may_start(self, job: Job) -> bool:
        """Tell whether nothing but its place and its queue keeps a waiting job from a start."""
        if job.uid in self.starting or job.uid in self.unresponsive:
            return False
        last = find_last_start(job)
        return last is None or self.now.engine < last

    def count_used(self, queue: str) -> int:
        """Return how many slots a queue holds."""
        found, busy = self.index.queues.get(queue), self.busy.get(queue)
        return (0 if found is None else found.active) + (0 if busy is None else busy.total())

    def find_prompt(self) -> set[str]:
        """Return the jobs whose starts are in flight and take no longer than they should."""
        now = self.now.steady
        return {uid for uid, start in self.starting.items() if now < start.since + OVERDUE}


def set_scene(
    index: JobIndex, policy: Policy, ledger: Ledger, now: Moment, unresponsive: Collection[str]
) -> Scene:
    """Return what a plan at ``now`` is made of."""
    return Scene(
        index,
        policy,
        ledger,
        now,
        unresponsive,
        count_used(index, ledger),
        ledger.in_flight[ActionKind.START],
        ledger.failures.find_doubts(index.kinds),
        count_busy(index, ledger),
    )


def count_used(index: JobIndex, ledger: Ledger) -> int:
    """Return how many slots are held: by active jobs and by starts in flight."""
    starting = ledger.in_flight[ActionKind.START]
    return len(index.active) + sum(1 for uid in starting if uid not in index.active)


def count_busy(index: JobIndex, ledger: Ledger) -> dict[str, Counter[str]]:
    """Return the starts in flight of jobs not seen active yet, by queue and share."""
    busy: dict[str, Counter[str]] = {}
    for uid in ledger.in_flight[ActionKind.START]:
        job = index.jobs.get(uid)
        if job is not None and not job.is_active:
            wishes = job.spec.wishes
            busy.setdefault(wishes.queue, Counter())[wishes.share] += 1
    return busy


def find_retries(scene: Scene, attempts: Iterable[Attempt]) -> Iterator[Turn]:
    """Yield those of the failed starts whose jobs still wait, each with its place."""
    for attempt in attempts:
        job = scene.index.jobs.get(attempt.uid)
        if job is not None and scene.index.is_waiting(job):
            due = None if attempt.keeps_place else scene.now.translate(attempt.due)
            yield place(job, due), job, attempt
