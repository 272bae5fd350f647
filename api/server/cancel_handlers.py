"""The routes that cancel jobs: one by its id, and all that a filter takes."""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from api.engine.errors import EngineError
from api.informer.health import EngineHealth
from api.server.access.guard import read_grant, step_aside
from api.server.access.tokens import Act, Grant
from api.server.http.answer import answer_json
from api.server.http.problem import Problem
from api.server.http.query import (
    Parameters,
    read_parameters,
    read_seconds,
    read_switch,
    refuse_parameter,
)
from api.server.http.reasons import ProblemReason
from api.server.http.request_path import read_job_id
from api.server.job_handlers import JobHandlers, find_nothing, watch_for_leaving
from api.server.jobs.canceller import Canceller, CancelWish
from api.server.jobs.lookup import Found
from api.server.jobs.query import FILTERS, MANY, read_filter
from api.server.jobs.waiting import LONGEST
from api.v1.condition import derive_condition
from api.v1.job import Job
from api.v1.mark import LONGEST_WHY
from api.v1.text import escape_hidden
from api.v1.view import is_over

_LONGEST_GRACE: Final = 86_400.0
"""Seconds."""
_NO_GRACE: Final = "cannot be chosen on a Docker Swarm: a job has its manifest's StopTimeout there"


@dataclass(frozen=True, slots=True)
class CancelHandlers:
    """The routes' functions over what they ask."""

    shows: JobHandlers
    canceller: Canceller
    health: EngineHealth

    async def cancel_job(self, request: web.Request) -> web.Response:
        """Record that one job is no longer wanted; 200 if it is over, 202 while it is stopped."""
        found = read_parameters(request.query, ("grace", "purge", "why", "wait"))
        wish, seconds = read_wish(found), read_seconds(found, "wait", LONGEST)
        if wish.grace is not None and not (await self.health.get_info()).capabilities.grace:
            raise refuse_parameter("grace", _NO_GRACE)
        if seconds is None:
            return self._answer(await self._cancel(request, wish), request)
        if Act.READ not in read_grant(request).acts:
            raise Problem(403, ProblemReason.OUT_OF_SCOPE, "to wait, a token must allow to read")
        with self.shows.watchers.hold("wait"):
            job = (await self._cancel(request, wish)).job
            step_aside(request)
            is_left = watch_for_leaving(request)
            ended = await self.shows.waiting.wait(job.uid, seconds, is_left=is_left, recalls=True)
            return self._answer(ended or Found(job), request)

    async def _cancel(self, request: web.Request, wish: CancelWish) -> Found:
        """Cancel the job that a request names, if the token covers its path."""
        ref, grant = read_job_id(request), read_grant(request)
        found = await self.shows.jobs.find(ref)
        if found is None:
            raise self.shows.explain_absence(ref, grant)
        if not grant.covers(found.job.spec.path):
            raise find_nothing()
        structlog.contextvars.bind_contextvars(job=found.job.id)
        job, _ = await self.canceller.cancel(found.job, wish)
        if job.is_pending:
            # a start that was in flight shows in an inspect, which waits for it; what is recorded
            # is recorded, also where the engine goes away now
            with suppress(EngineError):
                if (seen := await self.shows.jobs.find(job.uid)) is not None:
                    return seen
        return Found(job, is_silent=found.is_silent)

    def _answer(self, found: Found, request: web.Request) -> web.Response:
        """Show the job, or to who may not read it as much as a POST tells."""
        job = found.job
        condition = derive_condition(job, self.shows.engine.now(), is_silent=found.is_silent)
        has_ended = is_over(job, condition)
        if read_grant(request).may_read(job.spec.path):
            return answer_json(200 if has_ended else 202, self.shows.view(found))
        told = {"id": job.id, "uid": job.uid, "phase": condition.phase, "finished": has_ended}
        return answer_json(200 if has_ended else 202, told)

    async def cancel_jobs(self, request: web.Request) -> web.Response:
        """Record it of every job that a filter takes; with ``dryRun``, say of which."""
        found = read_parameters(request.query, (*FILTERS, "purge", "why", "dryRun"), many=MANY)
        if not found.keys() & set(FILTERS):
            words = ", ".join(FILTERS)
            raise Problem(400, ProblemReason.INVALID_QUERY, f"give one filter at least: {words}")
        wish, is_trial = read_wish(found), read_switch(found, "dryRun", default=False)
        covered = Grant(frozenset(Act), read_grant(request).paths)
        wanted = read_filter(found, covered, self.shows.engine.now())
        await self.shows.index.wait_until_read()
        jobs = await self.shows.index.find_all(wanted)
        due = [job for job in jobs if self._is_due(job, wish)]
        ids = [job.id for job in due]
        if not is_trial:
            ids = await self.canceller.cancel_all(due, wish)
        answer = {"matched": len(jobs), "cancelled": len(ids), "ids": ids}
        return answer_json(200, answer | ({"dryRun": True} if is_trial else {}))

    def _is_due(self, job: Job, wish: CancelWish) -> bool:
        """Tell whether there is anything to record of a job."""
        if wish.purge:
            return job.mark is None or not job.mark.purge
        has_ended = is_over(job, derive_condition(job, self.shows.engine.now()))
        return job.mark is None and not has_ended


def read_wish(found: Parameters) -> CancelWish:
    """Return what parameters ask for. Raises ``Problem`` 400 ``InvalidQuery``."""
    grace = read_seconds(found, "grace", _LONGEST_GRACE)
    why = found.get("why", [""])[0]
    if len(why) > LONGEST_WHY or escape_hidden(why) != why:
        raise refuse_parameter("why", f"is at most {LONGEST_WHY} characters, all of them visible")
    return CancelWish(
        None if grace is None else math.ceil(grace),
        read_switch(found, "purge", default=False),
        why,
    )
