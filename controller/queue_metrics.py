"""Gauges of each queue, read off the reconciler's state at each scrape."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.queue_use import QueueUse, list_use
from controller.reconciler import Reconciler
from controller.scene import set_scene


def _count_allowed(use: QueueUse) -> float:
    if use.queue.paused:
        return 0
    most = use.queue.max_concurrent
    return float("inf") if most is None else most


_GAUGES: Final[tuple[tuple[str, str, Callable[[QueueUse], float]], ...]] = (
    ("pending", "Jobs of a queue that wait for their start.", attrgetter("pending")),
    ("used", "Slots that a queue holds.", attrgetter("used")),
    ("allowed", "Slots that a queue may hold.", _count_allowed),
    ("oldest_pending_seconds", "Age of a queue's oldest job never tried.", attrgetter("oldest")),
)


class QueueState(Collector):
    """A series for each queue that is configured: what a job names beside those is no label."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: the state is read at a scrape only."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every gauge."""
        reconciler = self._reconciler
        policy, now = reconciler.policy, reconciler.now()
        use = list_use(set_scene(reconciler.index, policy, reconciler.ledger, now, ()))
        known = {name: one for name, one in use.items() if policy.knows_queue(name)}
        for name, text, read in _GAUGES:
            family = GaugeMetricFamily(f"dispatcher_queue_{name}", text, labels=["queue"])
            for queue, one in known.items():
                family.add_metric([queue], float(read(one)))
            yield family
        held = sum(one.pending for one in use.values() if one.used >= _count_allowed(one))
        text = "Jobs that wait in queues that are full or paused."
        yield GaugeMetricFamily("dispatcher_held_by_queues", text, value=float(held))
        strangers = sum(one.pending + one.used for name, one in use.items() if name not in known)
        text = "Jobs that wait or run in queues that are not configured."
        yield GaugeMetricFamily("dispatcher_unknown_queue_jobs", text, value=float(strangers))
