"""Requests that are not what they should be, on bare sockets."""

import asyncio
import json
from itertools import count

import pytest

from tests.integration.api.server.access.conftest import Serve
from tests.support.hostile import read_reply, send

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
MEBI = 1 << 20
LINGER = 5


def get(*lines: bytes, target: bytes = b"/job/x", version: bytes = b"1.1") -> bytes:
    return b"GET %s HTTP/%s\r\n%s\r\n" % (
        target,
        version,
        b"".join(line + b"\r\n" for line in lines),
    )


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"POST /job HTTP/1.1\r\n%s%s%s\r\n%s" % (
        HOST,
        JSON,
        b"".join(line + b"\r\n" for line in lines),
        body,
    )


@pytest.mark.parametrize(
    "request_",
    [
        post(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"Content-Length: 2", b"Content-Length: 3", body=b"{} "),
        post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"),
        post(b"Content-Length: +2", body=b"{}"),
        post(b"Content-Length: 2, 2", body=b"{}"),
        post(b"Content-Length: -1"),
        post(b"Content-Length: 0x2", body=b"{}"),
        post(b"Transfer-Encoding: gzip", body=b"{}"),
        post(b"Transfer-Encoding: chunked, gzip", body=b"2\r\n{}\r\n0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked", body=b"+2\r\n{}\r\n0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked", body=b"zz\r\n"),
        get(b"Host: localhost", b"Host: localhost"),
        get(b"Host: localhost", b"Host: evil.example"),
        get(),
        get(b"Host: localhost", b"X: a\0b"),
        get(b"Host: localhost", b"X: a", b" folded"),
        get(b"Host: localhost", b"X : a"),
        get(b"Host: localhost", b"\xff\xfe: a"),
        get(b"Host: localhost", *(b"X-%d: 1" % i for i in range(200))),
        get(b"Host: localhost", target=b"/job/a b"),
        get(b"Host: localhost", target=b"job"),
        b"GET /job/x HTTP/1.1\nHost: localhost\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 100,
    ],
    ids=count(),
)
async def test_what_is_not_http_is_refused_in_json_and_the_connection_closed(
    serve: Serve, request_: bytes
) -> None:
    served = await serve()
    reply = await send(served.port, request_, linger=LINGER)
    assert (reply.code, reply.error["reason"], reply.closed) == (400, "InvalidRequest", True)
    assert served.seen == []


@pytest.mark.parametrize(
    "request_",
    [
        get(b"Host: localhost", target=b"/" + b"a" * 9000),
        get(b"Host: localhost", b"X: " + b"a" * 9000),
    ],
    ids=["target", "field"],
)
async def test_a_header_that_is_too_long_is_refused(serve: Serve, request_: bytes) -> None:
    served = await serve()
    reply = await send(served.port, request_, linger=LINGER)
    assert (reply.code, reply.error["reason"], reply.closed) == (431, "HeaderTooLarge", True)


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (get(version=b"1.0"), 400, "NoHost"),
        (get(b"Host: evil.example"), 421, "UnknownHost"),
        (get(b"Host: localhost.evil.example:8000"), 421, "UnknownHost"),
        (get(b"Host:"), 421, "UnknownHost"),
        (get(b"Host: localhost", target=b"http://evil.example/job/x"), 421, "UnknownHost"),
        (get(b"Host: evil.example", target=b"http://localhost/job/x"), 421, "UnknownHost"),
        (get(b"Host: localhost", b"Origin: http://evil.example"), 403, "ForeignOrigin"),
        (get(b"Host: localhost", b"Origin: null"), 403, "ForeignOrigin"),
        (get(b"Host: localhost:1", b"Origin: http://localhost:2"), 403, "ForeignOrigin"),
        (
            get(b"Host: localhost", b"Origin: http://localhost", b"Origin: http://evil.example"),
            403,
            "ForeignOrigin",
        ),
        (
            post(b"Origin: http://evil.example", b"Content-Length: 2", body=b"{}"),
            403,
            "ForeignOrigin",
        ),
        (post(b"Content-Length: %d" % (MEBI + 1)), 413, "TooLarge"),
        (
            post(b"Transfer-Encoding: chunked", body=b"100001\r\n" + b"x" * (MEBI + 1) + b"\r\n"),
            413,
            "TooLarge",
        ),
    ],
    ids=count(),
)
async def test_a_refusal_says_why_reaches_no_handler_and_closes(
    serve: Serve, request_: bytes, code: int, reason: str
) -> None:
    served = await serve()
    reply = await send(served.port, request_, linger=LINGER)
    assert (reply.code, reply.error["reason"], reply.closed) == (code, reason, True)
    assert reply.headers["connection"] == "close"
    assert "access-control-allow-origin" not in reply.headers
    assert served.seen == []


