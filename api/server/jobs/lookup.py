"""Jobs as clients see them: found by id, shown as the engine shows them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from api.engine.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
)
from api.engine.interface import Engine
from api.informer.store import JobStore
from api.server.jobs.looks import Looks
from api.v1.job import Job
from api.v1.labels import is_valid_name

_PATIENCE: Final = 3.0  # an inspect takes a millisecond, or waits for a wedged container
_LIST: Final = 1.0  # seconds that the full list may take which tells of all who are asked for


@dataclass(frozen=True, slots=True)
class Found:
    """A job; ``is_silent``: the engine does not inspect it, and a list told what is known."""

    job: Job
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class NameTaken:
    """The name of a job belongs to a container that is another job, or none."""


async def _read_nothing() -> bool:
    """Stand in for ``Informer.catch_up`` where no informer fills the store."""
    return False


class Jobs:
    """The jobs on ``engine``; ``store`` knows those not called by their id any more, and marks.

    ``catch_up`` is that of the informer that fills the store.
    """

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        catch_up: Callable[[], Awaitable[bool]] = _read_nothing,
    ) -> None:
        self._engine = engine
        self._looks = Looks(engine)
        self._store = store
        self._catch_up = catch_up

    async def find(self, job_id: str) -> Found | None:
        """Return the job of this id, or else of this uid: by one inspect, unless it was renamed.

        One that is unknown while a full list is due is looked for there: after a start or a break
        all clients ask at once. Raises ``EngineError``.
        """
        if not is_valid_name(job_id):
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                if await self._is_in_no_list(job_id):
                    return None
                job = await self._find(job_id)
        except (EngineTimeoutError, TimeoutError) as error:
            if (job := await self._find_listed(job_id)) is None:
                raise EngineTimeoutError("no answer to inspect") from error
            return Found(self._attach_mark(job), is_silent=True)
        return None if job is None else Found(self._attach_mark(job))

    def now(self) -> int:
        """Return the engine's time (ns)."""
        return self._engine.now()

    def _attach_mark(self, job: Job) -> Job:
        """Return a job as the engine shows it, with the cancel that the store knows of."""
        mark = self._store.marks.by_job.get(job.uid)
        return job if mark is None else replace(job, mark=mark)

    async def _find(self, ref: str) -> Job | None:
        try:
            seen = await self._looks.inspect(ref)
        except NotFoundError:
            # where it is the uid of a job that the store knows, no event has told of its end yet
            self._store.fold_missing(ref)
            seen = None
        if seen is not None and seen.id == ref:
            return seen
        # the uid of one job may be the id of another
        by_id = await self.find_by_id(ref)
        return seen if by_id is None and seen is not None and seen.uid == ref else by_id

    async def _is_in_no_list(self, ref: str) -> bool:
        """Tell whether a list that was asked for after this call shows no such job."""
        if self._is_known(ref):
            return False
        return await self._read_list() and not self._is_known(ref)

    def _is_known(self, ref: str) -> bool:
        return self._store.find_uid(ref) is not None or ref in self._store.known

    async def _read_list(self) -> bool:
        """Wait for the full list that is due; tell whether it was asked for after this call.

        Raises ``EngineUnavailableError``; any other failure may be that of long lists alone.
        """
        try:
            async with asyncio.timeout(_LIST):
                return await self._catch_up()
        except EngineUnavailableError:
            raise
        except (EngineError, TimeoutError):
            return False

    async def find_by_name(self, job_id: str) -> Job | NameTaken | None:
        """Return the job of this id if it is called so, or whether something else is."""
        try:
            job = await self._engine.inspect(job_id)
        except NotFoundError:
            return None
        if job is None or job.id != job_id:
            return NameTaken()
        return self._attach_mark(job)

    async def find_by_id(self, job_id: str) -> Job | None:
        """Return the job of this id, whatever it is called now.

        The engine is not asked where the store knows of no such job; before the store has read
        everything once, a list tells.
        """
        uid = self._store.find_uid(job_id)
        if uid is None and not self._store.has_read_all:
            await self._read_list()
            uid = self._store.find_uid(job_id)
        if uid is None and not self._store.has_read_all:
            listed = await self._find_listed(job_id)
            uid = None if listed is None else listed.uid
        if uid is None:
            return None
        try:
            job = await self._looks.inspect(uid)
        except NotFoundError:
            self._store.fold_missing(uid)
            return None
        return self._attach_mark(job) if job is not None and job.id == job_id else None

    def note_created(self, job: Job) -> None:
        """Have the store know a job that was created just now, before any list tells."""
        self._store.fold_created(job)

    async def _find_listed(self, job_id: str) -> Job | None:
        return next(iter(await self._engine.list(job_id=job_id)), None)
