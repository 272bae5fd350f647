"""Opens the logs of tasks by way of a manager, which asks the node for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import aiohttp

from api.engine.docker.connection import Connection
from api.engine.docker.logs import LogFacts, LogReader, make_log_params
from api.engine.errors import EngineTimeoutError, NoLogError, NotFoundError
from api.engine.interface import LogFrame, LogReading
from api.engine.swarm.decode import find_current
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.services import Service, get_container, get_template
from api.engine.swarm.tasks import Task

_LOOK: Final = 1.0
"""Seconds without an entry after which it is asked whether the job of a followed log is over.

As long again without one, and its log has ended.
"""


class Logs:
    """The logs of the jobs that ``reader`` reads; ``opened`` is for whoever closes the engine.

    ``timeout`` is the deadline in seconds for a manager's answer and, where nothing is followed,
    for each part of it: from a node that is down it never comes.
    """

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        opened: set[aiohttp.ClientResponse],
        *,
        timeout: float,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._opened = opened
        self._timeout = timeout

    @asynccontextmanager
    async def open(
        self,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogReading]:
        """Open a log; see the Engine interface."""
        seen = await self._find(uid)
        driver = _read_driver(seen)
        if driver == "none":
            raise NoLogError("its log driver keeps nothing that can be read", driver)
        tasks = await self._reader.read_tasks(uid) if seen.service.start else ()
        task = find_run(seen.service, tasks)
        if task is None:
            yield NoEntries()
            return
        params = make_log_params(since, None, tail, follow=follow)
        response = await self._connection.open_stream(
            "GET", f"tasks/{task.id}/logs", params, patience=self._timeout
        )
        self._opened.add(response)
        try:
            facts = LogFacts(driver, has_terminal=_has_terminal(seen), rotates=True)
            reading = LogReader(response, facts, is_exact=False)
            if follow:
                yield Followed(reading, until, partial(self._is_over, uid))
            else:
                yield Bounded(reading, until, self._timeout)
        finally:
            self._opened.discard(response)
            response.close()

    async def _is_over(self, uid: str) -> bool:
        try:
            return not (await self._find(uid)).job.is_active
        except NotFoundError:
            return True

    async def _find(self, uid: str) -> Seen:
        seen = await self._reader.find(uid)
        if seen is None or seen.job.uid != uid:
            raise NotFoundError(404, f"No such job: {uid}")
        return seen


class NoEntries:
    """The log of a job that has not run."""

    is_exact = True
    room = None

    async def read(self) -> Sequence[LogFrame]:
        """Return that nothing comes."""
        return ()


class Bounded:
    """A log read to its end; a manager knows no ``until``, so later entries are dropped here."""

    is_exact = False
    room = None

    def __init__(self, reading: LogReading, until: int | None, patience: float) -> None:
        self._reading = reading
        self._until = until
        self._patience = patience

    async def read(self) -> Sequence[LogFrame]:
        """Return entries as they come; see the Engine interface."""
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    frames = await self._reading.read()
            except TimeoutError as error:
                raise EngineTimeoutError("the node of the job does not send its log") from error
            kept = cut(frames, self._until)
            if kept or not frames:
                return kept


class Followed:
    """A log that is followed. A manager never ends it, so it ends when its job is over."""

    is_exact = False
    room = None

    def __init__(
        self, reading: LogReading, until: int | None, is_over: Callable[[], Awaitable[bool]]
    ) -> None:
        self._reading = reading
        self._until = until
        self._is_over = is_over
        self._has_ended = False

    async def read(self) -> Sequence[LogFrame]:
        """Return entries as they come; see the Engine interface."""
        while not self._has_ended:
            frames = await self._wait()
            if frames is None:
                break
            if kept := cut(frames, self._until):
                return kept
            if not frames or (self._until is not None and frames[-1].time > self._until):
                break
        self._has_ended = True
        return ()

    async def _wait(self) -> Sequence[LogFrame] | None:
        """Return the next entries; ``None`` if the job is over and nothing comes any more."""
        is_over = False
        while True:
            try:
                async with asyncio.timeout(_LOOK):
                    return await self._reading.read()
            except TimeoutError:
                if is_over:
                    return None
                is_over = await self._is_over()


def cut(frames: Sequence[LogFrame], until: int | None) -> Sequence[LogFrame]:
    """Return the entries up to a time, that included."""
    return frames if until is None else [frame for frame in frames if frame.time <= until]


def find_run(service: Service, tasks: Sequence[Task]) -> Task | None:
    """Return the task whose log is the job's: the last that has run; ``None`` if none has."""
    current = find_current(service, tasks) or tasks
    return next((task for task in reversed(current) if task.has_container), None)


def _read_driver(seen: Seen) -> str:
    """Return the log driver that the manifest names; that of the node is not known here."""
    return str((get_template(seen.service.spec).get("LogDriver") or {}).get("Name") or "")


def _has_terminal(seen: Seen) -> bool:
    return bool(get_container(seen.service.spec).get("TTY"))