@pytest.mark.parametrize(
    "request_",
    [
        get(b"Host: localhost:8000"),
        get(b"Host: JOBS.example"),
        get(b"Host: 127.0.0.1", b"Origin: http://127.0.0.1"),
        get(b"Host: localhost", target=b"http://localhost/job/x"),
        post(b"Content-Length: 2", body=b"{}"),
        post(b"Content-Length: %d" % MEBI, body=b"x" * MEBI),
        post(b"Transfer-Encoding: chunked", body=b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
        post(b"Content-Encoding: identity", b"Content-Length: 2", body=b"{}"),
    ],
    ids=count(),
)
async def test_a_request_as_it_should_be_passes_and_the_connection_stays(
    serve: Serve, request_: bytes
) -> None:
    served = await serve()
    reply = await send(served.port, request_, linger=0.2)
    assert (reply.code, reply.closed, len(served.seen)) == (200, False, 1)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Content-Type: text/plain"],
        [b"Content-Type: application/x-www-form-urlencoded"],
        [b"Content-Type: application/json; charset=latin-1"],
        [b"Content-Type: application/json", b"Content-Encoding: gzip"],
        [b"Content-Type: text/plain", b"Expect: 100-continue"],
    ],
    ids=count(),
)
@pytest.mark.parametrize("length", [9, MEBI + 1])
async def test_what_is_no_json_is_refused_by_its_header_before_a_body_comes(
    serve: Serve, lines: list[bytes], length: int
) -> None:
    served = await serve()
    head = [b"POST /json HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % length, *lines]
    reply = await send(served.port, b"\r\n".join(head) + b"\r\n\r\n", linger=LINGER)
    assert (reply.code, reply.error["reason"], reply.closed) == (415, "UnsupportedMediaType", True)
    assert served.seen == []


async def test_no_page_is_told_that_it_may_ask(serve: Serve) -> None:
    served = await serve()
    preflight = b"OPTIONS /job HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"
    reply = await send(served.port, preflight)
    assert reply.code == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_an_unknown_expectation_is_refused_in_json(serve: Serve) -> None:
    served = await serve()
    reply = await send(served.port, post(b"Expect: tea", b"Content-Length: 0"))
    assert (reply.code, reply.error["reason"]) == (417, "ExpectationFailed")


async def test_a_body_is_asked_for_where_its_header_is_accepted(serve: Serve) -> None:
    served = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        for length in (2, MEBI):
            writer.write(post(b"Content-Length: %d" % length, b"Expect: 100-Continue"))
            async with asyncio.timeout(60):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"x" * length)
            reply = await read_reply(reader)
            assert (reply.code, json.loads(reply.body)["size"]) == (200, length)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("lines", "code"),
    [([b"Host: evil.example"], 421), ([b"Host: localhost", b"Origin: http://evil.example"], 403)],
)
async def test_no_body_is_asked_for_where_its_header_is_refused(
    serve: Serve, lines: list[bytes], code: int
) -> None:
    served = await serve()
    head = [b"POST /job HTTP/1.1", b"Content-Length: 9", b"Expect: 100-continue", *lines]
    reply = await send(served.port, b"\r\n".join(head) + b"\r\n\r\n", linger=LINGER)
    assert (reply.code, reply.closed) == (code, True)


async def test_a_body_that_breaks_off_reaches_no_handler(serve: Serve) -> None:
    served = await serve()
    for part in (
        post(b"Content-Length: 9", body=b"{"),
        post(b"Transfer-Encoding: chunked", body=b"2\r\n{"),
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(part)
        writer.close()
        await writer.wait_closed()
    reply = await send(served.port, get(b"Host: localhost"))
    assert reply.code == 200
    assert served.seen == ["/job/x"]


async def test_a_connection_that_was_refused_takes_no_second_request(serve: Serve) -> None:
    served = await serve()
    reply = await send(
        served.port, get(b"Host: evil.example") + get(b"Host: localhost"), linger=LINGER
    )
    assert (reply.code, reply.closed, served.seen) == (421, True, [])
