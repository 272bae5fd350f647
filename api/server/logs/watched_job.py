"""What is known of the job whose log is read: from the store at once, by inspects now and then."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from api.engine.errors import NotFoundError
from api.engine.interface import Engine
from api.engine.wait import wait_until_set
from api.v1.condition import find_ending
from api.v1.job import ACTIVE, FINISHED, LEAVING, Job, Status

TICK: Final = 0.5
"""Seconds after which a reader that nothing has woken looks at what is known of the job."""
_LOOK: Final = 2.0
"""Seconds at least between two inspects of a job of which there is no news."""
_APART: Final = 0.1
"""Seconds for each log that is read: that rarely is a job inspected of which there is no news."""
_PAUSE: Final = 1.0
"""Seconds between any two inspects."""
_FOLLOWED: Final = ACTIVE - {Status.RESTARTING, Status.STARTING}


class WatchedJob:
    """A job as of its last inspect, or as the store has learnt since.

    ``find_known`` returns what the store knows of a job, ``news`` is set whenever that changes,
    and ``count`` returns how many logs are read.
    """

    def __init__(
        self,
        engine: Engine,
        job: Job,
        find_known: Callable[[str], Job | None],
        news: asyncio.Event,
        count: Callable[[], int],
    ) -> None:
        self.job = job
        self.is_gone = False
        self._engine = engine
        self._find_known = find_known
        self._news = news
        self._count = count
        self._clock = asyncio.get_running_loop().time
        self._looked_at = self._clock() - _LOOK
        self._is_fresh = self.can_be_followed
        """Whether it was found just now, and a follow will tell whether that still holds."""
        self._is_told = False
        """Whether the store has told of it since an inspect."""
        self._known = None if job.is_to_run else find_known(job.uid)
        """What the store knew when the job was last looked at; it may be older than that look."""

    @property
    def can_be_followed(self) -> bool:
        """Whether the engine follows its log: between two runs a follow ends at once."""
        return self.job.status in _FOLLOWED

    @property
    def is_over(self) -> bool:
        """Whether it will write nothing any more."""
        if self.job.is_pending and find_ending(self.job, self._engine.now()) is not None:
            return True  # it is never started any more
        return self.is_gone or self.job.status in FINISHED | LEAVING

    async def wait(self) -> None:
        """Wait until the store has news, for a moment at most."""
        await wait_until_set(self._news, TICK)
        self._news.clear()

    def learn(self) -> bool:
        """Take over from the store that the job was started or has ended; tell whether it was.

        What a job writes first may be rotated away soon, and a job that is over be collected: the
        log is opened before an inspect has confirmed it. Where the store is wrong, the follow ends
        at once, and an inspect tells.
        """
        known = self._find_known(self.job.uid)
        if known is None or known is self._known or known.status is self.job.status:
            return False
        if known.status not in _FOLLOWED | FINISHED:
            return False
        self.job = self._known = known
        self._is_told, self._is_fresh = True, False
        return True

    async def look(self, *, at_once: bool = False) -> None:
        """Inspect the job if it is time; ``at_once``: as soon as may be, or learn how it is."""
        known, now = self._find_known(self.job.uid), self._clock()
        if self._is_fresh:
            self._is_fresh, self._looked_at = False, now
            return
        has_news = known is None or known.ended or known.status is not self.job.status
        rarely = max(_LOOK, _APART * self._count())
        due = self._looked_at + (_PAUSE if at_once or has_news else rarely)
        if now < due and not at_once:
            return
        while (now := self._clock()) < due:
            await wait_until_set(self._news, due - now)
            self._news.clear()
            if self.learn():
                return
        self._known, self._looked_at = self._find_known(self.job.uid), self._clock()
        try:
            job = await self._engine.inspect(self.job.uid)
        except NotFoundError:
            job = None
        self._is_told = False
        known, self.is_gone = self._find_known(self.job.uid), job is None
        if job is not None and known is not None:
            job = replace(job, mark=known.mark)
        self.job = job or known or self.job

    async def look_closely(self) -> None:
        """Have an inspect tell what the store has learnt from an event alone."""
        if self._is_told:
            self._looked_at = min(self._looked_at, self._clock() - _PAUSE)
            await self.look(at_once=True)
