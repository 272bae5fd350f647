"""What the filters report while they work; metrics are fed from it."""

from api.server.filters.workers.pool import Cause


class FilterHooks:
    """Receives what happens; each method must return at once, and here does nothing."""

    def on_render(self, filter_name: str, outcome: str, seconds: float) -> None:
        """Note a rendering; ``outcome`` is ``Rendered`` or the refusal's reason."""

    def on_reload(self, generation: int, error: str | None) -> None:
        """Note that new configs serve (``error`` is None) or were refused, and what serves now."""

    def on_replaced(self, cause: Cause) -> None:
        """Note that a worker was given up."""
