"""What a session of the page lets through, on the wire, and how one begins and ends."""

import asyncio
import json
from hashlib import sha256
from http.cookies import SimpleCookie
from pathlib import Path
from time import time

import pytest
from structlog.testing import capture_logs

from api.server.access import pace
from api.server.access.sessions import LIFETIME, NAME, spell_session
from api.server.access.token_store import TokenStore
from tests.integration.api.server.access.conftest import Serve
from tests.support.hostile import RawReply, send

ALL, READER, POSTER, THUMBS = (letter * 20 for letter in "abcd")
FILE = f"{ALL}\n{READER} read\n{POSTER} post\n{THUMBS} /job/thumbnails\n"
PAGE = b"X-Requested-With: djd-ui"
JSON = b"Content-Type: application/json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


@pytest.fixture
def token_store(file: Path) -> TokenStore:
    return TokenStore(file, interval=0.01)


async def ask(port: int, line: str, *headers: bytes, body: bytes = b"") -> RawReply:
    lines = (f"{line} HTTP/1.1".encode(), b"Host: localhost", *headers)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return await send(port, b"\r\n".join(lines) + b"\r\n" + length + body)


async def log_in(port: int, token: str, *headers: bytes) -> RawReply:
    body = json.dumps({"token": token}).encode()
    return await ask(port, "POST /ui/login", JSON, *headers, body=body)


def make_cookie(token: str, age: float = 0) -> bytes:
    """Return the header of a session with ``token`` that began ``age`` seconds ago."""
    cookie = spell_session(sha256(token.encode()).digest(), time() - age)
    return f"Cookie: {NAME}={cookie}".encode()


async def test_a_login_gives_a_session_which_a_logout_clears(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)
    reply = await log_in(served.port, ALL)
    assert (reply.code, reply.body) == (204, b"")
    assert reply.headers["cache-control"] == "no-store"
    cookie = SimpleCookie(reply.headers["set-cookie"])[NAME]
    told = {key: value for key, value in cookie.items() if value}
    assert told == {
        "path": "/",
        "httponly": True,
        "samesite": "Strict",
        "max-age": str(LIFETIME),
    }
    assert ALL not in reply.headers["set-cookie"]
    session = f"Cookie: other=1; {NAME}={cookie.value}".encode()
    assert (await ask(served.port, "GET /job/a", session)).code == 200
    left = await ask(served.port, "POST /ui/logout", session, PAGE)
    cleared = SimpleCookie(left.headers["set-cookie"])[NAME]
    assert (left.code, cleared.value, cleared["max-age"], cleared["path"]) == (204, "", "0", "/")


async def test_a_session_outlives_the_process(serve: Serve, file: Path) -> None:
    first = await serve(token_store=TokenStore(file))
    cookie = (await log_in(first.port, READER)).headers["set-cookie"].partition(";")[0]
    second = await serve(token_store=TokenStore(file))
    assert (await ask(second.port, "GET /job/a", f"Cookie: {cookie}".encode())).code == 200


@pytest.mark.parametrize(
    ("token", "line", "code"),
    [
        (ALL, "POST /job/a", 200),
        (ALL, "DELETE /job/a", 200),
        (ALL, "GET /metrics", 200),
        (READER, "GET /job/a", 200),
        (READER, "POST /job/a", 403),
        (READER, "DELETE /job/a", 403),
        (POSTER, "DELETE /job/a", 200),
        (POSTER, "GET /job/a", 403),
        (POSTER, "GET /ui/session", 200),
        (THUMBS, "POST /job/thumbnails", 200),
        (THUMBS, "POST /job/thumbnails/../other", 403),
        (THUMBS, "GET /metrics", 403),
        (THUMBS, "GET /ui/session", 200),
    ],
)
async def test_a_session_allows_what_its_token_does(
    serve: Serve, token_store: TokenStore, token: str, line: str, code: int
) -> None:
    served = await serve(token_store=token_store)
    with_cookie = await ask(served.port, line, make_cookie(token), PAGE)
    with_token = await ask(served.port, line, f"Authorization: Bearer {token}".encode())
    assert (with_cookie.code, with_token.code) == (code, code)
    assert with_cookie.code == 200 or with_cookie.error["reason"] == "OutOfScope"


