"""Keeps a store of one namespace up to date: lists and inspects fill it, events hint."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from api.engine.errors import OUTAGES, EngineError, EngineUnavailableError, NotFoundError
from api.engine.interface import Engine, EngineInfo, Event
from api.engine.retry import compute_delay
from api.engine.wait import wait_until_set
from api.informer.batch import Batcher
from api.informer.engine_status import NOT_ASKED, EngineStatus, log_change
from api.informer.expectations import Expectations, tell_end
from api.informer.inspect_queue import InspectQueue
from api.informer.merge import Observed
from api.informer.reflector import Reflector
from api.informer.resync import ReadKind, ResyncBudget
from api.informer.store import JobStore, Listener
from api.informer.watch import Watch
from api.v1.job import Container, Status
from api.v1.labels import NAMESPACE

_ALONE: Final = 1  # so many new containers are inspected; more are read by one list
_GATHER: Final = 0.05  # seconds at least between two such lists: a burst of creates is one
_LEISURE: Final = 0.5  # seconds after which it is read how a job ended, if no time of it is wanted
_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 2.0


class Informer:
    """Fills ``store`` from ``engine``; ``interval`` is the tick in seconds.

    ``hear`` is told of every event that announces a change, before it is acted on. What events
    touch is inspected at once or, with a ``delay``, read that many seconds later by one list of
    all that was touched, which shows less. ``wants_finish`` has the exact end of each job read;
    without it, jobs that have plainly ended are read by such a list in any case.
    ``readings`` counts what was read, by kind.
    """

    def __init__(
        self,
        engine: Engine,
        namespace: str,
        listener: Listener,
        *,
        interval: float,
        wants_finish: bool = False,
        hear: Callable[[Event], None] | None = None,
        budget: ResyncBudget | None = None,
        delay: float = 0.0,
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._hear = hear
        self._delay = delay
        self._wants_finish = wants_finish
        self._expectations = Expectations()
        self._interval = interval
        label = f"{NAMESPACE}={namespace}"
        self.store = JobStore(namespace, listener, wants_finish=wants_finish)
        self._reflector = Reflector(engine, label, self.store)
        self.engine_status = NOT_ASKED
        self.budget = budget or ResyncBudget()
        self.readings: Counter[ReadKind] = Counter()
        self._look_now = asyncio.Event()
        self._inspect_queue = InspectQueue(self._inspect)
        self._stream = Watch(
            engine,
            label,
            on_begin=self._begin_hearing,
            on_event=self._note_event,
            on_end=self._note_silence,
        )
        self._wants_full = True
        self._is_deaf = True
        self._newest_event = 0
        self._repeats_until = 0
        self._arrivals = Batcher(self._read_created, pauses=(_GATHER, 2 * _GATHER))
        self._changes = Batcher(
            self._read_touched, delay=delay or _LEISURE, pauses=(_GATHER, _LEISURE)
        )

    @property
    def unresponsive(self) -> frozenset[str] | set[str]:
        """Ids of containers that the engine does not answer for."""
        return self._inspect_queue.unresponsive

    async def run(self) -> None:
        """Keep the store until cancelled. No failure of the engine ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stream.keep())
                tasks.create_task(self._keep_reading())
                tasks.create_task(self._arrivals.run())
                tasks.create_task(self._changes.run())
        finally:
            await self._inspect_queue.close()

    def hold(self, container_id: str) -> None:
        """Leave one container to an act of our own, which will hand over what it has read.

        Call it again when the act sends the look that it will hand over: what was heard before
        that is in it.
        """
        self._expectations.begin(container_id)

    def release(self, container_id: str, *, known: str | None = None) -> None:
        """Have a held container read again if there was news after the act's last look.

        ``known`` is the action whose event tells nothing new, be it heard already or yet to come:
        what it tells of is handed over.
        """
        heard = self._expectations.end(container_id, known)
        if tell_end(heard):
            self.store.fold_end(container_id)
        news = {*heard} - {known}
        if news == {"die"} and self._has_plainly_ended(container_id):
            self._changes.add(container_id)
        elif news:
            self.reread(container_id)

    def take(self, container_id: str, container: Container | None) -> None:
        """Fold in what an act of our own has just read; ``None``: it is gone."""
        self._reflector.take(container_id, container)

    def reread(self, container_id: str) -> None:
        """Have one container inspected soon."""
        self.store.invalidate(container_id)
        self._inspect_queue.request(container_id)

    def suspect(self, container_id: str) -> None:
        """Take a container for silent after an unanswered act on it, until an inspect is answered.

        The list that is sent at once tells whether the container alone is silent.
        """
        self.store.invalidate(container_id)
        self._inspect_queue.suspect(container_id)
        self._look_now.set()

    def lose(self, error: EngineError) -> None:
        """Trust nothing until a full list has been read: an act could not reach the engine."""
        self._look_afresh()
        self._note_engine(is_up=False, error=str(error), info=self.engine_status.info)

    async def get_info(self) -> EngineInfo:
        """Return who the engine is; ask if it was never reached. Raises ``EngineError``."""
        return self.engine_status.info or await self._ask_info()

    async def _ask_info(self) -> EngineInfo:
        info = await self._engine.info()
        # That another engine answers counts once it has been read in full: what is known of jobs
        # is the former one's until then.
        if self.engine_status.info is None:
            self.engine_status = replace(self.engine_status, info=info)
        return info

    def _note_engine(self, *, is_up: bool, info: EngineInfo | None, error: str = "") -> None:
        old, new = self.engine_status, EngineStatus(is_up=is_up, error=error, info=info)
        self.engine_status = new
        log_change(old, new)
        if new.is_up is not old.is_up:
            if new.is_up:
                self._inspect_queue.forget_unresponsive()
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
                delay = compute_delay(failures, initial=_FIRST_DELAY, maximum=_LAST_DELAY)
                self._wants_full = True
                self._note_engine(is_up=False, error=str(error), info=self.engine_status.info)
            await wait_until_set(self._look_now, delay)
            self._look_now.clear()

    async def _read(self) -> None:
        # Who answers after a break may be another engine, even if no call has failed.
        afresh = self._wants_full
        info = await self._ask_info() if afresh else self.engine_status.info
        reading = ReadKind.FULL if afresh else self.budget.choose(time.monotonic())
        started = time.monotonic()
        try:
            if reading is ReadKind.FULL:
                self._wants_full = False
                await self._read_all()
            elif reading is ReadKind.NOTHING and self._is_deaf:
                await self._engine.ping()
            elif reading is ReadKind.CHEAP:
                self._request(await self._reflector.read_active())
                self._request(await self._reflector.read_new())
        except NotFoundError:
            # The newest known container is gone, and with it the point to list from.
            reading = ReadKind.FULL
            await self._read_all()
        self.budget.record(reading, started, time.monotonic())
        if reading is not ReadKind.NOTHING:
            self.readings[reading] += 1
            self._stream.check()
            # If an act has lost the engine meanwhile, the look that was asked for then decides.
            if afresh or self.engine_status.is_up:
                self._note_engine(is_up=True, info=info)
        self._listener.on_resync()

    async def _read_all(self) -> None:
        to_inspect = await self._reflector.read_all()
        self._stream.note_unannounced(self.store.unannounced)
        self._expectations.expect_nothing()
        self._request(to_inspect)

    def _request(self, container_ids: Iterable[str]) -> None:
        for container_id in container_ids:
            self._inspect_queue.request(container_id)

    async def _inspect(self, container_id: str) -> bool:
        self.readings[ReadKind.INSPECT] += 1
        try:
            if not await self._reflector.inspect(container_id):
                self._inspect_queue.request(container_id)
        except EngineUnavailableError as error:
            self.lose(error)
            return True
        except OUTAGES:
            # the list tells whether it is the engine, or this container alone
            self._look_now.set()
            return False
        except EngineError:
            return False
        if container_id in self.unresponsive:
            # that it answers again is news, even if nothing else has changed
            self._listener.on_resync()
        return True

    # Events ----------------------------------------------------------------------------------

    def _begin_hearing(self) -> None:
        """Read everything once a subscription stands: nothing falls between the two then."""
        self._is_deaf = False
        self._repeats_until = self._newest_event
        self._look_afresh()

    def _note_silence(self) -> None:
        """Ask the engine for a sign of life: without a stream nothing else may for a minute."""
        self._is_deaf = True
        self._look_now.set()

    def _look_afresh(self) -> None:
        self._wants_full = True
        self._look_now.set()

    def _note_event(self, event: Event) -> None:
        if self._hear is not None:
            self._hear(event)
        self._newest_event = max(self._newest_event, event.time)
        # a new subscription begins with some of the past, which may be out of date
        is_repeated = event.time <= self._repeats_until
        self.store.invalidate(event.id)
        if self._expectations.keep(event, is_repeated=is_repeated):
            return
        if event.action == "destroy":
            # the last that is heard of it: ids do not come back
            self.store.fold_container(event.id, None)
            return
        if event.action == "die" and not is_repeated:
            self.store.fold_end(event.id)
        known = self.store.known.get(event.id)
        if known is None:
            (self._changes if self._delay else self._arrivals).add(event.id)
        elif event.action == "create":
            return  # a list was faster
        elif self._may_wait(known, event):
            self._changes.add(event.id)
        else:
            self._inspect_queue.request(event.id)

    def _may_wait(self, known: Observed, event: Event) -> bool:
        if self._delay:
            return not _runs_again(known, event)
        return event.action == "die" and self._has_plainly_ended(event.id)

    def _has_plainly_ended(self, container_id: str) -> bool:
        """Tell whether a list shows all that is wanted of a job whose end is known already."""
        known = self.store.known.get(container_id)
        return known is not None and known.ended and not self._wants_finish

    async def _read_created(self, created: set[str]) -> None:
        """Read new containers: one by an inspect, a burst by one list."""
        if len(created) > _ALONE:
            with contextlib.suppress(EngineError):
                self._request(await self._reflector.read_new())
                self.readings[ReadKind.NEW] += 1
        self._request(key for key in created if key not in self.store.known)

    async def _read_touched(self, touched: set[str]) -> None:
        """Read containers by one list."""
        try:
            to_inspect = await self._reflector.read_some(touched)
            self.readings[ReadKind.SOME] += 1
            # what an event has touched meanwhile is about to be read anyway
            self._request(to_inspect - self._changes.waiting)
        except EngineError:
            self._request(touched)


def _runs_again(known: Observed, event: Event) -> bool:
    """Tell whether it runs more than once: how often, an inspect alone shows."""
    is_next = known.started and event.action in {"start", "restart"}
    return is_next or known.restart_count > 0 or known.status is Status.RESTARTING
