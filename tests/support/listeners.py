"""Listeners of an informer for tests that look at its store alone."""

from api.v1.job import Job


class Nobody:
    """Listens to nothing."""

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Do nothing."""

    def on_resync(self) -> None:
        """Do nothing."""
