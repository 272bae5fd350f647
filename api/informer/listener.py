"""What is told of every change of a store."""

from typing import Protocol

from api.v1.job import Job


class Listener(Protocol):
    """Told of every change, synchronously, in the order in which it became known."""

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Receive one job's change; ``None`` stands for "not there"."""

    def on_resync(self) -> None:
        """Look at everything again: a tick has passed, or the engine was lost or found."""
