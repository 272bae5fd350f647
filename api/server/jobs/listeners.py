"""Tells several listeners of the informer's store what one is told."""

from api.informer.listener import Listener
from api.v1.job import Job


class Listeners:
    """All of ``listeners``, told in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Tell each of one job's change."""
        for listener in self._listeners:
            listener.on_change(old, new)

    def on_resync(self) -> None:
        """Have each look at everything again."""
        for listener in self._listeners:
            listener.on_resync()
