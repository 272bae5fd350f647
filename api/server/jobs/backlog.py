"""How many jobs wait, and whether one more may: a limit for all, and a share of it for a token."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.server.clients import CLIENT
from api.server.http.errors import RETRY_AFTER
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.jobs.queues import Queues
from api.v1.job import Job, Phase
from api.v1.wishes import DEFAULT_QUEUE


class Backlog:
    """Counts the jobs that wait by owner and by queue, as the index tells their phases.

    At most ``most`` may wait, of one token half of them where several may post, and of a queue as
    many as its config says.
    """

    def __init__(self, most: int, queues: Queues) -> None:
        self._most = most
        self._queues = queues
        self._of_queue: Counter[str] = Counter()
        self._coming_to: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        """Those whose posts are in work: together they must not exceed what each may."""

    @property
    def size(self) -> int:
        """How many jobs wait."""
        return self._waiting.total()

    def on_phase(self, job: Job, before: Phase | None, after: Phase | None) -> None:
        """Count one job whose phase has changed."""
        step = (after is Phase.PENDING) - (before is Phase.PENDING)
        _add(self._waiting, job.spec.owner, step)
        _add(self._of_queue, job.spec.wishes.queue, step)

    def find_lack(self, queue: str = DEFAULT_QUEUE) -> Problem | None:
        """Return why the present client may have no further job wait there, or None if it may."""
        client = CLIENT.get()
        if self.size + self._coming.total() >= self._most:
            return _refuse(f"{self._most} jobs wait, and no more may")
        limit = self._queues.find(queue).max_pending
        if limit is not None and self._of_queue[queue] + self._coming_to[queue] >= limit:
            return _refuse(f"{limit} jobs of the queue {queue} wait, and no more may")
        share = max(1, self._most // 2)
        if client is None or client.is_sole or not client.owner:
            return None
        if self._waiting[client.owner] + self._coming[client.owner] >= share:
            return _refuse(f"{share} jobs of this token wait, which is its share")
        return None

    @contextmanager
    def hold_place(self, queue: str = DEFAULT_QUEUE) -> Iterator[Problem | None]:
        """Yield why there is no place for a job, or None and keep it while the block runs."""
        if (lack := self.find_lack(queue)) is not None:
            yield lack
            return
        owner = read_owner()
        _add(self._coming, owner, 1)
        _add(self._coming_to, queue, 1)
        try:
            yield None
        finally:
            _add(self._coming, owner, -1)
            _add(self._coming_to, queue, -1)


def _add(counts: Counter[str], key: str, step: int) -> None:
    counts[key] += step
    if not counts[key]:
        del counts[key]


def read_owner() -> str:
    """Return the owner of what the present request records; empty where there are no tokens."""
    client = CLIENT.get()
    return client.owner if client is not None else ""


def _refuse(why: str) -> Problem:
    message = f"{why}; try again when some have started"
    return Problem(429, ProblemReason.QUEUE_FULL, message, headers=RETRY_AFTER)
