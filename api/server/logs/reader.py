"""Reads one job's log to the job's end, each entry once, over as many readings as that takes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineTimeoutError,
    NoLogError,
    NotFoundError,
)
from api.engine.interface import Engine, LogFrame
from api.server.logs.opened import OpenLog
from api.server.logs.place import Place
from api.server.logs.query import LogQuery
from api.server.logs.watched_job import TICK, WatchedJob
from api.v1.job import LEAVING, Job
from api.v1.times import SECOND

_CHECK: Final = 1.0
"""Seconds of silence after which it is read whether a follow has gone deaf; doubled each time."""
_RAREST: Final = 30.0
_GATHER: Final = 0.03
"""Seconds between a sign that there is news and reading it, where a follow is only a sign."""
_PATIENCE: Final = 10.0
"""Seconds that the engine may be away, as it is for a restart."""
_SILENCE: Final = 60.0
"""Seconds without an entry after which a reading that must end counts as broken."""


class JobLog:
    """The log of ``job`` as ``query`` wants it.

    For ``find_known``, ``news`` and ``count`` see :class:`WatchedJob`. The engine's follow is
    believed neither in its end, which may come early or never, nor in its silence, nor, where it is
    not exact, in what it sends: then it is only a sign that something can be read. ``is_exact`` is
    what an earlier reading of this log has said. ``has_ended`` tells whether all was read that will
    ever be, ``reopened`` how often a follow had to be begun anew, ``has_gap`` whether entries may
    be missing before those that were read last, and ``is_torn`` whether any may.
    """

    def __init__(
        self,
        engine: Engine,
        job: Job,
        query: LogQuery,
        find_known: Callable[[str], Job | None],
        *,
        news: asyncio.Event,
        count: Callable[[], int] = lambda: 1,
        is_exact: bool = True,
    ) -> None:
        self.has_ended = False
        self.reopened = 0
        self.has_gap = False
        self.is_torn = False
        self._engine = engine
        self._query = query
        self._place = Place(engine, job, query)
        self._state = WatchedJob(engine, job, find_known, news, count)
        self._is_exact = is_exact
        self._clock = asyncio.get_running_loop().time
        self._is_behind = False
        self._torn: OpenLog | None = None
        """The last reading of which a gap was told."""
        self._follow: OpenLog | None = None
        self._part: OpenLog | None = None
        """What is read to its end, before the follow is."""
        self._part_is_rest = False
        self._part_is_check = False
        self._is_waiting = False
        """Whether there was nothing to follow yet when it was last looked."""
        self._has_followed = False
        self._heard_at = self._clock()
        self._check = _CHECK
        self._trouble_since: float | None = None

    @property
    def job(self) -> Job:
        """The job's last known state."""
        return self._state.job

    @property
    def new_since(self) -> int | None:
        """Since when all entries are new (ns), once those that were there have been read."""
        return self._place.new_since

    async def read(self) -> Sequence[LogFrame]:
        """Return the next entries; none after a moment without any, or at the end.

        Raises ``NoLogError``, and ``EngineError`` where the engine stays away.
        """
        self.has_gap = False
        try:
            frames = await self._step()
        except (NoLogError, asyncio.CancelledError):
            raise
        except NotFoundError:
            # with the job its log is gone
            await self._finish()
            return ()
        except EngineError as error:
            if isinstance(error, ConflictError) and self.job.status in LEAVING:
                await self._finish()
            else:
                await self._bear(error)
            return ()
        self.is_torn |= self._place.note(frames) or self.has_gap
        return [f for f in frames if self._query.stream in {None, f.stream}]

    async def suspend(self) -> None:
        """Close what is open on the engine; the next read goes on where the last one was."""
        part, self._part = self._part, None
        self._part_is_rest = self._part_is_check = False
        if part is not None:
            await part.close()
        await self._close_follow()

    async def fall_behind(self) -> None:
        """Close a follow: what is rotated away would be left out of one that is read slowly.

        What is read to its end stays open: it has all that was there at its begin.
        """
        self._is_behind = True
        await self._close_follow()

    async def _close_follow(self) -> None:
        follow, self._follow = self._follow, None
        if follow is not None:
            await follow.close()

    async def _step(self) -> Sequence[LogFrame]:
        if self._part is not None:
            return await self._read_part(self._part)
        if self._follow is not None:
            return await self._read_follow(self._follow)
        if self._is_behind:
            self._is_behind = False
            self._part = await self._place.open(follow=False)
            self._heard_at = self._clock()
            return ()
        if not self._state.learn():
            await self._state.look(at_once=not self._is_waiting)
        self._is_waiting = False
        if not self._query.follow or self._is_over():
            await self._begin_rest()
        elif self._state.can_be_followed:
            await self._begin_follow()
        else:
            self._is_waiting = True
            self._hear()
            await self._state.wait()
        return ()

    async def _begin_follow(self) -> None:
        self.reopened += self._has_followed
        self._has_followed = True
        opened = await self._place.open(follow=True) if self._is_exact else None
        if opened is not None and opened.is_exact:
            self._follow = opened
        else:
            if opened is not None:
                await opened.close()
            # subscribe first, then read: nothing falls between
            self._follow = await self._place.open_sign()
            self._part = await self._place.open(follow=False)
            self._is_exact = False
        self._heard_at = self._clock()

    async def _read_follow(self, opened: OpenLog) -> Sequence[LogFrame]:
        try:
            async with asyncio.timeout(TICK):
                frames = await opened.read()
        except TimeoutError:
            return await self._meet_silence()
        if frames is None:
            await self.suspend()
            self._place.has_begun = True
            return ()
        self._hear()
        await self._state.look()
        if self._is_exact:
            self._note_gap(opened)
            return frames
        await asyncio.sleep(_GATHER)
        self._part = await self._place.open(follow=False, expected=len(frames))
        return ()

    async def _meet_silence(self) -> Sequence[LogFrame]:
        self._trouble_since = None
        self._place.has_begun = True
        await self._state.look()
        if self._is_over():
            await self._begin_rest()
        elif self._clock() >= self._heard_at + self._check:
            # a rotation may have made it deaf
            self._check = min(2 * self._check, _RAREST)
            self._heard_at = self._clock()
            self._part = await self._place.open(follow=False)
            self._part_is_check = True
        return ()

    async def _read_part(self, opened: OpenLog) -> Sequence[LogFrame]:
        try:
            async with asyncio.timeout(TICK):
                frames = await opened.read()
        except TimeoutError:
            if self._clock() > self._heard_at + _SILENCE:
                raise EngineTimeoutError("the log does not go on") from None
            return ()
        if frames is None:
            self._part, was_rest = None, self._part_is_rest
            self._part_is_check = False
            self._place.has_begun = True
            await opened.close()
            if was_rest:
                await self._end_rest()
            return ()
        if frames:
            self._hear()
            self._note_gap(opened)
            if self._part_is_check:
                await self._close_follow()
        return frames

    async def _begin_rest(self) -> None:
        await self.suspend()
        if self._state.is_gone:
            self.has_ended = True
            return
        self._part = await self._place.open(follow=False)
        self._part_is_rest = True
        self._heard_at = self._clock()

    async def _end_rest(self) -> None:
        """End, unless an inspect shows that the job has not."""
        await self._state.look_closely()
        if not self._query.follow or self._is_over():
            await self._finish()

    async def _finish(self) -> None:
        await self.suspend()
        self.has_ended = True

    def _note_gap(self, opened: OpenLog) -> None:
        """Tell once of a gap in a reading: before its first new entry."""
        if opened.has_gap and opened is not self._torn:
            self._torn, self.has_gap = opened, True

    def _hear(self) -> None:
        self._heard_at = self._clock()
        self._check = _CHECK
        self._trouble_since = None

    async def _bear(self, error: EngineError) -> None:
        """Wait a moment for the engine; raise what it has if that lasts."""
        await self.suspend()
        now = self._clock()
        if self._trouble_since is None:
            self._trouble_since = now
        if now > self._trouble_since + _PATIENCE:
            raise error
        await asyncio.sleep(TICK)

    def _is_over(self) -> bool:
        """Tell whether no entry will follow any more."""
        until = self._query.until
        if until is not None and self._engine.now() > until + SECOND:
            return True
        return self._state.is_over
