"""The jobs of one queue, sorted so that its next starts are read off the heads of lists."""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from typing import NamedTuple

from sortedcontainers import SortedDict, SortedKeyList, SortedList

from api.v1.job import Job
from api.v1.times import SECOND
from controller.place import Place, place

Likeness = tuple[str, ...]
Line = SortedKeyList[Job, Place]
"""Jobs by their place."""


class Standing(NamedTuple):
    """Where a job stands in its queue, the first of all the least.

    ``key`` is its priority, negated; ``share_active`` how many active jobs its share has by then.
    """

    key: int
    share_active: int
    place: Place


class Head(NamedTuple):
    """The next job of a queue, and where it stands."""

    standing: Standing
    job: Job


class _Lane:
    """The untried jobs of one priority and share; ``rank`` is where it stands in its level."""

    def __init__(self, rank: tuple[int, Place, str]) -> None:
        self.rank = rank
        self.jobs: Line = SortedKeyList(key=place)
        self._alike: dict[Likeness, Line] = {}

    def add(self, job: Job) -> None:
        self.jobs.add(job)
        add_alike(self._alike, job)

    def remove(self, job: Job) -> None:
        self.jobs.remove(job)
        remove_alike(self._alike, job)

    def iterate(self, doubted: Collection[Likeness]) -> Iterator[Job]:
        if not doubted:
            return iter(self.jobs)
        others = (jobs for likeness, jobs in self._alike.items() if likeness not in doubted)
        return heapq.merge(*others, key=place)


class _Level:
    """The untried jobs of one priority: lanes, by the active jobs of the share and then by age."""

    def __init__(self) -> None:
        self.lanes: dict[str, _Lane] = {}
        self.ranks: SortedList[tuple[int, Place, str]] = SortedList()

    def add(self, job: Job, active: int) -> None:
        share = job.spec.wishes.share
        lane = self.lanes.get(share)
        if lane is None:
            lane = self.lanes[share] = _Lane((active, place(job), share))
            self.ranks.add(lane.rank)
        lane.add(job)
        self.rank(share, active)

    def remove(self, job: Job, active: int) -> None:
        share = job.spec.wishes.share
        lane = self.lanes[share]
        lane.remove(job)
        if lane.jobs:
            self.rank(share, active)
        else:
            self.ranks.remove(lane.rank)
            del self.lanes[share]

    def rank(self, share: str, active: int) -> None:
        """Give the lane of a share its rank anew, if there is one."""
        lane = self.lanes.get(share)
        if lane is None:
            return
        rank = (active, place(lane.jobs[0]), share)
        if rank != lane.rank:
            self.ranks.remove(lane.rank)
            self.ranks.add(rank)
            lane.rank = rank


