"""The controller's metrics: counters of what it did, gauges read off its state at each scrape."""

import time
from collections import Counter as PhaseCounts
from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.runtime.metrics import BUCKETS, EngineCalls, InformerState
from api.v1.condition import Cause, derive_condition
from api.v1.job import Phase
from controller.holders import find_longest
from controller.instrumentation import CancelOutcome, MetricsHooks
from controller.leadership import Role
from controller.outcome import Result
from controller.plan import ActionKind
from controller.queue_metrics import QueueState
from controller.reconciler import Reconciler
from controller.scene import count_used

_DEADLINES: Final = (Cause.START_BY, Cause.RUN_FOR)


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
        self._rejections = Counter(
            "rejections", "Starts that were ordered and that no node carried out.", **settings
        )
        self._node_losses = Counter(
            "node_losses", "Jobs whose node was lost while they ran.", **settings
        )
        self._lost = Counter("jobs_lost", "Jobs that were removed before they ran.", **settings)
        self._foreign = Counter(
            "foreign_starts", "Starts of jobs that this process did not order.", **settings
        )
        self._cancel_ends = Counter(
            "cancel_ends", "Cancels by what they came to.", ["outcome"], **settings
        )
        for outcome in CancelOutcome:
            self._cancel_ends.labels(outcome.value)
        self._deadlines = Counter(
            "deadline_ends", "Jobs whose time was up, by what it was for.", ["deadline"], **settings
        )
        for cause in _DEADLINES:
            self._deadlines.labels(cause.value)
        self._queues_generation = Gauge(
            "queues_generation", "Number of the queue configs that serve, from 1.", **settings
        )
        self._queues_refused = Gauge(
            "queues_refused",
            "1 while the newest queue configs are refused and older ones serve.",
            **settings,
        )
        self._queues_generation.set(1)
        self._last_pass = Gauge(
            "last_pass_timestamp_seconds", "When the last pass succeeded.", **settings
        )
        self.last_pass: float | None = None
        """When the last pass succeeded, in seconds since the epoch."""
        self.on_call = EngineCalls(self.registry).take

    def watch(self, reconciler: Reconciler) -> None:
        """Read the state of ``reconciler`` at every scrape."""
        self.registry.register(_State(reconciler))
        self.registry.register(QueueState(reconciler))
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

    def on_rejection(self) -> None:
        """Count a start that no node carried out."""
        self._rejections.inc()

    def on_node_loss(self) -> None:
        """Count a job whose node was lost."""
        self._node_losses.inc()

    def on_lost(self) -> None:
        """Count a lost job."""
        self._lost.inc()

    def on_foreign_start(self) -> None:
        """Count a start by someone else."""
        self._foreign.inc()

    def on_queues(self, generation: int, error: str | None) -> None:
        """Show which queue configs serve."""
        self._queues_generation.set(generation)
        self._queues_refused.set(error is not None)

    def on_cancel(self, outcome: CancelOutcome) -> None:
        """Count a cancel."""
        self._cancel_ends.labels(outcome.value).inc()

    def on_deadline(self, cause: Cause) -> None:
        """Count a deadline that was reached."""
        self._deadlines.labels(cause.value).inc()


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
        # what failed before and was told to start again is remembered until a node has
        scheduling = [uid for uid, job in index.active.items() if job.is_to_run]
        tried = sum(uid in ledger.attempts[start] for uid in scheduling)
        silent = reconciler.informer.unresponsive
        jobs = GaugeMetricFamily("dispatcher_jobs", "Jobs by phase.", labels=["phase"])
        now = reconciler.now().engine
        phases = PhaseCounts(derive_condition(job, now).phase for job in index.jobs.values())
        for phase in Phase:
            jobs.add_metric([phase.value], phases[phase])
        yield jobs
        role = GaugeMetricFamily("dispatcher_role", "1 for the present role.", labels=["role"])
        for each in Role:
            role.add_metric([each.value], float(each is reconciler.role))
        yield role
        limit = reconciler.policy.max_concurrent
        ages = (queue.find_age(now) for queue in index.queues.values())
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
                find_longest(index.active, now),
            ),
            (
                "oldest_pending_seconds",
                "Age of the oldest job never tried.",
                max(ages, default=0.0),
            ),
            (
                "backing_off",
                "Jobs that could not start and wait to be tried again.",
                len(ledger.attempts[start]) - tried,
            ),
            (
                "scheduling",
                "Jobs that hold a slot and that no node has started yet.",
                len(scheduling),
            ),
            ("starts_in_flight", "Starts that are not over.", len(ledger.in_flight[start])),
            ("silent", "Containers that the engine does not answer for.", len(silent)),
            (
                "stops_failing",
                "Jobs that could not be stopped and wait for another stop.",
                len(ledger.attempts[ActionKind.STOP]),
            ),
        ):
            yield GaugeMetricFamily(f"dispatcher_{name}", text, value=float(value))
