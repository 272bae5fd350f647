"""Waits for the end of jobs: whoever waits is told of it within a second, with its true outcome."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from api.engine.errors import EngineError
from api.engine.interface import Event
from api.engine.wait import wait_until_set
from api.informer.informer import Informer
from api.server.jobs.collected import Collected
from api.server.jobs.lookup import Found, Jobs
from api.server.jobs.wakers import Wakers
from api.v1.condition import derive_condition
from api.v1.job import Job
from api.v1.view import is_over

LONGEST: Final = 300.0
"""Seconds that a request may wait."""

_LOOK: Final = 1.0
"""Seconds after which it is seen that a client has left."""
_SOONEST: Final = 2.0
_APART: Final = 0.1
"""Seconds for each job that is waited for: it is inspected that rarely, if no event tells of it."""
_LOOK_MOST: Final = 0.4
"""Seconds that an inspect of a known job may take: some containers wait for a wedged engine."""
_SETTLE: Final = 0.5
"""Seconds in which the last events of a job come that is gone already."""


class Waiting:
    """Who waits for which job. Listens to the informer, whose ``store`` and inspects it uses."""

    def __init__(self, collected: Collected) -> None:
        self._collected = collected
        self._watched = Wakers()
        self._attached: tuple[Informer, Jobs] | None = None
        self._is_ending = False

    def attach(self, informer: Informer, jobs: Jobs) -> None:
        """Use ``informer``, whose listener this is, and ``jobs``, which look into its store."""
        self._attached = informer, jobs

    @property
    def _reads(self) -> Informer:
        assert self._attached is not None
        return self._attached[0]

    @property
    def _jobs(self) -> Jobs:
        assert self._attached is not None
        return self._attached[1]

    def on_event(self, event: Event) -> None:
        """Have a job inspected at once that somebody waits for: others may be read later."""
        if event.uid in self._watched:
            self._reads.reread(event.uid)
            self._watched.wake(event.uid)

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Wake who waits for a job."""
        self._watched.on_change(old, new)

    def on_resync(self) -> None:
        """Do nothing: only changes count."""

    async def end(self, *_: object) -> None:
        """Have everybody answered at once with what is known: service ends."""
        self._is_ending = True
        self._watched.wake_all()

    async def wait(
        self,
        ref: str,
        seconds: float,
        *,
        is_left: Callable[[], bool] = lambda: False,
        recalls: bool = False,
    ) -> Found | None:
        """Return the job of this id or uid once it is over, or as it is after ``seconds``.

        At once where there is none (None), where service ends, and where the client has left. One
        that is gone already is returned only if ``recalls``. Subscribes, then inspects, then waits:
        nothing falls between. An engine that does not answer for the job delays nothing; raises
        ``EngineError`` where it is away and the job is not known.
        """
        end = asyncio.get_running_loop().time() + seconds
        with self._watched.subscribe(ref) as news:
            found = await self._find(ref)
            if found is not None and self._has_ended(found):
                return found
            if found is None:
                gone = self._collected.find(ref) if recalls else None
                if gone is None:
                    return None
                found = Found(gone.job)
            with self._watched.subscribe(found.job.uid, news):
                return await self._wait(found, end, news, is_left)

    async def _wait(
        self,
        found: Found,
        end: float,
        news: asyncio.Event,
        is_left: Callable[[], bool],
    ) -> Found:
        loop = asyncio.get_running_loop()
        uid = found.job.uid
        looked_at = gone_at = loop.time()
        is_here = True
        while True:
            news.clear()
            known = self._reads.store.known.get(uid)
            if known is not None:
                found = await self._judge(known)
                if self._has_ended(found) and (known.detailed or known.is_pending):
                    return found
                if known.is_finished or loop.time() >= looked_at + self._interval():
                    looked_at = loop.time()
                    self._reads.reread(uid)
            elif (gone := self._collected.find(uid)) is not None:
                gone_at, is_here = (loop.time(), False) if is_here else (gone_at, False)
                found = Found(gone.job)
                if gone.is_settled or loop.time() >= gone_at + _SETTLE:
                    return found
            elif loop.time() >= looked_at + self._interval():
                looked_at = loop.time()
                self._reads.reread(uid)
            now = loop.time()
            if self._is_ending or is_left():
                return found
            if now >= end:
                return await self._look(uid) or found
            await wait_until_set(news, min(end - now, _LOOK if is_here else _SETTLE))

    async def _judge(self, known: Job) -> Found:
        """Return a job as it is known, or as an inspect shows it that is not to start any more.

        A start of it may be in flight: an inspect waits for that.
        """
        found = Found(known, is_silent=known.uid in self._reads.unresponsive)
        if not known.is_pending or not self._has_ended(found):
            return found
        return await self._look(known.uid) or Found(known, is_silent=True)

    async def _find(self, ref: str) -> Found | None:
        """Return a job as an inspect shows it, or as it was known where none comes soon.

        Raises ``EngineError`` if it was not known.
        """
        known = self._recall(ref)
        try:
            async with asyncio.timeout(None if known is None else _LOOK_MOST):
                return await self._jobs.find(ref)
        except (EngineError, TimeoutError):
            known = self._recall(ref) or known
            if known is None:
                raise
            self._reads.reread(known.uid)
            # that no start of one that waits is in flight, only an inspect tells
            is_silent = known.is_pending or known.uid in self._reads.unresponsive
            return Found(known, is_silent=is_silent)

    async def _look(self, uid: str) -> Found | None:
        """Return a job as an inspect shows it, if one does soon."""
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(_LOOK_MOST):
                return await self._jobs.find(uid)
        return None

    def _recall(self, ref: str) -> Job | None:
        store = self._reads.store
        return store.known.get(store.find_uid(ref) or ref)

    def _has_ended(self, found: Found) -> bool:
        condition = derive_condition(found.job, self._jobs.now(), is_silent=found.is_silent)
        return is_over(found.job, condition)

    def _interval(self) -> float:
        return max(_SOONEST, _APART * len(self._watched))
