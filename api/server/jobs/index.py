"""The jobs of the store in their order, by phase, counted: what a list costs is what it shows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple, Protocol

from sortedcontainers import SortedList

from api.informer.health import EngineStatus
from api.informer.store import JobStore
from api.server.jobs.ages import Ages
from api.server.jobs.query import JobFilter, Key, ListQuery, spell_continue
from api.v1.condition import derive_condition
from api.v1.job import Job, Phase
from api.v1.record import record
from api.v1.times import format_time
from api.v1.view import JobView, Standing, view_job

_STRETCH: Final = 1000
"""Jobs that are looked at before others have a turn."""
_START: Final = 2.0
"""Seconds that a list waits for the first reading of the engine."""


@record
class Change:
    """What is shown of one job has become another; ``None`` stands for "not there".

    ``old_silent`` and ``new_silent``: the engine does not answer for it. ``old_at`` and ``new_at``
    are the engine times (ns) at which its condition was derived, 0 where time does not matter.
    ``seen`` is the last that was known of one that is gone.
    """

    uid: str
    old: Job | None
    new: Job | None
    old_silent: bool = False
    new_silent: bool = False
    old_at: int = 0
    new_at: int = 0
    seen: Job | None = None


class Source(Protocol):
    """What the index asks of the informer."""

    @property
    def store(self) -> JobStore:
        """The jobs."""

    @property
    def unresponsive(self) -> Collection[str]:
        """Uids of jobs that the engine does not answer for."""

    @property
    def engine_status(self) -> EngineStatus:
        """Whether the engine answers."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, how many match by phase, and the token of what follows."""

    jobs: list[Job]
    counts: dict[str, int]
    token: str | None


class Shelf(NamedTuple):
    """What jobs are counted by."""

    path: str
    queue: str
    phase: Phase


