"""The route that tells the page how engine and controller are, and why the first jobs wait."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from api.server.access.guard import read_grant
from api.server.http.answer import answer_json
from api.server.http.query import read_parameters
from api.server.job_handlers import JobHandlers
from api.server.plan_client import hide_others

_HEADERS: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class PlanHandler:
    """The route's function over what it asks."""

    shows: JobHandlers

    async def get_plan(self, request: web.Request) -> web.Response:
        """Show the state of both, and the waits that the token may read, first ones first.

        Tokens limited to paths are told no number of slots and no place: those count all jobs.
        """
        read_parameters(request.query, ())
        grant, index = read_grant(request), self.shows.index
        plan, known = await self.shows.plan.read(), index.source.store.known
        waits = {
            uid: hide_others(waiting) if grant.paths else waiting
            for uid, waiting in plan.waits.items()
            if (job := known.get(uid)) is not None and grant.may_read(job.spec.path)
        }
        counts = (None, None) if grant.paths else (plan.used, plan.allowed)
        controller = {"role": plan.role, "slotsUsed": counts[0], "slotsAllowed": counts[1]}
        outage = index.describe_outage()
        answer = {"engine": outage or {"up": True}, "controller": controller, "waits": waits}
        return answer_json(200, answer, _HEADERS)
