"""The events of jobs: services' from the manager, and what a look at running tasks shows beside.

A manager tells when a service is created, updated or removed, and nothing of tasks. So while any
job is active its tasks are looked at, as often as costs a twentieth of a processor at most.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import aiohttp

from api.engine.docker.connection import Connection
from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import EngineError
from api.engine.interface import Event, EventKind
from api.engine.swarm.notices import Notice, NoticeReader
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.tasks import Task
from api.engine.swarm.telling import (
    Told,
    find_events,
    has_ended,
    make_creation,
    make_removals,
    shows_all,
    summarize,
)
from api.v1.job import Status
from api.v1.times import SECOND

_UNREADABLE: Final = Event(EventKind.UNREADABLE, uid="", time=0)
_CREATION: Final = "create"
_REMOVAL: Final = "remove"
_SHARE: Final = 20
"""A look's cost, times this, is the interval between two."""
_HASTE: Final = 8
"""The same while jobs end: the next end is near, and a slot is empty until a look shows it."""
_TURNOVER: Final = 1.0
"""Seconds after an end for which others are expected."""
_RECENT: Final = 8
"""Looks, the quickest of which tells what one costs."""
SHORTEST: Final = 0.025
"""Seconds between two looks, at least."""
LONGEST: Final = 0.5
"""Seconds, at most."""
_REMEMBERED: Final = 10_000  # jobs that are not active


