"""Listens on an address and serves an application there, on connections with deadlines."""

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from api.http.connection import ConnectionLimiter
from api.http.handshake import Handshake
from api.http.limits import ClientLimits
from api.http.refusal import Answer, answer_plainly

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
    answer: Answer = answer_plainly,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Serve ``app`` while the block runs, which gets the address and port listened on.

    ``answer`` makes the answers to what no handler sees. Clients never get more than half of the
    files that this process may open: the others are for engine and workers. Raises ``ListenError``.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = replace(limits, connections=max(1, min(limits.connections, files // 2)))
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN)
    try:
        await runner.setup()
        assert runner.server is not None
        limiter = ConnectionLimiter(runner.server, limits, answer)
        server = await _open(limiter, host, port, context)
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _open(
    limiter: ConnectionLimiter, host: str, port: int, context: ssl.SSLContext | None
) -> asyncio.Server:
    def begin() -> asyncio.Protocol:
        return limiter() if context is None else Handshake(limiter, context)

    try:
        return await asyncio.get_running_loop().create_server(begin, host, port)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
