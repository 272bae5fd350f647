"""When the condition of each job was derived that time can change, and when it will."""

from collections.abc import Callable

from sortedcontainers import SortedList

from api.v1.condition import find_change, is_steered
from api.v1.job import Job


class Ages:
    """Engine times (ns) by uid; of jobs that nobody steers, which are most, nothing is kept."""

    def __init__(self) -> None:
        self._judged: dict[str, int] = {}
        self._moments: dict[str, int] = {}
        self._due: SortedList[tuple[int, str]] = SortedList()

    def get(self, uid: str) -> int:
        """Return when the condition of a job was last derived; 0 where time does not matter."""
        return self._judged.get(uid, 0)

    def renew(self, uid: str, job: Job | None, now: Callable[[], int]) -> int:
        """Note that the condition of ``job`` is derived now, and return that time."""
        if (moment := self._moments.pop(uid, None)) is not None:
            self._due.remove((moment, uid))
        if job is None or not is_steered(job):
            self._judged.pop(uid, None)
            return 0
        at = self._judged[uid] = now()
        if (moment := find_change(job, at)) is not None:
            self._moments[uid] = moment
            self._due.add((moment, uid))
        return at

    def find_due(self, now: int) -> list[str]:
        """Return the jobs whose condition has changed by ``now``, by time alone."""
        return [uid for _, uid in self._due.irange(maximum=(now, "g"))]
