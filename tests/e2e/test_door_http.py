"""What is not as it should be on the wire records nothing on the engine."""

import asyncio
import json

from tests.support.hostile import send
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["true"]}'
MEBI = 1 << 20
HOST = b"Host: localhost"
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"


def spell(body: bytes, *lines: bytes, target: bytes = b"/job") -> bytes:
    return b"POST %s HTTP/1.1\r\n%s\r\n\r\n%s" % (target, b"\r\n".join(lines), body)


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def test_nothing_is_recorded_by_a_request_that_is_refused(
    private_engine: PrivateEngine, namespace: str
) -> None:
    good = json.dumps({"name": f"{namespace}-job"}).encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good)
    huge = good[:-1] + b" " * MEBI + b"}"
    requests = [
        (400, spell(chunked, HOST, JSON, length(good), CHUNKED)),
        (400, spell(good, HOST, JSON, length(good), length(good))),
        (400, spell(good, HOST, JSON, b"Content-Length: +%d" % len(good))),
        (400, spell(good, HOST, HOST, JSON, length(good))),
        (400, spell(good, JSON, length(good))),
        (400, spell(good, HOST, JSON, length(good)).replace(b"HTTP/1.1", b"HTTP/9.9")),
        (421, spell(good, b"Host: evil.example", JSON, length(good))),
        (421, spell(good, HOST, JSON, length(good), target=b"http://evil.example/job")),
        (421, spell(good, b"Host: evil.example", b"Content-Type: text/plain", length(good))),
        (403, spell(good, HOST, JSON, b"Origin: http://evil.example", length(good))),
        (403, spell(good, HOST, JSON, b"Origin: null", length(good))),
        (415, spell(good, HOST, b"Content-Type: text/plain", length(good))),
        (415, spell(good, HOST, length(good))),
        (415, spell(good, HOST, JSON, b"Content-Encoding: gzip", length(good))),
        (417, spell(good, HOST, JSON, b"Expect: tea", length(good))),
        (413, spell(huge, HOST, JSON, length(huge))),
        (413, spell(b"%x\r\n%s\r\n0\r\n\r\n" % (len(huge), huge), HOST, JSON, CHUNKED)),
        (431, spell(good, HOST, JSON, b"X: " + b"x" * 9000, length(good))),
        (408, spell(good[:-1], HOST, JSON, length(good))),
        (408, spell(b"", HOST, JSON)[:-2]),
    ]

    async def send_all(port: int) -> list[int]:
        replies = await asyncio.gather(*(send(port, request) for _, request in requests))
        assert all(reply.error["requestId"] for reply in replies)
        return [reply.code for reply in replies]

    with ApiProcess(private_engine.host, namespace, JOB, "--receive-timeout", "1") as api:
        assert asyncio.run(send_all(api.port)) == [code for code, _ in requests]
        label = f"label=docker-job-dispatcher.namespace={namespace}"
        assert private_engine.names(label) == []
        # the very document is good
        reply = asyncio.run(send(api.port, spell(good, HOST, JSON, length(good))))
        assert reply.code == 201
        assert private_engine.names(label) == [f"{namespace}-job"]
