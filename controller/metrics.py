"""The controller's metrics: counters of what it did, gauges read off its state at each scrape."""

import time
from collections import Counter as PhaseCounts
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.runtime.metrics import BUCKETS, EngineCalls, InformerState
from api.v1.condition import derive_condition
from api.v1.job import Phase
from controller.executor import Result
from controller.holders import find_longest
from controller.instrumentation import MetricsHooks
from controller.leadership import Role
from controller.plan import ActionKind
from controller.planner import count_used
from controller.reconciler import Reconciler


class Metrics(MetricsHooks):
    """Keeps ``registry`` by what the reconciler reports; every label is of a closed set."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        settings: Any = {"registry": self.registry, "namespace": "dispatcher"}
        self._actions = {kind: _count_actions(kind, **settings) for kind in ActionKind}
        self._start_seconds = Histogram(
            "start_seconds",
            "Time of one start with the inspect before it.",
            buckets=BUCKETS,
            **settings,
        )
        self._handover_seconds = Histogram(
            "handover_seconds",
            "Time from hearing that a job ended to sending the start that took its slot.",
            buckets=BUCKETS,
            **settings,
        )
        self._lost = Counter("jobs_lost", "Jobs that were removed before they ran.", **settings)
        self._foreign = Counter(
            "foreign_starts", "Starts of jobs that this process did not order.", **settings
        )
        self._last_pass = Gauge(
            "last_pass_timestamp_seconds", "When the last pass succeeded.", **settings
        )
        self.last_pass: float | None = None
        """When the last pass succeeded, in seconds since the epoch."""
        self.on_call = EngineCalls(self.registry).take

    def watch(self, reconciler: Reconciler) -> None:
        """Read the state of ``reconciler`` at every scrape."""
        self.registry.register(_State(reconciler))
        self.registry.register(InformerState(reconciler.informer))

    def on_pass(self) -> None:
        """Keep the time."""
        self.last_pass = time.time()
        self._last_pass.set(self.last_pass)

    def on_action(self, kind: ActionKind, result: Result, seconds: float) -> None:
        """Count an action; keep the time of a start."""
        self._actions[kind].labels(result.value).inc()
        if kind is ActionKind.START:
            self._start_seconds.observe(seconds)

    def on_handover(self, seconds: float) -> None:
        """Keep the time of a hand-over."""
        self._handover_seconds.observe(seconds)

    def on_lost(self) -> None:
        """Count a lost job."""
        self._lost.inc()

    def on_foreign_start(self) -> None:
        """Count a start by someone else."""
        self._foreign.inc()


def _count_actions(kind: ActionKind, **settings: Any) -> Counter:
    """Return the counter of one kind, each series at 0.

    Prometheus shows no rate for a counter that first appears as 1.
    """
    text = f"{kind.plural.capitalize()} ordered, by result."
    counter = Counter(kind.plural, text, ["result"], **settings)
    for result in Result:
        counter.labels(result.value)
    return counter


class _State(Collector):
    """Gauges of what the reconciler knows now."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: the state is read at a scrape only."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every gauge."""
        reconciler = self._reconciler
        index, ledger = reconciler.index, reconciler.ledger
        start = ActionKind.START
        silent = reconciler.informer.unresponsive
        jobs = GaugeMetricFamily("dispatcher_jobs", "Jobs by phase.", labels=["phase"])
        phases = PhaseCounts(derive_condition(job).phase for job in index.jobs.values())
        for phase in Phase:
            jobs.add_metric([phase.value], phases[phase])
        yield jobs
        role = GaugeMetricFamily("dispatcher_role", "1 for the present role.", labels=["role"])
        for each in Role:
            role.add_metric([each.value], float(each is reconciler.role))
        yield role
        limit = reconciler.policy.max_concurrent
        oldest = next(index.untried, None)
        now = reconciler.now().engine
        age = 0.0 if oldest is None else (now - oldest.order) / 1e9
        for name, text, value in (
            ("slots_used", "Slots held by active jobs and starts.", count_used(index, ledger)),
            (
                "slots_allowed",
                "Slots that the limit allows.",
                float("inf") if limit is None else limit,
            ),
            ("queue_length", "Jobs that wait for their first start.", index.pending),
            (
                "longest_running_seconds",
                "How long the active job has run that has run the longest.",
                find_longest(index, now),
            ),
            ("oldest_pending_seconds", "Age of the oldest job never tried.", max(age, 0.0)),
            (
                "backing_off",
                "Jobs that could not start and wait to be tried again.",
                len(ledger.attempts[start]),
            ),
            ("starts_in_flight", "Starts that are not over.", len(ledger.in_flight[start])),
            ("silent", "Containers that the engine does not answer for.", len(silent)),
        ):
            yield GaugeMetricFamily(f"dispatcher_{name}", text, value=float(value))
