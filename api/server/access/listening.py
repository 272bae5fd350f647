"""Listens on an address and serves an application there, on connections with deadlines."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from api.server.access.connection import ConnectionLimiter
from api.server.access.limits import ClientLimits

_SHUTDOWN = 3.0
"""Seconds that an answer may take to be sent when service ends."""


class ListenError(Exception):
    """An address or port that cannot be listened on."""


@asynccontextmanager
async def listen(
    app: web.Application,
    limits: ClientLimits,
    host: str,
    port: int,
    *,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Serve ``app`` while the block runs, which gets the address and port listened on.

    Raises ``ListenError``.
    """
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN)
    try:
        await runner.setup()
        assert runner.server is not None
        server = await _open(ConnectionLimiter(runner.server, limits), host, port, context)
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _open(
    limiter: ConnectionLimiter, host: str, port: int, context: ssl.SSLContext | None
) -> asyncio.Server:
    seconds = None if context is None else limiter.limits.receive
    try:
        return await asyncio.get_running_loop().create_server(
            limiter,
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
    except OSError as error:
        raise ListenError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
