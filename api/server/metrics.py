"""The metrics of the API process; every label comes from a closed set."""

from functools import cache
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from api.informer.informer import Informer
from api.runtime.metrics import BUCKETS, EngineCalls, InformerState
from api.server.filters.hooks import FilterHooks
from api.server.filters.workers.pool import Cause
from api.v1.labels import DEFAULT_NAMESPACE

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WATCHERS = ("wait", "events", "log")
_CANCEL_OUTCOMES = ("recorded", "known", "over", "failed")
_CREATE_OUTCOMES = ("created", "refused", "ambiguous", "unavailable")

# what is counted of a job, in the words of the original dispatcher's counter
CREATE: Final = "create"
START: Final = "start"
DIE: Final = "die"


class ApiMetrics(FilterHooks):
    """One registry; the ``on_…`` methods take in what happens, ``FilterHooks`` included."""

    def __init__(self, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.registry = CollectorRegistry()
        self._namespace = namespace
        # The one counter of the original dispatcher, under its name.
        self._jobs = Counter(
            "jobs",
            "What happened to jobs: create, start, and die with the exit code as status.",
            ["namespace", "action", "status"],
            registry=self.registry,
        )
        for action in (CREATE, START):
            self._jobs.labels(namespace, action, "")
        self._lost = Counter(
            "dispatcher_jobs_lost", "Jobs removed before they ran.", registry=self.registry
        )
        self._queue_full = Counter(
            "dispatcher_queue_full",
            "Documents refused because too many jobs wait.",
            registry=self.registry,
        )
        self._cancels = Counter(
            "dispatcher_cancels",
            "Cancels of jobs that were asked for: recorded, known, over or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self._watchers = Gauge(
            "dispatcher_watchers",
            "Requests that wait for a job, or read events or a log.",
            ["kind"],
            registry=self.registry,
        )
        self._coalesced = Counter(
            "dispatcher_events_coalesced",
            "Changes that slow readers of events were not told of: later ones replaced them.",
            registry=self.registry,
        )
        self._requests = Counter(
            "dispatcher_http_requests",
            "Requests answered, by route pattern and status code.",
            ["method", "route", "code"],
            registry=self.registry,
        )
        self._renders = Histogram(
            "dispatcher_filter_duration_seconds",
            "Time from a document to its manifest, waiting for a worker included.",
            ["outcome"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._creates = Histogram(
            "dispatcher_create_duration_seconds",
            "Time of the engine's create call: created, refused, ambiguous or unavailable.",
            ["outcome"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._pulls = Histogram(
            "dispatcher_pull_duration_seconds",
            "Time of a pull, however many requests waited for it, by outcome.",
            ["outcome"],
            buckets=(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
            registry=self.registry,
        )
        self._generation = Gauge(
            "dispatcher_filter_generation",
            "Number of the filter configs that serve, counted from 1 at start.",
            registry=self.registry,
        )
        self._refused = Gauge(
            "dispatcher_filter_config_refused",
            "1 while the newest filter configs are refused and older ones serve.",
            registry=self.registry,
        )
        self._queues_generation = Gauge(
            "dispatcher_queues_generation",
            "Number of the queue configs that serve, counted from 1 at start.",
            registry=self.registry,
        )
        self._queues_refused = Gauge(
            "dispatcher_queues_refused",
            "1 while the newest queue configs are refused and older ones serve.",
            registry=self.registry,
        )
        self._replaced = Counter(
            "dispatcher_filter_workers_replaced",
            "Filter workers given up, by cause.",
            ["cause"],
            registry=self.registry,
        )
        self._generation.set(1)
        self._queues_generation.set(1)
        for kind in _WATCHERS:
            self._watchers.labels(kind)
        # Create each series at 0: Prometheus shows no rate for one that first appears as 1.
        for cause in get_args(Cause):
            self._replaced.labels(cause)
        for outcome in _CREATE_OUTCOMES:
            self._creates.labels(outcome)
        for outcome in _CANCEL_OUTCOMES:
            self._cancels.labels(outcome)
        self._renders.labels("Rendered")
        self.on_call = EngineCalls(self.registry).take
        # cached, because the library builds strings of the labels at every call
        self._request = cache(self._requests.labels)
        self._render = cache(self._renders.labels)
        self._create = cache(self._creates.labels)
        self._job = cache(self._jobs.labels)

    def watch(self, informer: Informer) -> None:
        """Read the state of ``informer`` at every scrape."""
        self.registry.register(InformerState(informer))

    def on_job(self, action: str, status: str) -> None:
        """Count what happened to a job; ``status`` is the exit code of a ``die``, else empty."""
        self._job(self._namespace, action, status).inc()

    def on_lost(self) -> None:
        """Count a job that was removed before it ran."""
        self._lost.inc()

    def on_cancel(self, outcome: str) -> None:
        """Count a cancel of one job."""
        self._cancels.labels(outcome).inc()

    def on_queue_full(self) -> None:
        """Count a document that was refused because too many jobs wait."""
        self._queue_full.inc()

    def on_watchers(self, kind: str, number: int) -> None:
        """Record how many requests of a kind wait or follow."""
        self._watchers.labels(kind).set(number)

    def on_coalesced(self, number: int) -> None:
        """Count the changes that a stream was not told of."""
        self._coalesced.inc(number)

    def on_request(self, method: str, route: str, code: int) -> None:
        """Count an answered request; ``route`` is a pattern of the route table."""
        known = method if method in _METHODS else "other"
        self._request(known, route, code).inc()

    def on_create(self, outcome: str, seconds: float) -> None:
        """Record the outcome and duration of a create call."""
        self._create(outcome).observe(seconds)

    def on_pull(self, outcome: str, seconds: float) -> None:
        """Record the outcome and duration of a pull."""
        self._pulls.labels(outcome).observe(seconds)

    def on_render(self, filter_name: str, outcome: str, seconds: float) -> None:
        """Record a rendering, without the filter's name: labels come from closed sets."""
        del filter_name
        self._render(outcome).observe(seconds)

    def on_reload(self, generation: int, error: str | None) -> None:
        """Record that changed filter configs were loaded or refused."""
        self._generation.set(generation)
        self._refused.set(1 if error else 0)

    def on_queues(self, generation: int, error: str | None) -> None:
        """Record that changed queue configs were loaded or refused."""
        self._queues_generation.set(generation)
        self._queues_refused.set(1 if error else 0)

    def on_replaced(self, cause: Cause) -> None:
        """Count a filter worker that was replaced."""
        self._replaced.labels(cause).inc()
