"""The routes that show jobs: one, a page of them, and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from api.engine.interface import Engine
from api.server.access.guard import read_grant, step_aside
from api.server.access.tokens import Grant
from api.server.http.answer import answer_json
from api.server.http.problem import Problem
from api.server.http.query import (
    read_parameters,
    read_seconds,
)
from api.server.http.reasons import ProblemReason
from api.server.http.request_path import read_job_id
from api.server.jobs.collected import Collected
from api.server.jobs.counter import JobCounter
from api.server.jobs.details import Details
from api.server.jobs.index import JobIndex
from api.server.jobs.lookup import Found, Jobs
from api.server.jobs.query import FILTERS, MANY, PAGING, read_list_query
from api.server.jobs.waiting import LONGEST, Waiting
from api.server.watchers import Watchers
from api.v1.job import Job
from api.v1.view import JobView, Standing, view_job


@dataclass(frozen=True, slots=True)
class JobHandlers:
    """The routes' functions over what they ask."""

    engine: Engine
    jobs: Jobs
    index: JobIndex
    details: Details
    collected: Collected
    counter: JobCounter
    waiting: Waiting
    watchers: Watchers

    async def get_job(self, request: web.Request) -> web.Response:
        """Show one job as the engine shows its container now; with ``wait``, once it is over."""
        ref = read_job_id(request)
        seconds = read_seconds(read_parameters(request.query, ("wait",)), "wait", LONGEST)
        if seconds:
            with self.watchers.hold("wait"):
                await step_aside(request)
                found = await self.waiting.wait(ref, seconds, is_left=watch_for_leaving(request))
        else:
            found = await self.jobs.find(ref)
        return answer_json(200, self.view(self._judge(found, ref, request)))

    async def find_job(self, request: web.Request) -> Job:
        """Return the job that a request names, or refuse one that its sender may not read."""
        ref = read_job_id(request)
        return self._judge(await self.jobs.find(ref), ref, request).job

    def _judge(self, found: Found | None, ref: str, request: web.Request) -> Found:
        grant = read_grant(request)
        if found is None:
            raise self._explain_absence(ref, grant)
        if not grant.may_read(found.job.spec.path):
            raise find_nothing()
        structlog.contextvars.bind_contextvars(job=found.job.id)
        return found

    async def wait_for(self, uid: str, seconds: float, request: web.Request) -> JobView:
        """Return a job that was just recorded once it is over, or as it is after ``seconds``."""
        is_left = watch_for_leaving(request)
        found = await self.waiting.wait(uid, seconds, is_left=is_left, recalls=True)
        if found is None:
            raise find_nothing()
        return self.view(found)

    def view(self, found: Found) -> JobView:
        """Return what is shown of a job that was found."""
        standing = Standing(
            engine_is_up=self.index.describe_outage() is None, is_silent=found.is_silent
        )
        return view_job(found.job, self.engine.now(), standing)

    def _explain_absence(self, ref: str, grant: Grant) -> Problem:
        """Return what is told of a job that is not there: the last that was known of it."""
        gone = self.collected.find(ref)
        if gone is None or not grant.may_read(gone.job.spec.path):
            return find_nothing()
        details = {"job": view_job(gone.job, self.engine.now())}
        if self.counter.has_lost(gone.job.id):
            message = "the job was removed before it ran, not by this service"
            return Problem(404, ProblemReason.JOB_LOST, message, details)
        message = "the job has been removed; this is the last that was known of it"
        return Problem(404, ProblemReason.JOB_COLLECTED, message, details)

    async def list_jobs(self, request: web.Request) -> web.Response:
        """Show a page of jobs, and how many there are by phase."""
        found = read_parameters(request.query, (*FILTERS, *PAGING), many=MANY)
        query = read_list_query(found, read_grant(request), self.engine.now())
        await self.index.wait_until_read()
        page = await self.index.find_page(query)
        if await self.details.fill(page.jobs):
            page = await self.index.find_page(query)
        answer: dict[str, object] = {
            "items": [self.index.view(job) for job in page.jobs],
            "counts": page.counts,
            "continue": page.token,
        }
        outage = self.index.describe_outage()
        return answer_json(200, answer if outage is None else answer | {"engine": outage})


def watch_for_leaving(request: web.Request) -> Callable[[], bool]:
    """Return what tells whether the client of a request has left."""

    def is_left() -> bool:
        transport = request.transport
        return transport is None or transport.is_closing()

    return is_left


def find_nothing() -> Problem:
    """Return what is told of a job that is not there, or that the token may not see."""
    return Problem(404, ProblemReason.JOB_NOT_FOUND, "there is no job of this id")
