"""The routes that show jobs: one, a page of them, and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import hdrs, web

from api.engine.interface import Engine
from api.server.access.guard import read_grant, step_aside
from api.server.access.identity import is_still_granted
from api.server.access.tokens import Grant
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
from api.server.jobs.collected import Collected
from api.server.jobs.counter import JobCounter
from api.server.jobs.details import Details
from api.server.jobs.index import JobIndex
from api.server.jobs.lookup import Found, Jobs
from api.server.jobs.query import FILTERS, MANY, PAGING, read_filter, read_list_query
from api.server.jobs.waiting import LONGEST
from api.server.jobs.waiting import Waiting as Waiters
from api.server.metrics import ApiMetrics
from api.server.plan_client import PlanClient, hide_others
from api.server.watch.feed import Feed
from api.server.watch.log import EventLog
from api.server.watch.render import Renderer
from api.server.watch.stream import EventStream
from api.server.watch.wire import choose_type
from api.server.watchers import Watchers
from api.v1.job import Job
from api.v1.view import JobView, Standing, Waiting, view_job

_RESUMED: Final = "Last-Event-ID"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class JobHandlers:
    """The routes' functions over what they ask."""

    engine: Engine
    jobs: Jobs
    index: JobIndex
    details: Details
    collected: Collected
    counter: JobCounter
    waiting: Waiters
    watchers: Watchers
    log: EventLog
    renderer: Renderer
    metrics: ApiMetrics
    plan: PlanClient

    async def get_job(self, request: web.Request) -> web.Response:
        """Show one job as the engine shows its container now; with ``wait``, once it is over."""
        ref = read_job_id(request)
        seconds = read_seconds(read_parameters(request.query, ("wait",)), "wait", LONGEST)
        if seconds:
            with self.watchers.hold("wait"):
                step_aside(request)
                found = await self.waiting.wait(ref, seconds, is_left=watch_for_leaving(request))
        else:
            found = await self.jobs.find(ref)
        view = await self._explain(self._judge(found, ref, request), read_grant(request))
        return answer_json(200, view)

    async def _explain(self, found: Found, grant: Grant) -> JobView:
        """Return what is shown of a job, with what the controller says of its wait."""
        view = self.view(found)
        if view["waiting"] is None or self.index.describe_outage() is not None:
            return view
        waiting = await self.plan.explain(found.job.uid)
        if waiting is not None and grant.paths:
            waiting = hide_others(waiting)
        return self.view(found, waiting)

    async def find_job(self, request: web.Request) -> Job:
        """Return the job that a request names, or refuse one that its sender may not read."""
        ref = read_job_id(request)
        return self._judge(await self.jobs.find(ref), ref, request).job

    def _judge(self, found: Found | None, ref: str, request: web.Request) -> Found:
        grant = read_grant(request)
        if found is None:
            raise self.explain_absence(ref, grant)
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

    def view(self, found: Found, waiting: Waiting | None = None) -> JobView:
        """Return what is shown of a job that was found."""
        standing = Standing(
            engine_is_up=self.index.describe_outage() is None,
            is_silent=found.is_silent,
            waiting=waiting,
        )
        return view_job(found.job, self.engine.now(), standing)

    def explain_absence(self, ref: str, grant: Grant) -> Problem:
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

    async def follow_events(self, request: web.Request) -> web.StreamResponse:
        """Stream the jobs that there are, and then what becomes of them."""
        known = (*FILTERS, "after", "snapshot")
        found = read_parameters(request.query, known, many=MANY)
        wanted = read_filter(found, read_grant(request), self.engine.now())
        wants_snapshot = read_switch(found, "snapshot", default=True)
        after = self._read_after(found, request.headers.get(_RESUMED))
        media_type = choose_type(request.headers.get(hdrs.ACCEPT))
        with self.watchers.hold("events"):
            step_aside(request)
            await self.index.wait_until_read()
            response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: media_type, **_HEADERS})
            await response.prepare(request)
            if request.method == hdrs.METH_HEAD:
                return response
            feed = Feed(self.log, self.renderer, wanted, after=after, wants_snapshot=wants_snapshot)
            stream = EventStream(
                feed,
                self.log,
                response,
                media_type,
                is_left=watch_for_leaving(request),
                is_allowed=lambda: is_still_granted(request),
            )
            reason = await stream.run()
        self.metrics.on_coalesced(feed.coalesced)
        structlog.contextvars.bind_contextvars(bytes=stream.sent, ended=reason)
        return response

    def _read_after(self, found: Parameters, resumed: str | None) -> int | None:
        """Return the place to resume behind; a browser that comes back names it in a header."""
        name, version = _RESUMED, resumed
        if resumed is None and "after" in found:
            name, version = "after", found["after"][0]
        if version is None:
            return None
        number = self.log.parse(version)
        if number is None:
            raise refuse_parameter(name, "is a version that the stream has told")
        return number


def watch_for_leaving(request: web.Request) -> Callable[[], bool]:
    """Return what tells whether the client of a request has left."""

    def is_left() -> bool:
        transport = request.transport
        return transport is None or transport.is_closing()

    return is_left


def find_nothing() -> Problem:
    """Return what is told of a job that is not there, or that the token may not see."""
    return Problem(404, ProblemReason.JOB_NOT_FOUND, "there is no job of this id")
