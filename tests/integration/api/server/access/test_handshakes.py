"""TLS connections count from the moment they are accepted, and lose nothing on their way."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from api.http.limits import ClientLimits
from api.http.listening import listen
from tests.support.certificates import make_certificates
from tests.support.hostile import read_reply

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@asynccontextmanager
async def serve(folder: Path, limits: ClientLimits) -> AsyncIterator[int]:
    """Yield the port of a server that shows how much it was sent."""

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/", show)
    async with listen(app, limits, "127.0.0.1", 0, context=context) as (_, port):
        yield port


async def connect(port: int, folder: Path | None = None) -> Streams:
    context = None if folder is None else ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def is_closed(streams: Streams) -> bool:
    async with asyncio.timeout(60):
        with suppress(ConnectionError):
            return await streams[0].read(1) == b""
    return True


async def test_the_connection_that_shakes_no_hands_gives_way(certificates: Path) -> None:
    async with serve(certificates, ClientLimits(connections=3)) as port:
        silent = [await connect(port) for _ in range(3)]
        good = await connect(port, certificates)
        good[1].write(GET)
        assert (await read_reply(good[0])).code == 200
        assert await is_closed(silent[0])
        silent += [await connect(port) for _ in range(3)]
        assert await is_closed(silent[1])
        for _, writer in (*silent, good):
            writer.close()


async def test_a_handshake_has_the_deadline_of_a_header(certificates: Path) -> None:
    async with serve(certificates, ClientLimits(receive=0.3)) as port:
        silent, garbled = await connect(port), await connect(port)
        garbled[1].write(b"GET / HTTP/1.1\r\n\r\n")
        await garbled[0].read()
        assert await is_closed(silent)
        for _, writer in (silent, garbled):
            writer.close()


async def test_what_comes_at_once_after_the_handshake_is_served(certificates: Path) -> None:
    """By a client that does not wait: its last message of the handshake and the request are one."""
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    body = b"x" * 50_000
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n" + body
    async with serve(certificates, ClientLimits()) as port:
        for _ in range(20):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            reader, writer = await connect(port)
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            while True:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                break
            tls.write(request)
            writer.write(outgoing.read())
            answer = b""
            async with asyncio.timeout(60):
                while b"50000" not in answer:
                    incoming.write(await reader.read(65536))
                    with suppress(ssl.SSLWantReadError):
                        answer += tls.read(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            writer.close()