class Subscriptions:
    """Opens streams of events; ``opened`` keeps the responses for whoever closes the engine.

    ``on_seen`` is called with all that is read. ``timeout``: the deadline of a call in seconds,
    ``shortest``: the seconds between two looks at tasks, at least.
    """

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        opened: set[aiohttp.ClientResponse],
        on_seen: Callable[[Seen], None],
        *,
        timeout: float,
        shortest: float,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._opened = opened
        self._on_seen = on_seen
        self._timeout = timeout
        self._shortest = shortest
        self._newest: int | None = None
        self._former: EventStream | None = None
        self._stream: EventStream | None = None

    def follow(self, seen: Seen) -> None:
        """Look on at an active job that was listed: its task may have been called off before."""
        if self._stream is not None:
            self._stream.follow(seen)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe; see the Engine interface. As on Docker it begins with a second of the past."""
        clock = self._connection.clock
        recent = clock.now() - SECOND
        since = recent if self._newest is None else min(self._newest, recent)
        filters = {"type": ["service"], "scope": ["swarm"]}
        params = {"filters": json.dumps(filters), "since": str(since // SECOND)}
        response = await self._connection.open_stream(
            "GET", "events", params, patience=self._timeout
        )
        self._opened.add(response)
        stream = EventStream(
            response, self._reader, clock.now, self._on_seen, shortest=self._shortest
        )
        former, self._former = self._former, None
        try:
            await stream.begin(former)
            self._stream = stream
            yield stream
        finally:
            self._former, self._stream = stream, None
            self._newest = max(since, stream.newest)
            self._opened.discard(response)
            response.close()
            await stream.close()


class EventStream:
    """Iterates over what the events of an open response, and looks at tasks, tell of jobs."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        reader: Reader,
        now: Callable[[], int],
        on_seen: Callable[[Seen], None],
        *,
        shortest: float,
    ) -> None:
        self._notices = NoticeReader(response)
        self._shortest = shortest
        self._reader = reader
        self._now = now
        self._on_seen = on_seen
        self._queue: asyncio.Queue[Event | EngineError | None] = asyncio.Queue()
        self._told: dict[str, Told] = {}
        self._active: dict[str, Seen] = {}
        self._idle: dict[str, Sequence[Task]] = {}
        """Tasks of jobs that are not active, as they were seen: one of them may wait for ever."""
        self._has_active = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._began = 0
        self._hasty_until = 0.0
        self.newest = 0
        """The time of the newest event (ns)."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        item = await self._queue.get()
        if isinstance(item, Event):
            return item
        self._queue.put_nowait(item)  # whoever asks again gets the same answer
        if item is None:
            raise StopAsyncIteration
        raise item

    async def begin(self, former: Self | None = None) -> None:
        """Begin to listen and to look.

        What is active now is known without an event, but for what a ``former`` stream has told
        otherwise: a break must not swallow an end.
        """
        if former is not None:
            self._told, self._active = former._told, former._active  # noqa: SLF001 - of one kind
        running = await self._reader.read_running()
        for seen in await self._reader.read({*running, *self._active}):
            if seen.job.uid in self._told:
                self._tell_news(seen, self._now())
            else:
                self._keep(seen, summarize(seen))
        self._began = self._now()
        self._tasks = [asyncio.create_task(self._run(part)) for part in (self._hear, self._look_on)]

    def follow(self, seen: Seen) -> None:
        """Look on at an active job of which nothing was told yet."""
        if seen.job.uid not in self._told and seen.job.is_active:
            self._keep(seen, summarize(seen))

    async def close(self) -> None:
        """End listening and looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, part: Callable[[], Any]) -> None:
        try:
            with translate_errors():
                await part()
            self._queue.put_nowait(None)
        except EngineError as error:
            self._queue.put_nowait(error)

    # Services' events ---------------------------------------------------------------------------

    async def _hear(self) -> None:
        while (notices := await self._notices.read()) is not None:
            for _ in range(notices.count(None)):
                self._queue.put_nowait(_UNREADABLE)
            await self._hear_of([notice for notice in notices if notice is not None])

    async def _hear_of(self, notices: Sequence[Notice]) -> None:
        """Tell of what came together; the services are read together, as they are by now."""
        changed = {notice.uid for notice in notices if notice.action != _REMOVAL}
        found = {seen.job.uid: seen for seen in await self._reader.read(changed)}
        for notice in notices:
            uid, moment = notice.uid, max(notice.time, self.newest)
            seen = found.get(uid)
            if notice.action == _REMOVAL:
                if uid in self._told or uid in self._reader.ours:
                    self._tell(*make_removals(uid, self._told.pop(uid, None), moment))
                    self._active.pop(uid, None)
            elif seen is not None:
                if notice.action == _CREATION:
                    self._tell(make_creation(seen.job, moment))
                    self._told.setdefault(uid, Told(Status.CREATED))
                self._tell_news(seen, moment)

    # Looks at tasks -----------------------------------------------------------------------------

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        costs: deque[float] = deque(maxlen=_RECENT)
        while True:
            await self._has_active.wait()
            began = loop.time()
            await self._look()
            # a manager that is busy answers late: that is no cost of the look's
            costs.append(loop.time() - began)
            pause = min(costs) * _SHARE
            if loop.time() < self._hasty_until:
                pause = min(pause, costs[-1] * _HASTE)
            if not self._active:
                self._has_active.clear()
            await asyncio.sleep(min(max(pause, self._shortest), LONGEST))

    async def _look(self) -> None:
        running = await self._reader.read_running()
        unclear = {uid for uid in self._active if uid not in running}
        self._idle = {uid: tasks for uid, tasks in self._idle.items() if running.get(uid) == tasks}
        for uid, tasks in running.items():
            known = self._active.get(uid)
            if uid in self._idle or (known is not None and tasks == known.tasks):
                continue
            if known is None or not shows_all(tasks, known):
                unclear.add(uid)
            else:
                self._tell_news(self._reader.judge(known.service, tasks), self._now())
        unclear -= await self._tell_ends(unclear - running.keys())
        services = await self._reader.read_services(unclear)
        # an ended task that is to go may be gone by now, and its exit code with it
        for seen in await self._reader.complete(services, running):
            self._tell_news(seen, self._now())
            unclear.discard(seen.job.uid)
            if not seen.job.is_active and seen.job.uid in running:
                self._idle[seen.job.uid] = running[seen.job.uid]
        for uid in unclear:
            self._active.pop(uid, None)  # gone: its event tells

    async def _tell_ends(self, uids: Collection[str]) -> set[str]:
        """Tell of the jobs among these whose tasks show that they ended by themselves; return them.

        What was done to a service meanwhile changes nothing of such an end.
        """
        found, _ = await self._reader.read_tasks_of(uids)
        told = set()
        for uid, tasks in found.items():
            known = self._active.get(uid)
            if known is not None and has_ended(tasks[-1], known.service):
                self._tell_news(self._reader.judge(known.service, tasks), self._now())
                told.add(uid)
        return told

    # What is told -------------------------------------------------------------------------------

    def _tell_news(self, seen: Seen, moment: int) -> None:
        uid, new = seen.job.uid, summarize(seen)
        old = self._told.get(uid)
        self._keep(seen, new)
        self._on_seen(seen)
        self._tell(*find_events(old, new, seen, moment, since=self._began))

    def _keep(self, seen: Seen, told: Told) -> None:
        uid = seen.job.uid
        self._told.pop(uid, None)
        self._told[uid] = told
        if told.is_active:
            self._active[uid] = seen
            self._has_active.set()
        else:
            self._active.pop(uid, None)
        if len(self._told) > _REMEMBERED:
            oldest = next(iter(self._told))
            kept = self._told.pop(oldest)
            if oldest in self._active:
                self._told[oldest] = kept

    def _tell(self, *events: Event) -> None:
        for event in events:
            self.newest = max(self.newest, event.time)
            self._queue.put_nowait(event)
            if event.kind is EventKind.ENDED:
                self._hasty_until = asyncio.get_running_loop().time() + _TURNOVER
