"""Metrics of the engine that both processes have, and the text form of all metrics."""

from collections.abc import Iterable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.engine.instrumented import Call, Outcome
from api.informer.informer import Informer
from api.informer.resync import ReadKind

# The library's *_created series would double the number of series and say nothing new.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own gap

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds, from an inspect to a call's usual deadline."""


class EngineCalls:
    """Counts and times calls to the engine; ``take`` is the hook of ``InstrumentedEngine``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "dispatcher_engine_calls",
            "Calls to the engine, by kind and outcome.",
            ["call", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "dispatcher_engine_call_duration_seconds",
            "Time of a call to the engine, short retries included.",
            ["call"],
            buckets=BUCKETS,
            registry=registry,
        )
        for call in Call:
            self._calls.labels(call, Outcome.OK)
        # cached, because the library builds strings of the labels at every call
        self._count = cache(self._calls.labels)
        self._time = cache(self._seconds.labels)

    def take(self, call: Call, outcome: Outcome, seconds: float) -> None:
        """Count a call that ended."""
        self._count(call, outcome).inc()
        self._time(call).observe(seconds)


class InformerState(Collector):
    """Whether the engine answers and how often it was read, taken from ``informer`` at a scrape."""

    def __init__(self, informer: Informer) -> None:
        self._informer = informer

    def describe(self) -> Iterable[Metric]:
        """Return nothing: metrics are made at a scrape only."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield whether the engine answers, how often it was read, and what could not be."""
        yield GaugeMetricFamily(
            "dispatcher_engine_up",
            "Whether the engine answers.",
            value=float(self._informer.engine_status.is_up),
        )
        readings = CounterMetricFamily(
            "dispatcher_rereads", "Readings of the engine's state, by kind.", labels=["kind"]
        )
        for reading in ReadKind:
            if reading is not ReadKind.NOTHING:
                readings.add_metric([reading.value], self._informer.readings[reading])
        yield readings
        yield CounterMetricFamily(
            "dispatcher_unreadable_events",
            "Events skipped because they cannot be read.",
            value=self._informer.watch.unreadable,
        )


def expose(registry: CollectorRegistry, accept: str | None) -> tuple[bytes, str]:
    """Return the metrics' text and its content type for an ``Accept`` header."""
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type
