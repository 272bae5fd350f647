"""What every request gets: an id, a line in the log, a count, and errors in one shape."""

import re
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from api.engine.errors import EngineError
from api.http.refusal import Refusal
from api.server.http.errors import answer_problem, explain_http, explain_outage
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.metrics import ApiMetrics

_log = structlog.get_logger(__name__)
REQUEST_ID: Final = web.RequestKey("request_id", str)
_BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
_HEADER: Final = "X-Request-Id"
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHOWN: Final = 200
_ROUTINE: Final = (
    "/health",
    "/metrics",
    "/ui/plan",
    "/ui/slots",
    "/ui/{file}",
)  # asked every few seconds, for ever
_INTERNAL: Final = Problem(
    500, ProblemReason.INTERNAL_ERROR, "this service failed; its log says why"
)


class RequestMiddleware:
    """The outermost middleware: whatever error it meets, the client gets an answer in JSON.

    ``catch_up`` is awaited before a request that may show what the engine has told of its jobs.
    """

    def __init__(
        self, metrics: ApiMetrics, catch_up: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._metrics = metrics
        self._catch_up = catch_up

    def install(self, app: web.Application) -> None:
        """Surround all requests of ``app``, inside the middlewares that it has."""
        app.middlewares.append(self._surround)
        app.on_response_prepare.append(self._begin)

    @web.middleware
    async def _surround(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer ``request``; log and count the answer."""
        request_id = choose_request_id(request.headers.get(_HEADER))
        request[REQUEST_ID] = request_id
        # each request runs in a task, and so in a context, of its own
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        # a POST looks at the one job that it shows
        if self._catch_up is not None and request.method != hdrs.METH_POST:
            await self._catch_up()
        try:
            response = await handler(request)
        except Exception as error:
            if _BEGUN in request:
                # only a connection that breaks off tells the client that the rest is missing
                self._report(request, request[_BEGUN].status, explain_break(error), began)
                raise ConnectionError("an answer broke off") from error
            problem = explain(error)
            response = answer_problem(problem, request_id)
            self._report(request, response.status, problem, began)
        else:
            self._report(request, response.status, None, began)
        return response

    async def _begin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put the request's id on a header that is about to be sent; no other can follow it."""
        request[_BEGUN] = response
        # aiohttp answers an unknown Expect before any middleware runs
        if REQUEST_ID in request:
            response.headers[_HEADER] = request[REQUEST_ID]

    def _report(
        self, request: web.Request, code: int, problem: Problem | None, began: float
    ) -> None:
        route = name_route(request)
        self._metrics.on_request(request.method, route, code)
        _log_request(request, route, code, problem, time.perf_counter() - began)


def answer_refusal(refusal: Refusal | web.HTTPException, request_id: str) -> web.Response:
    """Return the answer to what was refused before this middleware saw it."""
    if isinstance(refusal, web.HTTPException):
        return answer_problem(explain_http(refusal), request_id)
    return answer_problem(Problem(refusal.code, refusal.reason, refusal.message), request_id)


def shorten(path: str) -> str:
    """Return a request's path as far as it is logged: a stranger's may have thousands of bytes."""
    return path if len(path) <= _SHOWN else path[:_SHOWN] + "…"


def choose_request_id(given: str | None) -> str:
    """Return the client's own request id if it is a plain word, else a fresh one."""
    return given if given and _GIVEN_ID.fullmatch(given) else token_hex(16)


def name_route(request: web.Request) -> str:
    """Return the pattern of the route table that serves ``request``, or ``none``."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


def explain(error: Exception) -> Problem:
    """Return the problem that a client is told for ``error``; log an unforeseen error."""
    match error:
        case Problem():
            return error
        case EngineError():
            problem = explain_outage(error)
            problem.__cause__ = error
            return problem
        case web.HTTPException():
            return explain_http(error)
        case web.RequestPayloadError():
            return Problem(400, ProblemReason.INVALID_BODY, "the body is not what its header says")
        case _:
            _log.error("request failed", exc_info=error)
            return _INTERNAL


def explain_break(error: Exception) -> Problem | None:
    """Return why an answer that had begun broke off; None where the client has left."""
    return None if isinstance(error, ConnectionError) else explain(error)


def _log_request(
    request: web.Request, route: str, code: int, problem: Problem | None, seconds: float
) -> None:
    fields: dict[str, object] = {
        "method": request.method,
        "path": shorten(request.rel_url.raw_path),
        "code": code,
        "seconds": round(seconds, 4),
    }
    if problem is not None:
        fields["reason"] = problem.reason
        fields["cause"] = str(problem.__cause__ or problem.message)
    if code >= web.HTTPInternalServerError.status_code:
        _log.warning("request", **fields)
    elif route.startswith(_ROUTINE):
        _log.debug("request", **fields)
    else:
        _log.info("request", **fields)
