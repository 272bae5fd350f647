"""Reads by one list what may wait a moment: new jobs, their order, and what events have touched."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from api.engine.errors import EngineError
from api.informer.batch import Batcher
from api.informer.reflector import Reflector
from api.informer.resync import ReadKind
from api.informer.store import JobStore

_ALONE: Final = 1  # so many new jobs are inspected; more are read by one list
_GATHER: Final = 0.05  # seconds at least between two such lists: a burst of creates is one
_ORDER: Final = 1.0  # seconds after the last of several creations a list puts them in order
_LONGEST: Final = 3.0  # seconds after the first it does so although more come
_LEISURE: Final = 0.5  # seconds after which it is read how a job ended, if no time of it is wanted


class BatchReader:
    """Reads uids that are added to one of its three batches, by as few calls as will do.

    ``arrivals`` are new, ``places`` were created so close to each other that only a list tells in
    which order, ``changes`` were touched by an event; those are read after ``delay`` seconds if
    there is one. ``readings`` counts the lists, ``request`` has what they do not tell inspected.
    """

    def __init__(
        self,
        reflector: Reflector,
        store: JobStore,
        readings: Counter[ReadKind],
        request: Callable[[Iterable[str]], None],
        *,
        delay: float,
    ) -> None:
        self._reflector = reflector
        self._store = store
        self._readings = readings
        self._request = request
        self.arrivals = Batcher(self._read_arrivals, pauses=(_GATHER, 2 * _GATHER))
        # an event tells when a creation was over, and a list in which order they began
        self.places = Batcher(self._read_places, delay=_ORDER, longest_delay=_LONGEST)
        self.changes = Batcher(
            self._read_changes, delay=delay or _LEISURE, pauses=(_GATHER, _LEISURE)
        )

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for batch in (self.arrivals, self.places, self.changes):
                tasks.create_task(batch.run())

    def find_waiting(self, uids: Iterable[str]) -> set[str]:
        """Return those of ``uids`` that wait to be started, as far as events have told."""
        known, told = self._store.known, self._store.told
        return {uid for uid in uids if uid in told and known[uid].is_pending}

    async def _read_arrivals(self, created: set[str]) -> None:
        if len(created) > _ALONE:
            with contextlib.suppress(EngineError):
                await self._read_new()
        store = self._store
        self._request(uid for uid in created if uid not in store.known or uid in store.told)

    async def _read_places(self, created: set[str]) -> None:
        """Read the order of those that still wait; what has been started needs none."""
        waiting = self.find_waiting(created)
        if not waiting:
            return
        try:
            await self._read_new()
        except EngineError:
            # the job to list from has just been collected, perhaps
            for uid in waiting:
                self.places.add(uid)
        else:
            self._request(self.find_waiting(waiting))

    async def _read_changes(self, touched: set[str]) -> None:
        try:
            to_inspect = await self._reflector.read_some(touched)
            self._readings[ReadKind.SOME] += 1
            # what an event has touched meanwhile is about to be read anyway
            self._request(to_inspect - self.changes.waiting)
        except EngineError:
            self._request(touched)

    async def _read_new(self) -> None:
        self._request(await self._reflector.read_new())
        self._readings[ReadKind.NEW] += 1
