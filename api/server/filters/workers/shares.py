"""How many workers of a pool one client may occupy, and who comes before whom.

Alone, a client may have them all. Beside others it has half of the workers at most, and half of
the places for slow runs; whoever had a worker given up is behind all who had not, and takes one
worker after the other.
"""

from collections import Counter
from collections.abc import Collection
from typing import Final, Protocol

from api.server.clients import Client, has_room
from api.server.filters.workers.limits import FilterLimits

MEMORY: Final = 10.0
"""Seconds for which a worker given up is held against its client."""


class Run(Protocol):
    """A call in a worker's hands."""

    client: Client | None
    slow: bool
    failure: Exception | None
    """Why its worker was given up; it is answered a little later."""


class Shares:
    """Decides by the runs at work. The client None, as in a check of configs, has no bounds."""

    def __init__(self, limits: FilterLimits) -> None:
        self._most = (limits.size + 1) // 2
        self._most_slow = limits.most_slow
        self._offences: dict[Client, float] = {}

    def note_offence(self, client: Client | None, now: float) -> None:
        """Record that ``client`` had a worker given up."""
        self._offences = {c: t for c, t in self._offences.items() if now < t + MEMORY}
        if client is not None:
            self._offences[client] = now

    def may_begin(self, client: Client | None, runs: Collection[Run], now: float) -> bool:
        """Tell whether ``client`` has given no offence and has less than its share."""
        if client is None or client.is_alone:
            return True
        fast = sum(run.client == client and not run.slow for run in runs)
        return not self._is_offender(client, now) and fast < self._most

    def may_follow(self, client: Client | None, runs: Collection[Run], now: float) -> bool:
        """Tell whether ``client`` gave offence and has nothing at work but what is slow."""
        return self._is_offender(client, now) and not any(
            run.client == client and (not run.slow or run.failure is not None) for run in runs
        )

    def may_be_slow(self, client: Client | None, runs: Collection[Run]) -> bool:
        """Tell whether one more run of ``client`` may be slow."""
        slow = Counter(run.client for run in runs if run.slow)
        return has_room(client, slow, self._most_slow)

    def _is_offender(self, client: Client | None, now: float) -> bool:
        return client is not None and now < self._offences.get(client, -MEMORY) + MEMORY
