"""One method per route: reads the request, calls what does the work, writes the answer."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import structlog
from aiohttp import web

from api.engine.interface import Engine
from api.informer.informer import Informer
from api.runtime.metrics import expose
from api.runtime.version import VERSION
from api.server.access.guard import read_grant
from api.server.filters.service import Filters
from api.server.http import json_body
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.http.request_path import JOBS, read_job_id, read_path
from api.server.jobs.counter import JobCounter
from api.server.jobs.lookup import Found, Jobs
from api.server.jobs.order import Order
from api.server.jobs.recorder import Recorded, Recorder
from api.server.metrics import ApiMetrics
from api.server.readiness import Readiness
from api.v1.job import Job, derive_condition
from api.v1.view import JobView, Standing, is_over, view_job

_SMALL: Final = 1 << 16
"""Bytes of a body that is parsed within a fraction of a millisecond."""
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
_SWITCH: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Handlers:
    """The routes' functions over what they ask."""

    engine: Engine
    filters: Filters
    recorder: Recorder
    jobs: Jobs
    metrics: ApiMetrics
    counter: JobCounter
    informer: Informer
    readiness: Readiness

    async def post_job(self, request: web.Request) -> web.Response:
        """Record a document as a job; with ``?dryRun=true``, only say what would be recorded."""
        path = read_path(request.rel_url.raw_path)
        rehearse = read_dry_run(request.query)
        body = await request.read()
        document = json_body.parse(body)
        if len(body) > _SMALL:
            # parsing a hostile megabyte takes long, and so does the rest: let others run between
            await asyncio.sleep(0)
        if rehearse:
            # it holds the operator's variables
            shows = read_grant(request).may_read(path)
            order = await self.recorder.rehearse(path, document, shows=shows)
            return _answer(200, describe_order(order, shows=shows))
        recorded = await self.recorder.record(path, document)
        answer: dict[str, object] = {"id": recorded.id, "uid": recorded.uid}
        if recorded.known is None:
            if recorded.warnings:
                answer["warnings"] = recorded.warnings
            return _answer(201, answer, {"Location": f"{JOBS}/{recorded.id}"})
        if not read_grant(request).covers(recorded.known.spec.path):
            raise Problem(409, ProblemReason.NAME_TAKEN, f"the name {recorded.id} is taken")
        return _answer(200, answer | describe_known(recorded, recorded.known))

    async def get_job(self, request: web.Request) -> web.Response:
        """Show one job as the engine shows its container now."""
        found = await self.find_job(request)
        standing = Standing(is_silent=found.is_silent)
        return _answer(200, view_job(found.job, self.engine.now(), standing))

    async def find_job(self, request: web.Request) -> Found:
        """Return the job that a request names, or refuse one that its sender may not read."""
        name = read_job_id(request)
        found = await self.jobs.find(name)
        if found is None and self.counter.has_lost(name) and read_grant(request).may_read(""):
            message = "the job was removed before it ran, not by this service"
            raise Problem(404, ProblemReason.JOB_LOST, message)
        if found is None or not read_grant(request).may_read(found.job.spec.path):
            raise _find_nothing()
        structlog.contextvars.bind_contextvars(job=name)
        return found

    async def get_no_job(self, _request: web.Request) -> web.Response:
        """Answer for a path below the jobs that holds no id."""
        raise _find_nothing()

    async def get_live(self, _request: web.Request) -> web.Response:
        """Tell that the process serves."""
        return web.Response(status=204)

    async def get_ready(self, request: web.Request) -> web.Response:
        """Tell whether the engine answers; with ``?verbose``, what is known of it and filters."""
        failure = await self.readiness.find_failure()
        if failure:
            structlog.contextvars.bind_contextvars(cause=failure)
        if "verbose" in request.query:
            return _answer(503 if failure else 200, self._describe_readiness(failure))
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


def describe_known(recorded: Recorded, job: Job) -> dict[str, object]:
    """Return what a POST is told of the job that was there before.

    Raises ``Problem`` 409 ``DocumentConflict`` where the filter refuses another document's job.
    """
    condition = derive_condition(job)
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


def read_dry_run(query: Mapping[str, str]) -> bool:
    """Return whether a dry run is asked for.

    Raises ``Problem`` 400 ``InvalidQuery`` for any other parameter or value: a misspelt dry run
    must not record a job.
    """
    for name in query:
        if name != "dryRun":
            raise Problem(400, ProblemReason.INVALID_QUERY, "the only parameter here is dryRun")
    value = query.get("dryRun", "false")
    if value not in _SWITCH:
        raise Problem(400, ProblemReason.INVALID_QUERY, "dryRun is true or false")
    return _SWITCH[value]


def describe_order(order: Order, *, shows: bool) -> dict[str, object]:
    """Return what a dry run answers; who may not read jobs is shown no manifest."""
    answer: dict[str, object] = {
        "dryRun": True,
        "id": order.name,
        "filter": order.spec.filter,
        "verdict": {"schema": "passed", "rules": "passed", "admission": "passed"},
    }
    return answer | {"manifest": order.manifest} if shows else answer


def _find_nothing() -> Problem:
    return Problem(404, ProblemReason.JOB_NOT_FOUND, "there is no job of this id")


def _answer(
    code: int, body: Mapping[str, object] | JobView, headers: Mapping[str, str] | None = None
) -> web.Response:
    text = _encode(body)
    return web.Response(
        status=code, text=text, content_type="application/json", headers=dict(headers or {})
    )
