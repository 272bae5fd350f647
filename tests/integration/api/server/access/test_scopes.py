"""What a token lets through, on the wire."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.server.access.token_store import TokenStore
from tests.integration.api.server.access.conftest import Serve
from tests.support.hostile import RawReply, send

ALL, READER, POSTER, THUMBS, SCRAPER = (letter * 20 for letter in "abcde")
FILE = f"""
{ALL}
{READER} read
{POSTER} post
{THUMBS} /job/thumbnails
{SCRAPER} read /metrics /health/ready
"""


@pytest.fixture
def token_store(tmp_path: Path) -> TokenStore:
    file = tmp_path / "tokens"
    file.write_text(FILE)
    file.chmod(0o600)
    return TokenStore(file)


async def ask(port: int, method: str, path: str, *authorization: bytes) -> RawReply:
    lines = b"".join(b"Authorization: %s\r\n" % value for value in authorization)
    return await send(
        port, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + lines + b"\r\n"
    )


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer " + b"z" * 20],
        [b"Bearer " + ALL.upper().encode()],
        [b"Bearer " + ALL.encode() + b"\xc3\xa9"],
        [b"Bearer \xff\xfe"],
        [b"Bearer " + b"z" * 5000],
        [b"Basic " + ALL.encode()],
        [ALL.encode()],
        [b"Bearer " + ALL.encode() + b", Bearer " + ALL.encode()],
        [b"Bearer " + ALL.encode(), b"Bearer " + ALL.encode()],
    ],
    ids=range(13),
)
async def test_without_a_known_token_nothing_but_the_live_page_answers(
    serve: Serve, token_store: TokenStore, authorization: list[bytes]
) -> None:
    served = await serve(token_store=token_store)
    for method, path in [
        ("POST", "/job"),
        ("POST", "/job/a"),
        ("GET", "/job/a"),
        ("GET", "/metrics"),
        ("GET", "/health/ready"),
        ("GET", "/health/live/"),
        ("GET", "/health/live/../ready"),
        ("POST", "/health/live"),
        ("GET", "//health/live"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("OPTIONS", "*"),
    ]:
        reply = await ask(served.port, method, path, *authorization)
        assert (reply.code, reply.error["reason"]) == (401, "Unauthorized"), path
        assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert served.seen == []
    assert (await ask(served.port, "GET", "/health/live", *authorization)).code == 200


async def test_a_wrong_token_is_logged_without_its_text(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)
    with capture_logs() as logs:
        await ask(served.port, "GET", "/metrics", b"Bearer wrong-" + ALL.encode())
    assert [e["remote"] for e in logs if e["event"] == "token refused"] == ["127.0.0.1"]
    assert ALL not in str(logs)
    assert "wrong-" not in str(logs)


async def test_a_refused_stranger_does_not_fill_the_log(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)
    path = "/job/" + "%1b" * 1300 + "x" * 4000
    with capture_logs() as logs:
        assert (await ask(served.port, "GET", path, b"Bearer wrong-" + ALL.encode())).code == 401
    assert {event["event"] for event in logs} == {"token refused", "request"}
    assert sum(len(str(event)) for event in logs) < 1000


@pytest.mark.parametrize(
    ("token", "line", "code"),
    [
        (ALL, "POST /job/a", 200),
        (ALL, "GET /metrics", 200),
        (ALL, "GET /nowhere", 404),
        (READER, "GET /job/a", 200),
        (READER, "HEAD /job/a", 200),
        (READER, "GET /metrics", 200),
        (READER, "POST /job/a", 403),
        (POSTER, "POST /job/a", 200),
        (POSTER, "GET /job/a", 403),
        (POSTER, "GET /metrics", 403),
        (THUMBS, "POST /job/thumbnails", 200),
        (THUMBS, "POST /job/thumbnails/", 200),
        (THUMBS, "POST /job/thumbnails/small", 200),
        (THUMBS, "POST /job", 403),
        (THUMBS, "POST /job/other", 403),
        (THUMBS, "POST /job/thumbnails2", 403),
        (THUMBS, "POST /job/thumbnails/../other", 403),
        (THUMBS, "POST /job/thumbnails%2f..%2fother", 403),
        (THUMBS, "POST /job/thumbnails/%2e%2e/other", 403),
        (THUMBS, "POST /job//thumbnails", 403),
        (THUMBS, "POST http://localhost/job/other", 403),
        (THUMBS, "PUT /job/other", 403),
        (THUMBS, "GET /metrics", 403),
        (THUMBS, "GET /health/ready", 403),
        (THUMBS, "GET /nowhere", 403),
        (SCRAPER, "GET /metrics", 200),
        (SCRAPER, "GET /health/ready", 200),
        (SCRAPER, "POST /job", 403),
    ],
)
async def test_a_token_allows_what_its_line_says(
    serve: Serve, token_store: TokenStore, token: str, line: str, code: int
) -> None:
    served = await serve(token_store=token_store)
    method, path = line.split()
    reply = await ask(served.port, method, path, b"Bearer " + token.encode())
    assert reply.code == code
    assert len(served.seen) == (code == 200)
    if code == 403:
        assert reply.error["reason"] == "OutOfScope"


async def test_a_handler_learns_which_jobs_may_be_read(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)

    async def may_read_other(token: str) -> Any:
        reply = await ask(served.port, "GET", "/job/a", b"bearer " + token.encode())
        return json.loads(reply.body)["mayReadOther"]

    assert await may_read_other(READER) is True
    assert await may_read_other(THUMBS) is False
    assert await may_read_other(SCRAPER) is False
