"""The places of requests that last: whoever waits for a job, or follows events or a log."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.server.clients import CLIENT, Client, has_room
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason


class Watchers:
    """At most ``most`` such requests, of one client among others half; they hold no other place.

    Who comes later may exceed ``most``, up to seven eighths of ``connections``: each holds one as
    long as it lasts, and where all are held nobody else is served. ``on_change`` is told of each
    kind and how many of it there are.
    """

    def __init__(self, most: int, connections: int, on_change: Callable[[str, int], None]) -> None:
        self._most = most
        self._ceiling = connections - max(1, connections // 8)
        self._on_change = on_change
        self._held: Counter[Client | None] = Counter()
        self._kinds: Counter[str] = Counter()

    @contextmanager
    def hold(self, kind: str) -> Iterator[None]:
        """Hold a place while the block runs. Raises ``Problem`` 429 ``TooManyWatchers``."""
        client = CLIENT.get()
        is_full = self._held.total() >= self._ceiling
        if is_full or not has_room(client, self._held, self._most):
            message = "too many requests are waiting for jobs or following them"
            headers = {"Retry-After": "5"}
            raise Problem(429, ProblemReason.TOO_MANY_WATCHERS, message, headers=headers)
        self._held[client] += 1
        self._count(kind, 1)
        try:
            yield
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
            self._count(kind, -1)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no such request."""
        return not self._held

    def count(self, kind: str) -> int:
        """Return how many of a kind there are."""
        return self._kinds[kind]

    def _count(self, kind: str, step: int) -> None:
        self._kinds[kind] += step
        self._on_change(kind, self._kinds[kind])
