import pytest

from api.server.http.problem import Problem
from api.server.http.request_path import read_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/job", "/job"),
        ("/job/", "/job"),
        ("/job/a/b", "/job/a/b"),
        ("/job/a/b/", "/job/a/b"),
        ("/job/a%20b/%C3%BC", "/job/a b/ü"),
        ("/job/%252f", "/job/%2f"),
        ("/job/a+b", "/job/a+b"),
        ("/job/...", "/job/..."),
    ],
)
def test_a_path_is_decoded_once_and_loses_a_trailing_slash(raw: str, path: str) -> None:
    assert read_path(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        "/job//a",
        "/job/a//",
        "/job/./a",
        "/job/../a",
        "/job/a/..",
        "/job/%2e%2e/a",
        "/job/a%2fb",
        "/job/a%2Fb",
        "/job/a%00",
        "/job/a%0d%0ab",
        "/job/a%7f",
        "/job/a%C2%85",
        "/job/a%E2%80%AEb",
        "/job/%ff",
        "/job/%zz",
        "/job/%",
        "/job/%ED%A0%80",
    ],
)
def test_a_path_that_can_be_misread_is_refused(raw: str) -> None:
    with pytest.raises(Problem) as caught:
        read_path(raw)
    assert (caught.value.code, caught.value.reason) == (400, "InvalidPath")
