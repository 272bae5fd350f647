"""Routes, each with the policy by which guard and drain treat its requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPMethod
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.server.http.expectation import check_expectation


class Scope(StrEnum):
    """What a token must allow before a request reaches its handler."""

    PUBLIC = "public"
    """Nothing: the route needs no token."""
    ANY = "any"
    """Nothing: the handler is told what the token allows, and of no token that it is none."""
    READ = "read"
    """To read the request's own path."""
    POST = "post"
    """To post to the request's own path."""
    READ_JOBS = "read jobs"
    """To read at all: the handler compares the token with the path of each job it finds."""
    POST_JOBS = "post jobs"
    """To post at all: the handler compares the token with the path of each job it finds."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path pattern, and its policy.

    ``counts``: its requests count against ``ClientLimits.waiting``. ``streams``: its answer goes on
    for as long as the client listens, and ends by itself at shutdown (``drain.read_shutdown``).
    ``takes_json``: a body that is no plain JSON is refused by its header.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope
    counts: bool = False
    streams: bool = False
    takes_json: bool = False


Table = Mapping[web.AbstractRoute, Route]
_TABLE: Final[web.AppKey[Table]] = web.AppKey("table")


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Have ``app`` serve ``routes``; the first that matches wins. A GET answers HEAD, too."""
    table: dict[web.AbstractRoute, Route] = {}
    for route in routes:
        resource = app.router.add_resource(route.path)
        also = [HTTPMethod.HEAD] if route.method == HTTPMethod.GET else []
        for method in (route.method, *also):
            added = resource.add_route(method, route.handler, expect_handler=check_expectation)
            table[added] = route
    app[_TABLE] = table


def find_route(request: web.Request) -> Route | None:
    """Return the route that serves ``request``; None where no path or no method matches."""
    return request.app[_TABLE].get(request.match_info.route)
