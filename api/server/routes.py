"""The route table: the one place that says what each route needs and how it is treated."""

from typing import Final

from api.server.access.session_handlers import log_in, log_out, show_session
from api.server.docs.pages import list_page_routes
from api.server.handlers import Handlers
from api.server.http.request_path import JOBS
from api.server.http.route import Route, Scope
from api.server.logs.handler import LogHandler
from api.server.ui.files import list_file_routes
from api.server.ui.plan import PlanHandler

# An id has no slash, but one may follow it. A dot in place of [^/] and [\s\S] would leave out
# line feeds, to which the handlers have answers of their own.
_JOB: Final = JOBS + r"/{id:[^/]+/?}"
_LOG: Final = JOBS + "/{id:[^/]+}/log"
_BELOW: Final = JOBS + r"/{path:[\s\S]*}"
_NO_ID: Final = JOBS + r"/{id:[\s\S]+}"


def list_routes(handlers: Handlers, logs: LogHandler) -> list[Route]:
    """Return every route there is; of two that match a request, the first serves it."""
    return [
        Route("POST", JOBS, handlers.post_job, Scope.POST, counts=True, takes_json=True),
        Route("POST", _BELOW, handlers.post_job, Scope.POST, counts=True, takes_json=True),
        Route("GET", JOBS, handlers.shows.list_jobs, Scope.READ_JOBS, counts=True),
        Route("GET", _JOB, handlers.shows.get_job, Scope.READ_JOBS, counts=True),
        Route("DELETE", JOBS, handlers.cancels.cancel_jobs, Scope.POST_JOBS, counts=True),
        Route("DELETE", _JOB, handlers.cancels.cancel_job, Scope.POST_JOBS, counts=True),
        Route("GET", _LOG, logs.get_log, Scope.READ_JOBS, streams=True),
        Route("GET", _NO_ID, handlers.get_no_job, Scope.READ_JOBS),
        Route("GET", "/events", handlers.shows.follow_events, Scope.READ_JOBS, streams=True),
        Route("GET", "/queue", handlers.queues.list_queues, Scope.READ_JOBS),
        Route("GET", "/queue/{name}", handlers.queues.get_queue, Scope.READ_JOBS),
        Route("GET", "/ui/slots", handlers.slots.list_slots, Scope.READ_JOBS, counts=True),
        Route("GET", "/ui/session", show_session, Scope.ANY),
        Route("POST", "/ui/login", log_in, Scope.PUBLIC, takes_json=True),
        Route("POST", "/ui/logout", log_out, Scope.PUBLIC),
        Route("GET", "/health/live", handlers.get_live, Scope.PUBLIC),
        Route("GET", "/health/ready", handlers.get_ready, Scope.READ),
        Route("GET", "/metrics", handlers.get_metrics, Scope.READ),
        Route("GET", "/ui/plan", PlanHandler(handlers.shows).get_plan, Scope.READ_JOBS),
        *list_file_routes(),
        *list_page_routes(),
    ]
