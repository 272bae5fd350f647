"""What a grant reaches, by the scope of a route and the path as it came on the wire."""

import pytest

from api.server.access.guard import choose_scope, is_allowed
from api.server.access.tokens import ANYTHING, NOTHING, Act, Grant
from api.server.http.route import Scope

READER, POSTER = Grant(frozenset({Act.READ})), Grant(frozenset({Act.POST}))
THUMBS = Grant(paths=("/job/thumbnails",))
SCOPES = {
    Scope.READ: {"anything", "reader"},
    Scope.READ_JOBS: {"anything", "reader", "thumbs"},
    Scope.POST: {"anything", "poster"},
    Scope.POST_JOBS: {"anything", "poster", "thumbs"},
    Scope.ANY: {"anything", "nothing", "reader", "poster", "thumbs"},
    Scope.PUBLIC: {"anything", "nothing", "reader", "poster", "thumbs"},
}


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_lets_through_whose_token_allows_its_act(scope: Scope) -> None:
    grants = {
        "anything": ANYTHING,
        "nothing": NOTHING,
        "reader": READER,
        "poster": POSTER,
        "thumbs": THUMBS,
    }
    allowed = {name for name, grant in grants.items() if is_allowed(grant, scope, "/job/x")}
    assert allowed == SCOPES[scope]


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [
        ("/job/thumbnails", True),
        ("/job/thumbnails/", True),
        ("/job/thumbnails/small", True),
        ("/job/%74humbnails", True),
        ("/job", False),
        ("/job/thumbnails2", False),
        ("/job/thumbnails/../other", False),
        ("/job/thumbnails/%2e%2e/other", False),
        ("/job/thumbnails%2fsmall", False),
        ("/job/thumbnails//", False),
        ("/job/thumbnails/%zz", False),
        ("/job/thumbnails/%0a", False),
        ("*", False),
    ],
)
def test_a_path_limit_compares_the_one_reading_of_a_path(raw: str, *, allowed: bool) -> None:
    assert is_allowed(THUMBS, Scope.POST, raw) is allowed
    assert is_allowed(THUMBS, Scope.READ, raw) is allowed


def test_where_no_route_matches_the_method_says_what_is_needed() -> None:
    assert choose_scope(None, "GET") is choose_scope(None, "HEAD") is Scope.READ
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        assert choose_scope(None, method) is Scope.POST
