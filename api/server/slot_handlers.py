"""The route that shows which jobs held a slot lately."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypedDict

from aiohttp import web

from api.server.access.guard import read_grant
from api.server.http.answer import answer_json
from api.server.http.query import read_parameters
from api.server.jobs.index import JobIndex
from api.server.jobs.slots import WINDOW, Hold, Slots
from api.v1.condition import derive_condition
from api.v1.job import Phase
from api.v1.times import format_time

_STRETCH: Final = 500
"""Jobs that are shown before others have a turn."""


class SlotView(TypedDict):
    """A job's time in a slot; ``ended`` is null while it holds it."""

    uid: str
    id: str
    queue: str
    phase: Phase
    started: str | None
    ended: str | None


@dataclass(frozen=True, slots=True)
class SlotHandlers:
    """The route's function over what it asks; ``now`` is the engine's clock (ns)."""

    index: JobIndex
    slots: Slots
    now: Callable[[], int]

    async def list_slots(self, request: web.Request) -> web.Response:
        """Show who held a slot within the last hour, of the jobs that the token may read.

        ``since`` is later than an hour ago where more jobs ended since than are remembered, which
        a token that may not read them all is not told.
        """
        read_parameters(request.query, ())
        await self.index.wait_until_read()
        grant, now = read_grant(request), self.now()
        since = now - WINDOW if grant.paths else self.slots.find_beginning(now)
        items: list[SlotView] = []
        for number, hold in enumerate(self.slots.list_holds(), 1):
            if grant.may_read(hold.job.spec.path):
                items.append(self._view(hold, now))
            if number % _STRETCH == 0:
                await asyncio.sleep(0)
        answer = {"since": format_time(since), "until": format_time(now), "items": items}
        return answer_json(200, answer, {"Cache-Control": "no-store"})

    def _view(self, hold: Hold, now: int) -> SlotView:
        job = hold.job
        is_silent = hold.ended is None and self.index.is_silent(job.uid)
        return {
            "uid": job.uid,
            "id": job.id,
            "queue": job.spec.wishes.queue,
            "phase": derive_condition(job, now, is_silent=is_silent).phase,
            "started": format_time(hold.started),
            "ended": format_time(hold.ended),
        }
