"""Clients that take their time, or come in crowds; deadlines are short here."""

import asyncio
from contextlib import suppress

import pytest

from api.http.limits import ClientLimits
from tests.integration.api.server.access.conftest import Serve, Served
from tests.support.hostile import RawReply, read_reply, send

GET = b"GET /job/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
WAIT = b"GET /job/wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHORT = ClientLimits(receive=0.3, idle=0.6)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(served: Served, data: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(data)
    return reader, writer


async def ask(streams: Streams, data: bytes) -> RawReply:
    streams[1].write(data)
    return await read_reply(streams[0])


async def is_closed(streams: Streams) -> bool:
    """Wait until the server closes, without an answer."""
    async with asyncio.timeout(60):
        with suppress(ConnectionError):
            return await streams[0].read(1) == b""
    return True


async def close(*many: Streams) -> None:
    for _, writer in many:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until_seen(served: Served, count: int) -> None:
    async with asyncio.timeout(60):
        while len(served.seen) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "parts",
    [[b""], [GET[:30]], [bytes([byte]) for byte in GET]],
    ids=["nothing", "a part", "a byte at a time"],
)
async def test_a_header_that_does_not_arrive_in_time_is_given_up(
    serve: Serve, parts: list[bytes]
) -> None:
    served = await serve(SHORT)
    reply = await send(served.port, *parts, pause=0.05, linger=5)
    assert (reply.code, reply.error["reason"], reply.closed) == (408, "HeaderTimeout", True)
    assert served.seen == []


@pytest.mark.parametrize("parts", [[b""], [b"{"] * 9], ids=["nothing", "a byte at a time"])
async def test_a_body_that_does_not_arrive_in_time_is_given_up(
    serve: Serve, parts: list[bytes]
) -> None:
    served = await serve(SHORT)
    reply = await send(served.port, POST, *parts, pause=0.1, linger=5)
    assert (reply.code, reply.error["reason"], reply.closed) == (408, "BodyTimeout", True)
    assert served.seen == []


async def test_the_second_request_of_a_connection_has_deadlines_too(serve: Serve) -> None:
    served = await serve(ClientLimits(receive=0.3))
    streams = await connect(served)
    assert (await ask(streams, GET)).code == 200
    assert (await ask(streams, GET[:30])).error["reason"] == "HeaderTimeout"
    await close(streams)


async def test_a_connection_without_a_request_is_closed_without_a_word(serve: Serve) -> None:
    served = await serve(SHORT)
    streams = await connect(served)
    assert (await ask(streams, GET)).code == 200
    assert await is_closed(streams)
    await close(streams)


async def test_a_handler_may_take_longer_than_clients_may(serve: Serve) -> None:
    served = await serve(SHORT)
    streams = await connect(served, WAIT)
    slow = await connect(served, GET[:30])
    # by then the deadlines of the one that waits for us would have passed as well
    assert (await read_reply(slow[0])).code == 408
    idle = await connect(served)
    assert (await ask(idle, GET)).code == 200
    assert await is_closed(idle)
    served.proceed.set()
    assert (await read_reply(streams[0])).code == 200
    await close(streams, slow, idle)


@pytest.mark.parametrize("more", [b"", GET[:30], GET], ids=["silent", "a part", "another"])
async def test_a_client_that_takes_no_answer_is_given_up(serve: Serve, more: bytes) -> None:
    served = await serve(SHORT)
    reader, writer = await connect(served, GET.replace(b"/job/x", b"/job/big"))
    await until_seen(served, 1)
    writer.write(more)
    # it reads only when the deadline must have passed for others
    other = await connect(served)
    assert (await ask(other, GET)).code == 200
    assert await is_closed(other)
    received = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(60):
            while chunk := await reader.read(1 << 20):
                received += len(chunk)
    assert received < 64 << 20
    await close((reader, writer), other)


async def test_beyond_the_limit_the_connection_that_waited_longest_gives_way(serve: Serve) -> None:
    served = await serve(ClientLimits(connections=3))
    busy = await connect(served, WAIT)
    await until_seen(served, 1)
    slow = await connect(served, POST)
    idle = await connect(served)
    assert (await ask(idle, GET)).code == 200
    first = await connect(served)
    assert (await ask(first, GET)).code == 200
    assert await is_closed(slow)
    second = await connect(served)
    assert (await ask(second, GET)).code == 200
    assert await is_closed(idle)
    assert (await ask(first, GET)).code == 200
    served.proceed.set()
    assert (await read_reply(busy[0])).code == 200
    await close(busy, slow, idle, first, second)


async def test_where_all_are_being_answered_a_further_connection_is_refused(serve: Serve) -> None:
    served = await serve(ClientLimits(connections=2))
    busy = [await connect(served, WAIT) for _ in range(2)]
    await until_seen(served, 2)
    reply = await send(served.port, b"", linger=5)
    assert (reply.code, reply.error["reason"], reply.closed) == (503, "TooManyConnections", True)
    served.proceed.set()
    for reader, _ in busy:
        assert (await read_reply(reader)).code == 200
    await close(*busy)
    assert (await send(served.port, GET)).code == 200


async def test_beyond_the_limit_on_requests_under_way_the_answer_is_429(serve: Serve) -> None:
    served = await serve(ClientLimits(waiting=2))
    busy = [await connect(served, WAIT) for _ in range(2)]
    await until_seen(served, 2)
    third = await connect(served)
    reply = await ask(third, GET)
    assert (reply.code, reply.error["reason"]) == (429, "TooManyRequests")
    assert int(reply.headers["retry-after"]) > 0
    for page in (b"/health/live", b"/health/ready", b"/metrics"):
        assert (await ask(third, GET.replace(b"/job/x", page))).code == 200
    served.proceed.set()
    for reader, _ in busy:
        assert (await read_reply(reader)).code == 200
    assert (await ask(third, GET)).code == 200
    await close(*busy, third)


async def test_slow_bodies_do_not_count_as_requests_under_way(serve: Serve) -> None:
    served = await serve(ClientLimits(waiting=1))
    slow = [await connect(served, POST) for _ in range(5)]
    assert (await send(served.port, GET)).code == 200
    await close(*slow)
