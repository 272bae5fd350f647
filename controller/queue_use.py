"""How each queue is used: slots, jobs that wait, the age of the oldest."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.v1.queue import Queue
from api.v1.wishes import DEFAULT_QUEUE
from controller.scene import Scene


@dataclass(frozen=True, slots=True)
class QueueUse:
    """A queue as its config has it, and what of it is used and waits, in jobs and seconds."""

    queue: Queue
    used: int
    pending: int
    oldest: float


def list_use(scene: Scene) -> Mapping[str, QueueUse]:
    """Return how each queue is used that is configured or has jobs, by name."""
    found = (name for name, queue in scene.index.queues.items() if queue.pending or queue.active)
    return {
        name: _find_use(scene, name)
        for name in sorted({DEFAULT_QUEUE, *scene.policy.queues, *found})
    }


def _find_use(scene: Scene, name: str) -> QueueUse:
    found = scene.index.queues.get(name)
    pending = 0 if found is None else found.pending
    oldest = 0.0 if found is None else found.find_age(scene.now.engine)
    return QueueUse(scene.policy.get_queue(name), scene.count_used(name), pending, oldest)
