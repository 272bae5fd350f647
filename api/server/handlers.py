"""One method per route: reads the request, calls what does the work, writes the answer."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Final

import structlog
from aiohttp import web
from multidict import MultiMapping

from api.informer.informer import Informer
from api.runtime.metrics import expose
from api.runtime.version import VERSION
from api.server.access.guard import read_grant, step_aside
from api.server.cancel_handlers import CancelHandlers
from api.server.filters.service import Filters
from api.server.http import json_body
from api.server.http.answer import answer_json
from api.server.http.problem import Problem
from api.server.http.query import read_parameters, read_seconds, read_switch, refuse_parameter
from api.server.http.reasons import ProblemReason
from api.server.http.request_path import JOBS, read_path
from api.server.job_handlers import JobHandlers, find_nothing
from api.server.jobs.order import Order
from api.server.jobs.recorder import Recorded, Recorder
from api.server.jobs.waiting import LONGEST
from api.server.metrics import ApiMetrics
from api.server.queue_handlers import QueueHandlers
from api.server.readiness import Readiness
from api.server.slot_handlers import SlotHandlers
from api.v1.condition import derive_condition
from api.v1.job import Job
from api.v1.view import is_over

_SMALL: Final = 1 << 16
"""Bytes of a body that is parsed within a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """The routes' functions over what they ask."""

    filters: Filters
    recorder: Recorder
    shows: JobHandlers
    cancels: CancelHandlers
    queues: QueueHandlers
    slots: SlotHandlers
    metrics: ApiMetrics
    informer: Informer
    readiness: Readiness

    async def post_job(self, request: web.Request) -> web.Response:
        """Record a document as a job; with ``?dryRun=true``, only say what would be recorded."""
        path = read_path(request.rel_url.raw_path)
        rehearse, seconds = read_post_query(request.query)
        if seconds is None:
            return await self._post(request, path, rehearse=rehearse)
        if not read_grant(request).may_read(path):
            raise Problem(403, ProblemReason.OUT_OF_SCOPE, "to wait, a token must allow to read")
        with self.shows.watchers.hold("wait"):
            return await self._post(request, path, seconds=seconds)

    async def _post(
        self,
        request: web.Request,
        path: str,
        *,
        rehearse: bool = False,
        seconds: float | None = None,
    ) -> web.Response:
        body = await request.read()
        document = json_body.parse(body)
        if len(body) > _SMALL:
            # parsing a hostile megabyte takes long, and so does the rest: let others run between
            await asyncio.sleep(0)
        if rehearse:
            # it holds the operator's variables
            shows = read_grant(request).may_read(path)
            order = await self.recorder.rehearse(path, document, shows=shows)
            return answer_json(200, describe_order(order, shows=shows))
        recorded = await self.recorder.record(path, document)
        answer: dict[str, object] = {"id": recorded.id, "uid": recorded.uid}
        headers = {} if recorded.known else {"Location": f"{JOBS}/{recorded.id}"}
        if recorded.known is not None:
            if not read_grant(request).covers(recorded.known.spec.path):
                raise Problem(409, ProblemReason.NAME_TAKEN, f"the name {recorded.id} is taken")
            answer |= describe_known(recorded, recorded.known, self.shows.engine.now())
        elif recorded.warnings:
            answer["warnings"] = recorded.warnings
        code = 200 if recorded.known else 201
        if seconds is None:
            return answer_json(code, answer, headers)
        step_aside(request)
        return answer_json(code, await self.shows.wait_for(recorded.uid, seconds, request), headers)

    async def get_no_job(self, _request: web.Request) -> web.Response:
        """Answer for a path below the jobs that holds no id."""
        raise find_nothing()

    async def get_live(self, _request: web.Request) -> web.Response:
        """Tell that the process serves."""
        return web.Response(status=204)

    async def get_ready(self, request: web.Request) -> web.Response:
        """Tell whether the engine answers; with ``?verbose``, what is known of it and filters."""
        failure = await self.readiness.find_failure()
        if failure:
            structlog.contextvars.bind_contextvars(cause=failure)
        if "verbose" in request.query:
            return answer_json(503 if failure else 200, self._describe_readiness(failure))
        if failure:
            raise Problem(
                503, ProblemReason.ENGINE_UNAVAILABLE, "the Docker Engine does not answer"
            )
        return web.Response(status=204)

    async def get_metrics(self, request: web.Request) -> web.Response:
        """Show the metrics, as OpenMetrics if asked for."""
        text, content_type = expose(self.metrics.registry, request.headers.get("Accept"))
        return web.Response(body=text, headers={"Content-Type": content_type})

    def _describe_readiness(self, failure: str | None) -> dict[str, object]:
        info, status = self.informer.engine_status.info, self.filters.status
        version = ".".join(map(str, info.api_version)) if info else None
        return {
            "ready": failure is None,
            "version": VERSION,
            "engine": {
                "error": failure,
                "version": info.version if info else None,
                "apiVersion": version,
            },
            "filters": {
                "generation": status.generation,
                "error": status.error,
                "workers": asdict(status.workers),
            },
            "backlog": self.readiness.count_backlog(),
        }


def describe_known(recorded: Recorded, job: Job, now: int) -> dict[str, object]:
    """Return what a POST is told at engine time ``now`` (ns) of the job that was there before.

    Raises ``Problem`` 409 ``DocumentConflict`` where the filter refuses another document's job.
    """
    condition = derive_condition(job, now)
    phase = condition.phase
    if recorded.is_conflict:
        message = (
            f"the name {job.id} is that of another document's job, which is {phase}: a name is free"
            " again when its job has been removed"
        )
        raise Problem(409, ProblemReason.DOCUMENT_CONFLICT, message)
    return {
        "sameDocument": recorded.same_document,
        "phase": phase,
        "finished": is_over(job, condition),
    }


def read_post_query(query: MultiMapping[str]) -> tuple[bool, float | None]:
    """Return whether a dry run is asked for, and how many seconds to wait for the job's end.

    Raises ``Problem`` 400 ``InvalidQuery``.
    """
    found = read_parameters(query, ("dryRun", "wait"))
    dry_run = read_switch(found, "dryRun", default=False)
    seconds = read_seconds(found, "wait", LONGEST)
    if dry_run and seconds is not None:
        raise refuse_parameter("wait", "has nothing to wait for in a dry run")
    return dry_run, seconds


def describe_order(order: Order, *, shows: bool) -> dict[str, object]:
    """Return what a dry run answers; who may not read jobs is shown no manifest."""
    answer: dict[str, object] = {
        "dryRun": True,
        "id": order.name,
        "filter": order.spec.filter,
        "verdict": {"schema": "passed", "rules": "passed", "admission": "passed"},
    }
    return answer | {"manifest": order.manifest} if shows else answer
