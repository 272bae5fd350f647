"""Chooses the next jobs to start among all queues."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from api.v1.job import Job
from api.v1.wishes import PRIORITIES
from controller.place import Place
from controller.queue_index import Head, Standing
from controller.scene import Scene, Turn

Rank = tuple[int, int, float, int, Place]
"""What comes first: least used for its weight, priority, the queue's turn, share, place.

Used for its weight is in whole rounds: by fractions each of three queues would get one of three
slots whatever their weights. Within a round the turns are by weight.
"""
_AT_BEST: Final = Standing(-PRIORITIES.stop, 0, (0, ""))


@dataclass(slots=True)
class _Queue:
    """A queue while a plan is made: what is used, and ``room`` for further starts."""

    used: int
    room: float
    weight: int


class Choice:
    """The starts chosen for one plan; knows what each queue has room for beside them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._clock = scene.ledger.turns.copy()
        self._queues: dict[str, _Queue] = {}

    def has_room(self, queue: str) -> bool:
        """Tell whether a queue has room for one more start."""
        return self._get(queue).room > 0

    def take(self, queue: str) -> None:
        """Note that a job of a queue was chosen."""
        taken = self._get(queue)
        taken.used += 1
        taken.room -= 1
        self._clock.note(queue, taken.weight)

    def rank_turn(self, turn: Turn) -> Rank:
        """Return where a job stands among the next ones of all queues if it is one of them."""
        where, job, _ = turn
        wishes = job.spec.wishes
        queue = self._scene.index.queues.get(wishes.queue)
        active = 0 if queue is None else queue.count_active(wishes.share)
        busy = self._scene.busy.get(wishes.queue)
        active += 0 if busy is None else busy[wishes.share]
        return self._rank(wishes.queue, Standing(-wishes.priority, active, where))

    def choose(self, most: int, retries: Iterable[Turn]) -> list[Turn]:
        """Take up to ``most`` jobs: untried ones that are not doubted, and the ``retries``."""
        attempts = {turn[1].uid: turn for turn in retries}
        chosen = islice(self._iterate(attempts.values()), most)
        return [attempts.get(job.uid) or (at.place, job, None) for at, job in chosen]

    def _iterate(self, retries: Iterable[Turn]) -> Iterator[Head]:
        """Yield the next jobs; each that was yielded is taken.

        A rank can only have got worse since it was made: by the turns of others, and that of a
        queue whose line is not read yet because its first jobs may not start. It is made anew
        before it counts.
        """
        lines = _Lines(self._scene, retries)
        heap: list[tuple[Rank, str, Head | None]] = [
            (self._rank(name, first), name, None)
            for name, first in lines.find_firsts()
            if self.has_room(name)
        ]
        heapq.heapify(heap)
        while heap:
            rank, name, head = heapq.heappop(heap)
            if head is not None and (not heap or rank == self._rank(name, head.standing)):
                self.take(name)
                yield head
                head = None
            if head is None and self.has_room(name):
                head = lines.read(name)
            if head is not None:
                heapq.heappush(heap, (self._rank(name, head.standing), name, head))

    def _rank(self, name: str, standing: Standing) -> Rank:
        queue = self._get(name)
        key, share_active, where = standing
        return (queue.used // queue.weight, key, self._clock.get(name), share_active, where)

    def _get(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            wanted, used = self._scene.policy.get_queue(name), self._scene.count_used(name)
            most = float("inf") if wanted.max_concurrent is None else wanted.max_concurrent
            room = 0 if wanted.paused else most - used
            queue = self._queues[name] = _Queue(used, room, wanted.weight)
        return queue


class _Lines:
    """The lines of the queues, read as far as is needed; a retry stands in that of its queue."""

    def __init__(self, scene: Scene, retries: Iterable[Turn]) -> None:
        self._scene = scene
        self._retries: dict[str, list[tuple[Place, Job]]] = {}
        for where, job, _ in retries:
            self._retries.setdefault(job.spec.wishes.queue, []).append((where, job))
        self._lines: dict[str, Iterator[Head]] = {}

    def find_firsts(self) -> Iterator[tuple[str, Standing]]:
        """Yield each queue in which a job may be next, and where that one stands at best."""
        for name, queue in self._scene.index.queues.items():
            if name in self._retries:
                yield name, _AT_BEST
            elif queue.first is not None:
                yield name, queue.first

    def read(self, name: str) -> Head | None:
        """Return the next job of a queue."""
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = self._scene.index.queues[name].iterate(
                self._scene.busy.get(name, {}),
                may_start=self._scene.may_start,
                doubted=self._scene.doubted,
                further=self._retries.get(name, ()),
            )
        return next(line, None)


def list_next(scene: Scene, most: int) -> list[Job]:
    """Return the untried jobs that come next, whatever there is room for."""
    queues = {
        name: replace(queue, max_concurrent=None, paused=False)
        for name, queue in scene.policy.queues.items()
    }
    open_scene = replace(scene, policy=replace(scene.policy, queues=queues))
    return [job for _, job, _ in Choice(open_scene).choose(most, ())]
