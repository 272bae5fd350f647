"""What the filters report while they work, for metrics to be fed from."""

from typing import Protocol

from api.server.filters.workers.pool import Cause


class Observer(Protocol):
    """Receives what happens; every method must return at once."""

    def on_render(self, filter_name: str, outcome: str, seconds: float) -> None:
        """Note a rendering; ``outcome`` is ``Rendered`` or the refusal's reason."""

    def on_reload(self, generation: int, error: str | None) -> None:
        """Note that a change was taken up (no ``error``) or refused, and what serves now."""

    def on_replaced(self, cause: Cause) -> None:
        """Note that a worker was given up."""


class Silent:
    """An observer that listens to nothing."""

    def on_render(self, filter_name: str, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def on_reload(self, generation: int, error: str | None) -> None:
        """Do nothing."""

    def on_replaced(self, cause: Cause) -> None:
        """Do nothing."""