class JobIndex:
    """A listener of the informer's; ``attach`` says which. ``now`` is the engine's clock (ns)."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._source: Source | None = None
        self._places: dict[Phase, SortedList[Key]] = {phase: SortedList() for phase in Phase}
        self._counts: Counter[Shelf] = Counter()
        self._ages = Ages()
        self._silent: frozenset[str] = frozenset()
        self._is_up = False
        self._down_since = now()
        self._has_begun = asyncio.Event()
        self.tell: Callable[[Change], None] = lambda _: None
        """Called with every change of what is shown."""
        self.tell_phase: Callable[[Job, Phase | None, Phase | None], None] = lambda *_: None
        """Called with every job whose phase changes; ``None`` stands for "not there"."""

    def attach(self, source: Source) -> None:
        """Index the jobs of ``source``, whose listener this is."""
        self._source = source

    @property
    def source(self) -> Source:
        """What is indexed."""
        assert self._source is not None
        return self._source

    # As a listener ---------------------------------------------------------------------------

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Give one job its place."""
        job = old or new
        assert job is not None
        is_silent = job.uid in self._silent
        self._change(job.uid, old, new, was_silent=is_silent, is_silent=is_silent)

    def on_resync(self) -> None:
        """Notice what no job's change tells: the engine's silence, and that time has passed."""
        self._has_begun.set()
        self._note_silent(frozenset(self.source.unresponsive))
        for uid in self._ages.find_due(self._now()):
            job, is_silent = self.source.store.known[uid], uid in self._silent
            self._change(uid, job, job, was_silent=is_silent, is_silent=is_silent)
        is_up = self.source.engine_status.is_up
        if is_up is self._is_up:
            return
        self._is_up = is_up
        self._down_since = self._now()
        for _, uid in list(self._places[Phase.PENDING]):
            job, at = self.source.store.known[uid], self._ages.get(uid)
            self.tell(Change(uid, job, job, old_at=at, new_at=at))

    def _note_silent(self, silent: frozenset[str]) -> None:
        before, self._silent = self._silent, silent
        for uid in sorted(before ^ silent):
            job = self.source.store.known.get(uid)
            if job is not None:
                was, now = uid in before, uid in silent
                self._change(uid, job, job, was_silent=was, is_silent=now)

    def _change(
        self, uid: str, old: Job | None, new: Job | None, *, was_silent: bool, is_silent: bool
    ) -> None:
        old_at = self._ages.get(uid)
        new_at = self._ages.renew(uid, new, self._now)
        before = _place(old, old_at, is_silent=was_silent)
        after = _place(new, new_at, is_silent=is_silent)
        if before != after:
            self._move(before, after)
        phases = before and before.shelf.phase, after and after.shelf.phase
        job = new or old
        if phases[0] is not phases[1] and job is not None:
            self.tell_phase(job, *phases)
        gone = None if new else old
        self.tell(Change(uid, old, new, was_silent, is_silent, old_at, new_at, gone))

    def _move(self, before: "_Place | None", after: "_Place | None") -> None:
        if before is not None:
            self._places[before.shelf.phase].discard(before.key)
            self._counts[before.shelf] -= 1
            if not self._counts[before.shelf]:
                del self._counts[before.shelf]
        if after is not None:
            self._places[after.shelf.phase].add(after.key)
            self._counts[after.shelf] += 1

    # To be asked -----------------------------------------------------------------------------

    async def wait_until_read(self) -> None:
        """Wait for the first reading of the engine, but not for long: it may be away."""
        if not self._has_begun.is_set():
            try:
                async with asyncio.timeout(_START):
                    await self._has_begun.wait()
            except TimeoutError:
                self._has_begun.set()

    def describe_outage(self) -> dict[str, object] | None:
        """Return what is told of an engine that is away; None if it answers."""
        if self.source.engine_status.is_up:
            return None
        return {"up": False, "since": format_time(self._down_since)}

    def find(self, ref: str) -> Job | None:
        """Return the job of this id or uid."""
        store = self.source.store
        return store.known.get(store.find_uid(ref) or ref)

    @property
    def shelves(self) -> Mapping[Shelf, int]:
        """How many jobs there are, by all that they are counted by."""
        return self._counts

    def judged_at(self, uid: str) -> int:
        """Return the time (ns) at which the condition of a job was derived that counts here."""
        return self._ages.get(uid)

    def is_silent(self, uid: str) -> bool:
        """Tell whether the engine does not answer for a job."""
        return uid in self._silent

    def view(self, job: Job) -> JobView:
        """Return what is shown of a job as it is known now."""
        standing = Standing(
            engine_is_up=self.source.engine_status.is_up, is_silent=job.uid in self._silent
        )
        return view_job(job, self._now(), standing)

    def walk(
        self, wanted: JobFilter, *, newest_first: bool = False, after: Key | None = None
    ) -> Iterator[Key]:
        """Yield the places of jobs that may match, behind ``after``, until something changes."""
        low = None if wanted.since is None else (wanted.since, "")
        high = None if wanted.until is None else (wanted.until + 1, "")
        if after is not None and newest_first:
            high = after if high is None else min(high, after)
        elif after is not None:
            low = after if low is None else max(low, after)
        phases = [wanted.phase] if wanted.phase else [*Phase]
        parts = (
            self._places[phase].irange(low, high, (False, False), reverse=newest_first)
            for phase in phases
        )
        return merge(*parts, reverse=newest_first)

    async def find_page(self, query: ListQuery) -> Page:
        """Return one page. The time it takes grows with the jobs that a filter has to be tried on.

        Those are none but the page's where no filter is given, or a phase and a path alone.
        """
        found: list[Job] = []
        wanted, after, length = query.filter, query.after, query.limit + 1
        while len(found) <= query.limit:
            keys = self.walk(wanted, newest_first=query.newest_first, after=after)
            stretch = [*islice(keys, length)]
            if not stretch:
                break
            after, length = stretch[-1], _STRETCH
            found += self._pick(stretch, wanted)
            await asyncio.sleep(0)
        token = None
        if len(found) > query.limit:
            del found[query.limit :]
            last = (found[-1].order, found[-1].uid)
            token = spell_continue(last, newest_first=query.newest_first)
        return Page(found, await self.count(wanted), token)

    async def find_all(self, wanted: JobFilter) -> list[Job]:
        """Return every job that matches, the oldest first."""
        found: list[Job] = []
        after: Key | None = None
        while stretch := [*islice(self.walk(wanted, after=after), _STRETCH)]:
            after = stretch[-1]
            found += self._pick(stretch, wanted)
            await asyncio.sleep(0)
        return found

    def _pick(self, keys: Iterable[Key], wanted: JobFilter) -> Iterator[Job]:
        """Yield those of the jobs at ``keys`` that match."""
        known, silent, ages = self.source.store.known, self._silent, self._ages
        for _, uid in keys:
            if wanted.matches(known[uid], ages.get(uid), is_silent=uid in silent):
                yield known[uid]

    async def count(self, wanted: JobFilter) -> dict[str, int]:
        """Return how many jobs match by phase, whatever phase the filter asks for."""
        counts = dict.fromkeys(map(str, Phase), 0)
        if wanted.is_by_path:
            for shelf, number in self._counts.items():
                if wanted.takes_place(shelf.path, shelf.queue):
                    counts[shelf.phase] += number
            return counts
        for phase in Phase:
            part, after = JobFilter(phase=phase, since=wanted.since, until=wanted.until), None
            while stretch := [*islice(self.walk(part, after=after), _STRETCH)]:
                after = stretch[-1]
                known, silent, ages = self.source.store.known, self._silent, self._ages
                counts[phase] += sum(
                    wanted.takes(known[uid], ages.get(uid), is_silent=uid in silent)
                    for _, uid in stretch
                )
                await asyncio.sleep(0)
        return counts


class _Place(NamedTuple):
    """Where a job stands in the index."""

    shelf: Shelf
    key: Key


def _place(job: Job | None, now: int, *, is_silent: bool) -> _Place | None:
    if job is None:
        return None
    phase, spec = derive_condition(job, now, is_silent=is_silent).phase, job.spec
    return _Place(Shelf(spec.path, spec.wishes.queue, phase), (job.order, job.uid))
