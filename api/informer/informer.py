"""Keeps a store of jobs up to date: lists and inspects fill it, events say what to read."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable

from api.engine.errors import OUTAGES, EngineError, EngineUnavailableError, NotFoundError
from api.engine.interface import Engine, Event, EventKind, Pause
from api.engine.retry import compute_delay
from api.engine.wait import wait_until_set
from api.informer.batch_reader import BatchReader
from api.informer.credence import Credence
from api.informer.expectations import Expectations, runs_again
from api.informer.full_list import FullList
from api.informer.health import EngineHealth, EngineStatus
from api.informer.inspect_queue import InspectQueue
from api.informer.listener import Listener
from api.informer.mark_reader import MarkReader
from api.informer.reflector import Reflector
from api.informer.resync import LongRuns, ReadKind, ResyncBudget
from api.informer.store import JobStore
from api.informer.watch import Watch
from api.v1.job import Job


class Informer:
    """Fills ``store`` from ``engine``; ``interval`` is the tick in seconds.

    ``on_event`` is called with every event, before anything is read because of it. What an event
    is about is inspected at once or, with a ``delay``, read that many seconds later by one list
    for all events of that time, which shows less; and what a list shows first in a slot is not
    inspected before it has been there for long. ``wants_finish`` has the exact end of each job
    read; without it, a job that has plainly ended is read by such a list in any case.
    ``readings`` counts what was read, by kind. For ``pause`` see ``Engine.events``.
    """

    def __init__(
        self,
        engine: Engine,
        listener: Listener,
        *,
        interval: float,
        wants_finish: bool = False,
        on_event: Callable[[Event], None] = lambda _: None,
        budget: ResyncBudget | None = None,
        delay: float = 0.0,
        pause: Pause | None = None,
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._on_event = on_event
        self._delay = delay
        self._wants_finish = wants_finish
        self._expectations = Expectations()
        self._interval = interval
        self.store = JobStore(listener, wants_finish=wants_finish, doubts_active=not delay)
        self._credence = Credence(self.store, wants_starts=not delay)
        self._long_runs = LongRuns()
        self.reflector = Reflector(engine, self.store)
        self.health = EngineHealth(engine)
        self.budget = budget or ResyncBudget()
        self.readings: Counter[ReadKind] = Counter()
        self._look_now = asyncio.Event()
        self._inspect_queue = InspectQueue(self._inspect)
        hear, end = self._note_event, self._end_watch
        begin = self._begin_watch
        self.watch = Watch(engine, on_begin=begin, on_event=hear, on_end=end, pause=pause)
        self._full = FullList()
        self._is_unwatched = True
        self._batches = BatchReader(
            self.reflector, self.store, self.readings, self._request, delay=delay
        )
        self.marks = MarkReader(self.reflector, self.store, self._request)

    @property
    def engine_status(self) -> EngineStatus:
        """Whether the engine answers, and who it is."""
        return self.health.status

    @property
    def unresponsive(self) -> frozenset[str] | set[str]:
        """Uids of jobs that the engine does not answer for."""
        return self._inspect_queue.unresponsive

    async def run(self) -> None:
        """Keep the store until cancelled. No failure of the engine ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.watch.keep())
                tasks.create_task(self._keep_reading())
                tasks.create_task(self._batches.run())
                tasks.create_task(self.marks.run())
        finally:
            await self._inspect_queue.close()

    def hold(self, uid: str) -> None:
        """Leave one job to an act of our own, which will hand over what it has read.

        Call it again when the act sends the look that it will hand over: what came before that
        is in it.
        """
        self._expectations.begin(uid)

    def release(self, uid: str, *, known: EventKind | None = None) -> None:
        """Have a held job read again if there was news after the act's last look.

        ``known`` is the event that our own act causes: it is ignored, whether it came already or
        comes later, because what it tells was handed over.
        """
        heard = self._expectations.end(uid, known)
        is_told = heard.shows_end and self.store.fold_end(uid, heard.exit_code, heard.moment)
        news = {*heard.kinds} - {known}
        if EventKind.REMOVED in news:
            self.store.fold_inspect(uid, None)
        elif news == {EventKind.ENDED} and (is_told or self._has_plainly_ended(uid)):
            if not is_told:
                self._batches.changes.add(uid)
        elif news:
            self.reread(uid)

    def fold(self, uid: str, seen: Job | None) -> None:
        """Fold in what an act of our own has just read; ``None``: the job is gone."""
        self.store.invalidate(uid)
        self.store.fold_inspect(uid, seen)

    def fill_in(self) -> None:
        """Have jobs that wait read soon if only events told of them: those show no likeness."""
        for uid in self._batches.find_waiting(self.store.told):
            self._batches.arrivals.add(uid)

    async def catch_up(self) -> bool:
        """Wait for the full list that follows a start or a break, if there is one to come.

        Tell whether it was asked for after this call: what it did not show was not there. Raises
        the ``EngineError`` that it failed with.
        """
        if self._full.is_due:
            self._look_now.set()
        return await self._full.wait()

    def reread(self, uid: str) -> None:
        """Have one job inspected soon."""
        self.store.invalidate(uid)
        self._inspect_queue.request(uid)

    def suspect(self, uid: str) -> None:
        """Treat a job as unresponsive after an act on it had no answer, until an inspect has one.

        The list that is sent at once tells whether the engine answers for the others.
        """
        self.store.invalidate(uid)
        self._inspect_queue.suspect(uid)
        self._look_now.set()

    def mark_down(self, error: EngineError) -> None:
        """Trust nothing until a full list has been read: an act could not reach the engine."""
        self._look_afresh()
        if self.health.mark_down(error):
            self._listener.on_resync()

    # Reading ---------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        failures = 0
        while True:
            delay = self._interval
            try:
                await self._read()
                failures = 0
            except EngineError as error:
                failures += 1
                delay = compute_delay(failures, initial=0.1, maximum=2.0)
                self._full.fail(error)
                if self.health.mark_down(error):
                    self._listener.on_resync()
            await wait_until_set(self._look_now, delay)
            self._look_now.clear()

    async def _read(self) -> None:
        # After a break another engine may answer, even if no call has failed.
        afresh = self._full.is_due
        info = await self.health.ask() if afresh else self.engine_status.info
        started, alone = time.monotonic(), self._is_unwatched
        active = bool(self.store.active)
        reading = (
            ReadKind.FULL
            if afresh
            else self.budget.choose(started, is_unwatched=alone, is_active=active)
        )
        try:
            if reading is ReadKind.FULL:
                self._full.is_due = False
                await self._read_all()
            elif reading is ReadKind.NOTHING and self._is_unwatched:
                await self._engine.ping()
            elif reading is ReadKind.CHEAP:
                self.store.unannounced.clear()
                self._request(await self.reflector.read_active())
                if info is None or info.capabilities.since:
                    self._request(await self.reflector.read_new())
                self.watch.note_unannounced(self.store.unannounced)
        except NotFoundError:  # the newest known job, the point to list from, is gone
            reading = ReadKind.FULL
            await self._read_all()
        self.budget.record(reading, started, time.monotonic())
        if reading is not ReadKind.NOTHING:
            self.readings[reading] += 1
            # If an act could not reach the engine meanwhile, the reading it asked for decides.
            counts = afresh or self.engine_status.is_up
            if counts and info is not None and self.health.mark_up(info):
                self._inspect_queue.forget_unresponsive()
        self.marks.request_unclear()
        self._request(self._long_runs.find_due(self.store.active, time.monotonic()))
        self.watch.note_unannounced(self.store.created)
        self.store.created.clear()
        self.watch.check()
        self._listener.on_resync()

    async def _read_all(self) -> None:
        self._full.begin()
        to_inspect = await self.reflector.read_all()
        self._full.end()
        self.watch.note_unannounced(self.store.unannounced)
        self._expectations.expect_nothing()
        self._request(to_inspect)

    def _request(self, uids: Iterable[str]) -> None:
        for uid in uids:
            self._inspect_queue.request(uid)

    async def _inspect(self, uid: str) -> bool:
        self.readings[ReadKind.INSPECT] += 1
        try:
            if not await self.reflector.inspect(uid):
                self._inspect_queue.request(uid)
        except EngineUnavailableError as error:
            self.mark_down(error)
            return True
        except EngineError as error:
            if isinstance(error, OUTAGES):
                # the list tells whether it is the engine, or this job alone
                self._look_now.set()
            return False
        if uid in self.unresponsive:
            self._listener.on_resync()  # it answers again, even if nothing else has changed
        return True

    # Events ----------------------------------------------------------------------------------

    def _begin_watch(self) -> None:
        """Read everything once a subscription stands: then nothing falls between the two."""
        self._is_unwatched = False
        self._credence.begin()
        self._look_afresh()

    def _end_watch(self) -> None:
        """Have the engine asked whether it answers: without events a tick may read nothing."""
        self._is_unwatched = True
        self._look_now.set()

    def _look_afresh(self) -> None:
        self._full.is_due = True
        self._look_now.set()

    def _note_event(self, event: Event) -> None:
        if self.marks.hear(event):
            return
        self._on_event(event)
        hearing = self._credence.judge(event)
        if event.kind is not EventKind.CREATED or event.job or event.uid in self.store.known:
            # no list that shows what nobody knew yet can be older than its creation
            self.store.invalidate(event.uid)
        if self._expectations.keep(hearing):
            return
        if self._credence.believe(hearing):
            if hearing.is_crowded and not self._delay:
                self._batches.places.add(event.uid)
            return
        known = self.store.known.get(event.uid)
        if known is None:
            batch = self._batches.changes if self._delay else self._batches.arrivals
            batch.add(event.uid)
        elif self._may_wait(known, event):
            self._batches.changes.add(event.uid)
        else:
            self._inspect_queue.request(event.uid)

    def _may_wait(self, known: Job, event: Event) -> bool:
        if self._delay:
            return not runs_again(known, event)
        return event.kind is EventKind.ENDED and self._has_plainly_ended(event.uid)

    def _has_plainly_ended(self, uid: str) -> bool:
        """Tell whether a list shows all that is wanted of a job whose end is known already."""
        known = self.store.known.get(uid)
        return known is not None and known.ended and not self._wants_finish
