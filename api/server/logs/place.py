"""How far one log has been read: opens it there again, and knows what may be missing before."""

from collections.abc import Sequence

from api.engine.interface import Engine, LogFrame
from api.server.logs.cursor import Cursor
from api.server.logs.loss import Beginning
from api.server.logs.opened import OpenLog
from api.server.logs.query import LogQuery
from api.v1.job import Job


class Place:
    """The place in the log of ``job`` up to which it was read as ``query`` wants it.

    ``has_begun`` tells whether a reading of it has shown all that was there.
    """

    def __init__(self, engine: Engine, job: Job, query: LogQuery) -> None:
        self.has_begun = False
        self._engine = engine
        self._uid = job.uid
        self._query = query
        self._was_pending = job.is_to_run
        self._began = engine.now()
        self._cursor = Cursor()
        self._beginning: Beginning | None = None

    @property
    def new_since(self) -> int | None:
        """Since when all entries are new (ns), once those that were there have been read."""
        return self._began if self.has_begun else None

    def note(self, frames: Sequence[LogFrame]) -> bool:
        """Go on over entries; tell whether others may be missing before the log's first."""
        self._cursor.note(frames)
        return self._beginning is not None and self._beginning.note(frames)

    async def open_sign(self) -> OpenLog:
        """Open a follow of what is written from now on."""
        return await OpenLog.make(self._engine, self._uid, tail=0, follow=True)

    async def open(self, *, follow: bool, expected: int = 0) -> OpenLog:
        """Open the log where it was left; ``expected`` entries are new."""
        if self._cursor.is_at_start:
            return await self._open_first(follow=follow)
        attempt, before = 0, None
        while True:
            tail = self._cursor.choose_tail(attempt, expected)
            opened = await OpenLog.make(
                self._engine,
                self._uid,
                until=self._query.until,
                tail=tail,
                follow=follow,
                overlap=self._cursor.begin(),
            )
            first = await opened.peek()
            if first is None:
                # a tail is counted before ``until`` is: what is wanted may lie before all of it
                is_enough = self._query.until is None
            else:
                # what begins with the same although it may be longer is all there is
                is_enough = first == before or self._cursor.is_before(first)
            if is_enough or tail is None:
                return opened
            before, attempt = first, attempt + 1
            await opened.close()

    async def _open_first(self, *, follow: bool) -> OpenLog:
        """Open it as it is asked for; what a job writes after that is wanted whatever the tail."""
        since, tail = self._query.since, self._query.tail
        if self._was_pending and tail is not None:
            tail = None
        elif self.has_begun and tail is not None:
            since, tail = max(since or 0, self._began), None
        opened = await OpenLog.make(
            self._engine,
            self._uid,
            since=since,
            until=self._query.until,
            tail=tail,
            follow=follow,
        )
        if tail == 0:
            # of what is there nothing is wanted: whatever comes after this is new
            self.has_begun = True
        if since is None and tail is None:
            self._beginning = Beginning(opened.room, self._engine.now())
        return opened
