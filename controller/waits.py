"""Says why each job waits, and where it stands in its queue."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from api.v1.job import Job
from api.v1.times import format_time
from controller.endings import count_attempt
from controller.ledger import Attempt
from controller.place import Place, place
from controller.plan import ActionKind, Start, Wait, WaitReason
from controller.scene import Scene, Turn, find_retries

_Cause = tuple[WaitReason, str]
_UNDER_WAY: Final = "its start is under way"


def explain_waits(scene: Scene, starts: tuple[Start, ...], most: int) -> tuple[Wait, ...]:
    """Return why jobs wait that are not in ``starts``: the first of each queue, then the second."""
    view = _View(scene, len(starts), Counter(start.queue for start in starts))
    chosen = {start.uid for start in starts}
    retries: dict[str, list[Turn]] = {}
    for turn in find_retries(scene, scene.ledger.attempts[ActionKind.START]):
        retries.setdefault(turn[1].spec.wishes.queue, []).append(turn)
    names = sorted(name for name, queue in scene.index.queues.items() if queue.pending)
    lines = [view.explain_line(name, retries.get(name, []), chosen) for name in names]
    ranked = heapq.merge(*lines, key=lambda wait: (wait.position or 0, wait.queue))
    return (*view.find_cancelling(), *islice(ranked, most))


def explain_job(scene: Scene, starts: tuple[Start, ...], job: Job) -> Wait | None:
    """Return why one job waits, ``None`` if it does not; without a look at all the others."""
    view = _View(scene, len(starts), Counter(start.queue for start in starts))
    if not scene.index.is_waiting(job):
        return next((wait for wait in view.find_cancelling() if wait.uid == job.uid), None)
    if any(start.uid == job.uid for start in starts):
        return Wait(job.uid, job.id, "it is started", WaitReason.TURN, job.spec.wishes.queue)
    attempt = scene.ledger.attempts[ActionKind.START].get(job.uid)
    return view.explain(job, attempt, view.count_ahead(job, attempt))


@dataclass(frozen=True, slots=True)
class _View:
    """A scene with the ``starts`` that are being sent; ``sent`` has them by queue."""

    scene: Scene
    starts: int
    sent: Mapping[str, int]

    def find_cancelling(self) -> Iterator[Wait]:
        """Yield the jobs whose cancel came while their start was under way."""
        for uid in self.scene.starting:
            job = self.scene.index.jobs.get(uid)
            if job is not None and job.is_pending and job.mark is not None:
                text = f"{_UNDER_WAY}, then it is stopped: it was cancelled"
                yield Wait(uid, job.id, text, WaitReason.CANCELLING, job.spec.wishes.queue)

    def explain_line(self, name: str, retries: list[Turn], chosen: set[str]) -> Iterator[Wait]:
        """Yield the jobs of a queue that wait, in the order in which they start as things are."""
        attempts = {job.uid: attempt for _, job, attempt in retries}
        further: list[tuple[Place, Job]] = [(where, job) for where, job, _ in retries]
        line = self.scene.index.queues[name].iterate(
            self.scene.busy.get(name, {}), may_start=lambda _: True, further=further
        )
        waiting = (head.job for head in line if head.job.uid not in chosen)
        for ahead, job in enumerate(waiting):
            yield self.explain(job, attempts.get(job.uid), ahead)

    def count_ahead(self, job: Job, attempt: Attempt | None) -> int:
        """Return how many jobs of its queue stand before a job, as far as lengths of lines tell."""
        name, priority = job.spec.wishes.queue, job.spec.wishes.priority
        own = find_retries(self.scene, [] if attempt is None else [attempt])
        where = next((turn[0] for turn in own), place(job))
        queue = self.scene.index.queues[name]
        ahead = queue.count_ahead(job, where, self.scene.busy.get(name, {}))
        retries = find_retries(self.scene, self.scene.ledger.attempts[ActionKind.START])
        others = ((at, other.spec.wishes) for at, other, _ in retries if other is not job)
        ahead += sum(
            wishes.queue == name and (-wishes.priority, at) < (-priority, where)
            for at, wishes in others
        )
        return max(ahead - self.sent.get(name, 0), 0)

    def explain(self, job: Job, attempt: Attempt | None, ahead: int) -> Wait:
        """Return why a job waits behind ``ahead`` others of its queue."""
        queue = job.spec.wishes.queue
        reason, text = self._find_cause(job, attempt, ahead)
        now = self.scene.now
        is_late = attempt is None or attempt.due <= now.steady
        until = None if attempt is None or is_late else now.translate(attempt.due)
        return Wait(job.uid, job.id, text, reason, queue, ahead + 1, until)

    def _find_cause(self, job: Job, attempt: Attempt | None, ahead: int) -> _Cause:
        scene = self.scene
        if job.uid in scene.starting:
            return WaitReason.TURN, _UNDER_WAY
        if job.uid in scene.unresponsive:
            return WaitReason.ENGINE_DOWN, "the engine does not answer for it"
        if attempt is not None and attempt.is_unmade:
            return WaitReason.TURN, "the engine is still creating it"
        if attempt is not None and attempt.due > scene.now.steady:
            clock = (format_time(scene.now.translate(attempt.due)) or "")[11:19]
            number = count_attempt(attempt)
            text = f"StartError, next attempt at {clock} (attempt {number}): {attempt.message}"
            return WaitReason.START_ERROR, text
        reason, text = self._find_place(job, attempt, ahead)
        if attempt is None:
            return reason, text
        text = f"StartError, attempt {count_attempt(attempt)} is due: {text}"
        return WaitReason.START_ERROR, text

    def _find_place(self, job: Job, attempt: Attempt | None, ahead: int) -> _Cause:
        """Return what keeps a job that could be started from it."""
        scene = self.scene
        queue = scene.policy.get_queue(job.spec.wishes.queue)
        limit, used = scene.policy.max_concurrent, scene.used + self.starts
        own = scene.count_used(queue.name) + self.sent.get(queue.name, 0)
        is_full = limit is not None and used >= limit
        if queue.paused:
            return WaitReason.QUEUE_PAUSED, f"queue {queue.name} is paused, {ahead} ahead of it"
        if queue.max_concurrent is not None and own >= queue.max_concurrent:
            text = f"queue {queue.name} is full ({own} of {queue.max_concurrent} used)"
            return WaitReason.QUEUE_CAP, f"{text}, {ahead} ahead of it"
        if limit == 0:
            return WaitReason.NO_SLOT, "max-concurrent is 0: nothing is started"
        if attempt is None and job.likeness in scene.doubted:
            reason = WaitReason.NO_SLOT if is_full else WaitReason.TURN
            return reason, f"{scene.doubted[job.likeness]}: it is tried between others"
        if is_full:
            text = f"no free slot ({used} of {limit} used), {ahead} ahead of it"
            return WaitReason.NO_SLOT, text
        under_way = self.starts + len(scene.starting)
        text = f"its turn comes ({under_way} starts under way), {ahead} ahead of it"
        return WaitReason.TURN, text
