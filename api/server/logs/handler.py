"""Answers ``GET /job/{id}/log``: sends a log for as long as its reader reads and its job runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPMethod
from typing import Final

import structlog
from aiohttp import hdrs, web

from api.engine.errors import ConflictError, EngineError, NoLogError, NotFoundError
from api.engine.interface import Engine
from api.http.connection import SERVER_NAME
from api.informer.store import JobStore
from api.server.access.guard import step_aside
from api.server.access.identity import is_still_granted
from api.server.http.drain import end_at_shutdown
from api.server.http.errors import describe_problem, explain_outage
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.jobs.wakers import Wakers
from api.server.logs.forms import Writer, make_writer
from api.server.logs.query import LogForm, choose_form, read_log_query
from api.server.logs.reader import JobLog
from api.server.logs.resume import read_point
from api.server.middleware import REQUEST_ID
from api.server.watchers import Watchers
from api.v1.job import Job

_KIND: Final = "log"
_STALLED: Final = 0.5
"""Seconds that a reader may take before nothing is followed for it.

A follow that is not read could hold up the job, and skips files that are rotated meanwhile.
"""
_GONE_QUIET: Final = 60.0
"""Seconds more after which nothing at all is open for it on the engine."""
_BEAT: Final = 15.0
"""Seconds of silence after which a browser's stream gets a comment."""
_HEADERS: Final[Mapping[str, str]] = {
    # aiohttp names itself where an answer begins before its handler is done
    hdrs.SERVER: SERVER_NAME,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    # a log is never a page
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class LogHandler:
    """The route's function over what it asks.

    ``find`` returns the job that a request names and may read, or raises a ``Problem``; ``view``
    makes of a job what every answer shows of it. ``wakers`` listens to what fills ``store``.
    """

    engine: Engine
    store: JobStore
    wakers: Wakers
    watchers: Watchers
    find: Callable[[web.Request], Awaitable[Job]]
    view: Callable[[Job], Mapping[str, object]]

    async def get_log(self, request: web.Request) -> web.StreamResponse:
        """Send the log of one job."""
        query = read_log_query(request.query, self.engine.now())
        form = choose_form(request.headers.getall(hdrs.ACCEPT, []))
        point = read_point(request.headers.get("Last-Event-ID"))
        if form is LogForm.EVENTS and point is not None:
            query = replace(
                query, tail=None, since=point.since, skip=point.count, skip_until=point.last
            )
        job = await self.find(request)
        is_exact = await self._check_readable(job)
        # without a charset a browser guesses, and often wrongly
        kind = f"{form}; charset=utf-8" if form is LogForm.TEXT else form
        response = web.StreamResponse(headers={**_HEADERS, hdrs.CONTENT_TYPE: kind})
        if request.method == HTTPMethod.HEAD:
            await response.prepare(request)
            return response
        with self.watchers.hold(_KIND), self.wakers.subscribe(job.uid) as news:
            if query.follow:
                step_aside(request)
            log = JobLog(
                self.engine,
                job,
                query,
                self.store.known.get,
                news=news,
                count=lambda: self.watchers.count(_KIND),
                is_exact=is_exact,
            )
            sending = Sending(request, response, log)
            try:
                await response.prepare(request)
                await self._send(sending, make_writer(form, query), form)
            finally:
                await log.suspend()
                structlog.contextvars.bind_contextvars(
                    bytes=sending.count,
                    end=sending.end,
                    reopened=log.reopened,
                    lost=log.is_torn,
                )
        return response

    async def _send(self, sending: "Sending", writer: Writer, form: LogForm) -> None:
        log, request = sending.log, sending.request
        try:
            async with end_at_shutdown(request):
                while not log.has_ended:
                    _check_token(request)
                    frames = await log.read()
                    await sending.write(writer.write(frames, has_gap=log.has_gap), form)
                    if log.new_since is not None and (place := writer.begin(log.new_since)):
                        await sending.write(place, form)
                await sending.write(writer.finish(is_over=log.job.is_finished), form)
        except (EngineError, Problem) as error:
            problem = explain_end(error)
            sending.end = problem.reason
            if form is LogForm.TEXT:
                # only a connection that breaks off tells the reader that the rest is missing
                problem.__cause__ = problem.__cause__ or error.__cause__
                raise problem from None
            last = describe_problem(problem, request[REQUEST_ID])
        else:
            sending.end = "whole"
            last = {"end": self.view(log.job)}
        if log.is_torn or writer.is_torn:
            last["lost"] = True
        await sending.write(writer.write_last(last), form)

    async def _check_readable(self, job: Job) -> bool:
        """Refuse a log that cannot be read; tell whether a follow of it is exact."""
        try:
            async with self.engine.logs(job.uid, tail=0) as reading:
                return reading.is_exact
        except NoLogError as error:
            raise explain_end(error) from error
        except NotFoundError:
            message = "there is no job of this id"
            raise Problem(404, ProblemReason.JOB_NOT_FOUND, message) from None
        except ConflictError:
            return True  # it is being removed: the reading will find out what can be read of it


class Sending:
    """What is sent to one reader: how many bytes, and why there were no more."""

    def __init__(self, request: web.Request, response: web.StreamResponse, log: JobLog) -> None:
        self.request = request
        self.log = log
        self.count = 0
        self.end = "reader left"
        self._response = response
        self._clock = asyncio.get_running_loop().time
        self._sent_at = self._clock()

    async def write(self, data: bytes, form: LogForm) -> None:
        """Send ``data``, which may be nothing, and wait until there is room for more.

        For a reader that takes long, what is open on the engine is closed, and opened again later.
        Raises ``ConnectionError`` once it has left.
        """
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the reader has left")
        if not data and form is LogForm.EVENTS and self._clock() > self._sent_at + _BEAT:
            data = b":\n\n"
        if not data:
            return
        self._sent_at = self._clock()
        self.count += len(data)
        # a wait that is cancelled would break the connection for whoever waits after it
        writing = asyncio.create_task(self._response.write(data))
        try:
            for seconds, close in (
                (_STALLED, self.log.fall_behind),
                (_GONE_QUIET, self.log.suspend),
            ):
                if (await asyncio.wait({writing}, timeout=seconds))[0]:
                    break
                await close()
            await writing
        finally:
            writing.cancel()


def _check_token(request: web.Request) -> None:
    """Refuse to go on for a token that was withdrawn meanwhile."""
    if not is_still_granted(request):
        raise Problem(401, ProblemReason.UNAUTHORIZED, "the token does not hold any more")


def explain_end(error: EngineError | Problem) -> Problem:
    """Return what a reader is told of why its log ends before the job does."""
    match error:
        case Problem():
            return error
        case NoLogError():
            message = f"the log driver {error.driver} keeps no log that can be read"
            return Problem(409, ProblemReason.NO_LOG, message, {"driver": error.driver})
        case _:
            return explain_outage(error)