@pytest.mark.parametrize(
    ("token", "view"),
    [
        (ALL, {"scopes": ["read", "post"], "paths": None}),
        (READER, {"scopes": ["read"], "paths": None}),
        (POSTER, {"scopes": ["post"], "paths": None}),
        (THUMBS, {"scopes": ["read", "post"], "paths": ["/job/thumbnails"]}),
    ],
)
async def test_a_session_is_told_what_it_may_do(
    serve: Serve, token_store: TokenStore, token: str, view: dict[str, object]
) -> None:
    served = await serve(token_store=token_store)
    name = sha256(token.encode()).hexdigest()[:16]
    for header in (make_cookie(token), f"Authorization: Bearer {token}".encode()):
        reply = await ask(served.port, "GET /ui/session", header)
        assert json.loads(reply.body) == {"required": True, "name": name, **view}


async def test_without_tokens_everybody_may_do_everything(serve: Serve) -> None:
    served = await serve()
    for headers in ([], [make_cookie(ALL)], [b"Cookie: djd-session=x"]):
        reply = await ask(served.port, "GET /ui/session", *headers)
        everything = {"required": False, "name": None, "scopes": ["read", "post"], "paths": None}
        assert (reply.code, json.loads(reply.body)) == (200, everything)
        assert (await ask(served.port, "POST /job/a", *headers)).code == 200
    assert (await log_in(served.port, ALL)).error["reason"] == "Unauthorized"


GOOD = make_cookie(ALL)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Cookie:"],
        [b"Cookie: djd-session"],
        [b"Cookie: djd-session="],
        [b"Cookie: djd-session=" + ALL.encode()],
        [make_cookie(ALL, LIFETIME + 1)],
        [make_cookie(ALL, -LIFETIME)],
        [make_cookie("z" * 20)],
        [GOOD[:-1]],
        [GOOD[:-1] + (b"0" if GOOD[-1:] != b"0" else b"1")],
        [GOOD.upper().replace(b"DJD-SESSION", b"djd-session")],
        [GOOD + b"\xff"],
        [GOOD + "é".encode()],
        [GOOD + b"x" * 7000],
        [GOOD.replace(b"=", b"=\xd9\xa1.", 1)],
        [GOOD + b"; " + GOOD.removeprefix(b"Cookie: ")],
        [GOOD, GOOD],
        [GOOD + b"; djd-session=x"],
        [GOOD.replace(b"djd", b"DJD")],
        # a header wins, be it wrong
        [GOOD, b"Authorization: Bearer " + b"z" * 20],
        [GOOD, b"Authorization:"],
        [GOOD, b"Authorization: Basic " + ALL.encode()],
    ],
    ids=range(22),
)
async def test_what_is_no_session_reaches_nothing(
    serve: Serve, token_store: TokenStore, headers: list[bytes]
) -> None:
    served = await serve(token_store=token_store)
    for line in ("GET /job/a", "POST /job/a", "DELETE /job/a", "GET /metrics"):
        reply = await ask(served.port, line, *headers, PAGE)
        assert (reply.code, reply.error["reason"]) == (401, "Unauthorized")
        assert reply.headers["connection"] == "close"
        assert reply.headers["www-authenticate"].startswith("Bearer ")
    shown = await ask(served.port, "GET /ui/session", *headers)
    if any(header.startswith(b"Authorization") for header in headers):
        assert (shown.code, shown.error["reason"]) == (401, "Unauthorized")
    else:
        nothing: dict[str, object] = {"required": True, "name": None, "scopes": [], "paths": None}
        assert (shown.code, json.loads(shown.body)) == (200, nothing)
    assert served.seen == []


