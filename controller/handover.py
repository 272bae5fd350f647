"""The stopwatch of a hand-over: from hearing that a job ended to the start that takes its slot."""

from collections import deque


class HandoverStopwatch:
    """Remembers since when slots are free; all times are seconds of a steady clock."""

    def __init__(self) -> None:
        self._ended: dict[str, float] = {}
        self._free_since: deque[float] = deque()

    def note_end(self, uid: str, now: float) -> None:
        """Remember when a job was heard to end: that it freed its slot may be read later."""
        self._ended[uid] = now

    def forget(self, uid: str) -> None:
        """Drop the end of a container that is gone."""
        self._ended.pop(uid, None)

    def free(self, uid: str, now: float, *, counts: bool) -> None:
        """Note that a job's slot is free; it is timed only if it ``counts``."""
        since = self._ended.pop(uid, now)
        if counts:
            self._free_since.append(since)

    def fill(self, starts: int, now: float) -> list[float]:
        """Return how long each slot was free that one of ``starts`` new starts takes.

        Slots that a plan without a start leaves free wait for a job, not for this process: they
        are not timed.
        """
        if not starts:
            self._free_since.clear()
        count = min(starts, len(self._free_since))
        return [now - self._free_since.popleft() for _ in range(count)]
