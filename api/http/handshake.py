"""TLS handshakes that count as connections from the moment the client is accepted.

asyncio shows a server no connection before its handshake is over, so that any number of clients
that never begin one could hold as many files.
"""

import asyncio
import ssl
from contextlib import suppress

from api.http.connection import ConnectionLimiter


class Handshake(asyncio.Protocol):
    """A connection that waits for its client to shake hands; then it is handed on."""

    def __init__(self, limiter: ConnectionLimiter, context: ssl.SSLContext) -> None:
        self._limiter = limiter
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()

    def abort(self) -> None:
        """Close at once."""
        self._limiter.leave(self)
        if self._transport is not None:
            self._transport.abort()

    # what follows is asyncio.Protocol's
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, or close: without one, nothing can be said."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._limiter.enter(self):
            self._limiter.note(self, waiting=True)
            self._task = asyncio.get_running_loop().create_task(self._shake(transport))
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Keep what came right after the handshake, for whom the connection is handed to."""
        self._early += data

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        del exc
        self._limiter.leave(self)
        self._transport = None

    async def _shake(self, transport: asyncio.Transport) -> None:
        seconds = self._limiter.limits.receive
        secured = None
        with suppress(OSError):
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        lost = self._transport is None
        self.abort() if secured is None else self._limiter.leave(self)
        if secured is None or lost:
            return
        connection = self._limiter()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))