async def test_a_cookie_that_is_too_long_for_a_header_is_refused(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)
    assert (await ask(served.port, "GET /job/a", GOOD + b"x" * 9000)).code == 431


async def test_a_header_wins_over_a_session(serve: Serve, token_store: TokenStore) -> None:
    served = await serve(token_store=token_store)
    bearer = f"Authorization: Bearer {READER}".encode()
    assert (await ask(served.port, "POST /job/a", GOOD, bearer, PAGE)).code == 403
    # and needs nothing that the page would send
    bearer = f"Authorization: Bearer {ALL}".encode()
    assert (await ask(served.port, "POST /job/a", make_cookie(READER), bearer)).code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "HeaderMissing"),
        ([b"X-Requested-With:"], "HeaderMissing"),
        ([b"X-Requested-With: XMLHttpRequest"], "HeaderMissing"),
        ([b"X-Requested-With: djd-ui2"], "HeaderMissing"),
        ([PAGE, PAGE], "HeaderMissing"),
        ([b"Origin: http://localhost"], "HeaderMissing"),
        ([PAGE, b"Origin: http://evil.example"], "ForeignOrigin"),
        ([PAGE, b"Origin: null"], "ForeignOrigin"),
        # a job's own port on this host
        ([PAGE, b"Origin: http://localhost:9000"], "ForeignOrigin"),
        ([PAGE, b"Origin: http://localhost", b"Origin: http://evil.example"], "ForeignOrigin"),
    ],
)
async def test_a_change_by_cookie_comes_from_the_page_alone(
    serve: Serve, token_store: TokenStore, headers: list[bytes], reason: str
) -> None:
    served = await serve(token_store=token_store)
    lines = ("POST /job/a", "DELETE /job/a", "POST /ui/logout")
    for line in lines:
        reply = await ask(served.port, line, GOOD, *headers)
        assert (reply.code, reply.error["reason"]) == (403, reason)
        assert "set-cookie" not in reply.headers
    assert served.seen == []
    for line in lines:
        assert (await ask(served.port, line, GOOD, PAGE, b"Origin: http://localhost")).code < 300


async def test_a_session_does_not_open_another_host(serve: Serve, token_store: TokenStore) -> None:
    served = await serve(token_store=token_store)
    request = b"GET /job/a HTTP/1.1\r\nHost: evil.example\r\n" + GOOD + b"\r\n\r\n"
    assert (await send(served.port, request)).error["reason"] == "UnknownHost"
    page = b"Origin: http://evil.example"
    assert (await ask(served.port, "GET /job/a", GOOD, page)).error["reason"] == "ForeignOrigin"
    assert (await log_in(served.port, ALL, page)).error["reason"] == "ForeignOrigin"


async def test_a_session_follows_the_token_file(
    serve: Serve, token_store: TokenStore, file: Path
) -> None:
    served = await serve(token_store=token_store)

    async def post(token: str) -> int:
        return (await ask(served.port, "POST /job/a", make_cookie(token), PAGE)).code

    async def wait_until_all_gets(code: int) -> None:
        async with asyncio.timeout(30):
            while await post(ALL) != code:
                await asyncio.sleep(0.01)

    assert (await post(ALL), await post(POSTER)) == (200, 200)
    file.write_text(f"{ALL} read\n{POSTER.upper()} post\n")
    # it may do less at once, and one whose token was changed has ended
    await wait_until_all_gets(403)
    assert (await post(POSTER), await post(POSTER.upper())) == (401, 200)
    assert (await ask(served.port, "GET /job/a", make_cookie(ALL))).code == 200
    file.write_text(FILE)
    await wait_until_all_gets(200)


