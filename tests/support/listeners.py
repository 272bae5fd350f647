"""Listeners of an informer for tests that look at its store alone."""

from api.informer.merge import Observed


class Nobody:
    """Listens to nothing."""

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Do nothing."""

    def on_resync(self) -> None:
        """Do nothing."""
