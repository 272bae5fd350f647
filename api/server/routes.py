"""The route table."""

from aiohttp import web

from api.server.docs.pages import make_page_routes
from api.server.handlers import Handlers


def make_routes(handlers: Handlers) -> list[web.RouteDef]:
    """Return every route there is."""
    # a dot would leave out line feeds, and handlers have an answer of their own to those
    return [
        web.post("/job", handlers.post_job),
        web.post(r"/job/{path:[\s\S]*}", handlers.post_job),
        web.get(r"/job/{id:[\s\S]+}", handlers.get_job),
        web.get("/health/live", handlers.get_live),
        web.get("/health/ready", handlers.get_ready),
        web.get("/metrics", handlers.get_metrics),
        *make_page_routes(),
    ]