WRONG_BODIES = (
    (b"", "EmptyBody"),
    (b"{", "NotJson"),
    (b"\xff\xfe", "NotUtf8"),
    (b"null", "InvalidBody"),
    (b"[]", "InvalidBody"),
    (b'"' + ALL.encode() + b'"', "InvalidBody"),
    (b"{}", "InvalidBody"),
    (b'{"token": null}', "InvalidBody"),
    (b'{"token": ["' + ALL.encode() + b'"]}', "InvalidBody"),
    (b'{"token": "x", "more": 1}', "InvalidBody"),
    (b'{"token": "x", "token": "y"}', "DuplicateKey"),
    (b'{"Token": "' + ALL.encode() + b'"}', "InvalidBody"),
    (b'{"token": "\\ud800"}', "LoneSurrogate"),
    (b'{"token": "' + ALL.encode() + b'\\u0000"}', "NulCharacter"),
    (b'{"token": "' + b"x" * 5000 + b'"}', "TooLarge"),
    (b"[" * 5000, "TooLarge"),
)


@pytest.mark.parametrize(("body", "reason"), WRONG_BODIES, ids=range(len(WRONG_BODIES)))
async def test_a_login_without_a_token_is_refused(
    serve: Serve, token_store: TokenStore, body: bytes, reason: str
) -> None:
    served = await serve(token_store=token_store)
    reply = await ask(served.port, "POST /ui/login", JSON, body=body)
    assert (reply.code, reply.error["reason"]) == (413 if reason == "TooLarge" else 400, reason)
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "token", ["", "x", "z" * 20, ALL.upper(), ALL + " ", ALL + "é", f"Bearer {ALL}", ALL + "\n"]
)
async def test_a_wrong_token_is_answered_as_it_is_in_a_header(
    serve: Serve, token_store: TokenStore, token: str
) -> None:
    served = await serve(token_store=token_store)
    with capture_logs() as logs:
        reply = await log_in(served.port, token)
    assert (reply.code, reply.error["reason"]) == (401, "Unauthorized")
    assert reply.headers["connection"] == "close"
    assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert "set-cookie" not in reply.headers
    assert [e["remote"] for e in logs if e["event"] == "token refused"] == ["127.0.0.1"]
    assert token in ("", "x") or token not in str(logs)


async def test_guesses_come_one_by_one_beside_others(serve: Serve, token_store: TokenStore) -> None:
    served = await serve(token_store=token_store)
    for token in (ALL, READER):
        await ask(served.port, "GET /job/a", f"Authorization: Bearer {token}".encode())
    loop = asyncio.get_running_loop()
    began = loop.time()
    replies = await asyncio.gather(*(log_in(served.port, "z" * 20) for _ in range(20)))
    assert {reply.code for reply in replies} == {401}
    assert loop.time() - began >= 18 * pace.STEP


async def test_a_form_of_another_page_is_no_login(serve: Serve, token_store: TokenStore) -> None:
    served = await serve(token_store=token_store)
    body = json.dumps({"token": ALL}).encode()
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"):
        reply = await ask(served.port, "POST /ui/login", b"Content-Type: " + kind, body=body)
        assert (reply.code, reply.error["reason"]) == (415, "UnsupportedMediaType")


async def test_a_session_that_is_refused_is_logged_without_its_text(
    serve: Serve, token_store: TokenStore
) -> None:
    served = await serve(token_store=token_store)
    with capture_logs() as logs:
        await ask(served.port, "GET /metrics", make_cookie(ALL, LIFETIME + 1))
        await ask(served.port, "GET /metrics", GOOD)
    assert [e["remote"] for e in logs if e["event"] == "session refused"] == ["127.0.0.1"]
    assert GOOD.rpartition(b".")[2].decode() not in str(logs)


async def test_who_has_left_may_leave_again(serve: Serve, token_store: TokenStore) -> None:
    served = await serve(token_store=token_store)
    for headers in ([], [b"Cookie: djd-session=x", PAGE], [make_cookie("z" * 20), PAGE]):
        assert (await ask(served.port, "POST /ui/logout", *headers)).code == 204
