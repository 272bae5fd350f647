"""How many jobs wait, and whether one more may: a limit for all, and a share of it for a token."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.server.clients import CLIENT
from api.server.http.errors import RETRY_AFTER
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.v1.job import Job, Phase


class Backlog:
    """Counts the jobs that wait by the owner in their labels, as the index tells their phases.

    At most ``most`` may wait, and of one token half of them where several may post.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        """Those whose posts are in work: together they must not exceed what each may."""

    @property
    def size(self) -> int:
        """How many jobs wait."""
        return self._waiting.total()

    def on_phase(self, job: Job, before: Phase | None, after: Phase | None) -> None:
        """Count one job whose phase has changed."""
        owner = job.spec.owner
        self._waiting[owner] += (after is Phase.PENDING) - (before is Phase.PENDING)
        if not self._waiting[owner]:
            del self._waiting[owner]

    def find_lack(self) -> Problem | None:
        """Return why the present client may have no further job wait, or None if it may."""
        client = CLIENT.get()
        if self.size + self._coming.total() >= self._most:
            return _refuse(f"{self._most} jobs wait, and no more may")
        share = max(1, self._most // 2)
        if client is None or client.is_sole or not client.owner:
            return None
        if self._waiting[client.owner] + self._coming[client.owner] >= share:
            return _refuse(f"{share} jobs of this token wait, which is its share")
        return None

    @contextmanager
    def hold_place(self) -> Iterator[Problem | None]:
        """Yield why there is no place for a job, or None and keep it while the block runs."""
        if (lack := self.find_lack()) is not None:
            yield lack
            return
        owner = read_owner()
        self._coming[owner] += 1
        try:
            yield None
        finally:
            self._coming[owner] -= 1
            if not self._coming[owner]:
                del self._coming[owner]


def read_owner() -> str:
    """Return the owner of what the present request records; empty where there are no tokens."""
    client = CLIENT.get()
    return client.owner if client is not None else ""


def _refuse(why: str) -> Problem:
    message = f"{why}; try again when some have started"
    return Problem(429, ProblemReason.QUEUE_FULL, message, headers=RETRY_AFTER)