class QueueIndex:
    """The untried jobs of one queue, and how many of it wait and are active, by share too."""

    def __init__(self) -> None:
        self.active = 0
        self.pending = 0
        """Jobs that wait for their start, those that failed to start included."""
        self.alike: dict[Likeness, Line] = {}
        """The untried jobs by likeness."""
        self._shares: Counter[str] = Counter()
        self._levels: SortedDict[int, _Level] = SortedDict()
        """By the priority, negated: the highest is the first."""
        self._first: Standing | None = None

    @property
    def first(self) -> Standing | None:
        """Where the next job stands, at best: it may be under way, or not allowed to start."""
        if self._first is None and self._levels:
            key, level = self._levels.peekitem(0)
            share_active, where, _ = level.ranks[0]
            self._first = Standing(key, share_active, where)
        return self._first

    def occupy(self, job: Job) -> None:
        """Note that a job holds a slot."""
        self._count(job.spec.wishes.share, 1)

    def vacate(self, job: Job) -> None:
        """Note that a job holds its slot no more."""
        self._count(job.spec.wishes.share, -1)

    def count_active(self, share: str) -> int:
        """Return how many active jobs a share has."""
        return self._shares[share]

    def add(self, job: Job) -> None:
        """Add an untried job."""
        self._first = None
        add_alike(self.alike, job)
        level = self._levels.get(-job.spec.wishes.priority)
        if level is None:
            level = self._levels[-job.spec.wishes.priority] = _Level()
        level.add(job, self._shares[job.spec.wishes.share])

    def remove(self, job: Job) -> None:
        """Remove an untried job."""
        self._first = None
        remove_alike(self.alike, job)
        level = self._levels[-job.spec.wishes.priority]
        level.remove(job, self._shares[job.spec.wishes.share])
        if not level.lanes:
            del self._levels[-job.spec.wishes.priority]

    def find_age(self, now: int) -> float:
        """Return for how many seconds the oldest untried job has waited; ``now`` in ns."""
        created = (line[0].order for line in self.lines)
        return max((now - min(created, default=now)) / SECOND, 0.0)

    @property
    def lines(self) -> Iterator[Line]:
        """Yield the untried jobs of each priority and share."""
        return (lane.jobs for level in self._levels.values() for lane in level.lanes.values())

    def iterate(
        self,
        busy: Mapping[str, int],
        *,
        may_start: Callable[[Job], bool],
        doubted: Collection[Likeness] = (),
        further: Iterable[tuple[Place, Job]] = (),
    ) -> Iterator[Head]:
        """Yield the untried jobs and the ``further`` ones in the order of their starts.

        That is by priority, then those of the share with the fewest active, then by place; a job
        that was yielded counts as active. ``busy`` has the starts in flight of each share; jobs
        that may not start and those of a ``doubted`` likeness are left out. Of lists of any length
        only what is yielded is read, and the heads.
        """
        more = Counter(busy)

        def count_active(share: str) -> int:
            return self._shares[share] + more[share]

        def read(lane: _Lane) -> Iterator[Job]:
            return filter(may_start, lane.iterate(doubted))

        others: dict[int, list[tuple[Place, Job]]] = {}
        for turn in further:
            others.setdefault(-turn[1].spec.wishes.priority, []).append(turn)
        keys = heapq.merge(self._levels, sorted(others)) if others else iter(self._levels)
        for key, _ in groupby(keys):
            level = self._levels.get(key) or _Level()
            heads = _merge(level, count_active, read, others.get(key, ()))
            for share_active, where, job in heads:
                yield Head(Standing(key, share_active, where), job)
                more[job.spec.wishes.share] += 1

    def count_ahead(self, job: Job, where: Place, busy: Mapping[str, int]) -> int:
        """Return how many untried jobs start before one whose place is ``where``, as things are.

        No line is walked through: of a job that is the n-th of its share the turn comes once n
        more of that share are active, and by then each other share has had its turns up to there.
        """
        wishes = job.spec.wishes
        active = self._shares + Counter(busy)
        for key in self._levels.irange(maximum=-wishes.priority, inclusive=(True, False)):
            for share, lane in self._levels[key].lanes.items():
                active[share] += len(lane.jobs)
        ahead = active.total() - self.active - Counter(busy).total()
        level = self._levels.get(-wishes.priority) or _Level()
        own = level.lanes.get(wishes.share)
        rank = 0 if own is None else own.jobs.bisect_key_left(where)
        turn = active[wishes.share] + rank
        for share, lane in level.lanes.items():
            before = turn - active[share]
            ahead += min(max(before, 0), len(lane.jobs))
            if share != wishes.share and 0 <= before < len(lane.jobs):
                ahead += place(lane.jobs[before]) < where
        return ahead

    def _count(self, share: str, change: int) -> None:
        self.active += change
        self._first = None
        self._shares[share] += change
        active = self._shares[share]
        if not active:
            del self._shares[share]
        for level in self._levels.values():
            level.rank(share, active)


def _merge(
    level: _Level,
    count_active: Callable[[str], int],
    read: Callable[[_Lane], Iterator[Job]],
    further: Sequence[tuple[Place, Job]],
) -> Iterator[tuple[int, Place, Job]]:
    """Yield the jobs of a level in order; ``count_active`` counts what was yielded, too.

    A lane's rank is that of before: since then its share can only have gained active jobs and its
    head can only have given way to a later one, so that its true rank is never a better one.
    """
    if len(level.lanes) == 1 and not further:
        (lane,) = level.lanes.values()
        for job in read(lane):
            yield count_active(job.spec.wishes.share), place(job), job
        return
    number = count()
    heap: list[tuple[int, Place, int, Job, Iterator[Job]]] = [
        (count_active(job.spec.wishes.share), where, next(number), job, iter(()))
        for where, job in further
    ]
    heapq.heapify(heap)

    def push(jobs: Iterator[Job]) -> None:
        job = next(jobs, None)
        if job is not None:
            rank = (count_active(job.spec.wishes.share), place(job), next(number))
            heapq.heappush(heap, (*rank, job, jobs))

    ranks = iter(level.ranks)
    rank = next(ranks, None)
    while True:
        while rank is not None and (not heap or rank[:2] <= heap[0][:2]):
            push(read(level.lanes[rank[2]]))
            rank = next(ranks, None)
        if not heap:
            return
        share_active, where, _, job, jobs = heapq.heappop(heap)
        now_active = count_active(job.spec.wishes.share)
        if share_active < now_active:
            heapq.heappush(heap, (now_active, where, next(number), job, jobs))
            continue
        yield share_active, where, job
        push(jobs)


def add_alike(alike: dict[Likeness, Line], job: Job) -> None:
    """Add a job to those like it."""
    line = alike.get(job.likeness)
    if line is None:
        line = alike[job.likeness] = SortedKeyList(key=place)
    line.add(job)


def remove_alike(alike: dict[Likeness, Line], job: Job) -> None:
    """Remove a job from those like it."""
    line = alike[job.likeness]
    line.remove(job)
    if not line:
        del alike[job.likeness]
