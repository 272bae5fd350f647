"""How soon a request begins: beside others, a client with many at once begins one after the other.

Without it, whoever keeps hundreds of connections busy has this process's time: each answer to
another client would wait for as many of its requests.
"""

from collections import Counter
from typing import Final

FEW: Final = 4
"""Requests that a client may have at once and not be slowed."""
STEP: Final = 0.004
"""Seconds between the beginnings of two requests beyond that: more than an engine creates jobs."""
RECENT: Final = 1.0
"""Seconds for which a client that has asked is one of the others."""


class Pace:
    """What each client has under way, and when its next request may begin; times are a loop's."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()
        self._next: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        """When each client asked last, the longest ago first."""

    def enter(self, client: str, now: float) -> float:
        """Note a request of ``client``; return the seconds it has to wait before it begins."""
        self._busy[client] += 1
        self._seen.pop(client, None)
        while self._seen and (oldest := next(iter(self._seen.items())))[1] <= now - RECENT:
            del self._seen[oldest[0]]
        is_alone = not self._seen
        self._seen[client] = now
        if is_alone or self._busy[client] <= FEW:
            return 0.0
        begins = max(now, self._next.get(client, now)) + STEP
        self._next[client] = begins
        return begins - now

    def leave(self, client: str) -> None:
        """Note that a request of ``client`` is over."""
        self._busy[client] -= 1
        if not self._busy[client]:
            del self._busy[client]
            self._next.pop(client, None)
