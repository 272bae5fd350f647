"""A process's metrics as text: OpenMetrics where the scraper asks for it."""

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

# A *_created series beside each counter doubles their number and tells nothing new.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own gap


def expose(registry: CollectorRegistry, accept: str | None) -> tuple[bytes, str]:
    """Return the metrics' text and its content type for an ``Accept`` header."""
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type
