"""The route table: which handler an odd path reaches, and what each route says of itself."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from api.server.http.request_path import read_job_id
from api.server.http.route import Route, Scope, add_routes, find_route
from api.server.routes import list_routes


class Named:
    """Handlers that do nothing but have a name."""

    @property
    def shows(self) -> "Named":
        return self

    @property
    def queues(self) -> "Named":
        return self

    @property
    def slots(self) -> "Named":
        return self

    @property
    def cancels(self) -> "Named":
        return self

    def __getattr__(self, name: str) -> object:
        async def handle(_request: web.Request) -> web.Response:
            raise AssertionError

        handle.__name__ = name
        return handle


@pytest.fixture(scope="module")
def app() -> web.Application:
    app = web.Application()
    add_routes(app, list_routes(Named(), Named()))  # type: ignore[arg-type] # only the names count
    return app


async def match(app: web.Application, method: str, path: str) -> tuple[web.Request, Route | None]:
    request = make_mocked_request(method, path, app=app)
    match_info = await app.router.resolve(request)
    match_info.add_app(app)
    request._match_info = match_info
    match_info.current_app = app
    return request, find_route(request)


@pytest.mark.parametrize(
    ("path", "job_id"),
    [
        ("/job/a", "a"),
        ("/job/a/", "a"),
        ("/job/a%20b", "a b"),
        ("/job/a%0a", "a\n"),
        ("/job/%7Ba%7D", "{a}"),
        ("/job/..%2fimages%2fx", "../images/x"),
    ],
)
async def test_a_job_is_asked_for_by_one_segment(
    app: web.Application, path: str, job_id: str
) -> None:
    for method in ("GET", "HEAD"):
        request, route = await match(app, method, path)
        assert route is not None
        assert (route.handler.__name__, route.scope) == ("get_job", Scope.READ_JOBS)
        assert read_job_id(request) == job_id


@pytest.mark.parametrize("path", ["/job/a/b", "/job/a//", "/job//", "/job/a/%0a"])
async def test_more_than_a_segment_is_no_job(app: web.Application, path: str) -> None:
    _, route = await match(app, "GET", path)
    assert route is not None
    assert route.handler.__name__ == "get_no_job"


@pytest.mark.parametrize("path", ["/job", "/job/", "/job/a", "/job/a/b/", "/job//a", "/job/a%0a"])
async def test_a_document_may_be_posted_to_any_path_below(app: web.Application, path: str) -> None:
    _, route = await match(app, "POST", path)
    assert route is not None
    assert (route.handler.__name__, route.scope) == ("post_job", Scope.POST)
    assert route.takes_json
    assert route.counts


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/job"), ("GET", "/job/"), ("DELETE", "/job/a/b"), ("POST", "/jobs"), ("GET", "/u")],
)
async def test_where_nothing_matches_there_is_no_route(
    app: web.Application, method: str, path: str
) -> None:
    assert (await match(app, method, path))[1] is None


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/job/a/log", "get_log"),
        ("HEAD", "/job/a/log", "get_log"),
        ("GET", "/job/log", "get_job"),
        ("GET", "/job/a/log/", "get_no_job"),
        ("GET", "/job/a/log/b", "get_no_job"),
        ("POST", "/job/a/log", "post_job"),
    ],
)
async def test_the_log_of_a_job_stands_below_it(
    app: web.Application, method: str, path: str, name: str
) -> None:
    route = (await match(app, method, path))[1]
    assert route is not None
    assert route.handler.__name__ == name
    assert route.streams is (name == "get_log")


def test_what_needs_no_token_shows_no_data() -> None:
    routes = list_routes(Named(), Named())  # type: ignore[arg-type] # only the names count
    page = ["/", "/ui", "/ui/", r"/ui/{file:[a-z-]+\.[a-z]+}"]
    public = ["/ui/login", "/ui/logout", "/health/live", *page]
    assert [r.path for r in routes if r.scope is Scope.PUBLIC] == public
