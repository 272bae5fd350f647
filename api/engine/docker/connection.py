"""The connections to one engine: calls with a deadline, streams, and the API version."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import aiohttp
from aiodocker import Docker
from aiohttp import hdrs

from api.engine.docker.clock import EngineClock
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import EngineRefusedError
from api.engine.interface import EngineInfo

OLDEST_API: Final = (1, 41)
"""Docker Engine 20.10."""
NEWEST_API: Final = (1, 51)
"""Docker Engine 28.5. A newer engine is called in this version if it still accepts it."""

T = TypeVar("T")

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode

_SKIPPED: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT)
"""Headers that the engine makes no use of, and that each request would spell."""


class Connection:
    """aiodocker clients of the engine at ``endpoint``: for calls, fresh and long ones, and streams.

    ``timeout`` is the deadline of every call in seconds. The sessions are made here, because
    aiodocker's have neither a limit nor a deadline. ``clock`` is set by the replies.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._ssl = endpoint.make_ssl_context()
        self._calls = self._make_client(limit=64)
        self._fresh_calls = self._make_client(limit=64, force_close=True)
        self._streams = self._make_client(limit=0)
        self._long_calls = self._make_client(limit=0)
        self._clients = (self._calls, self._fresh_calls, self._streams, self._long_calls)
        self._info: EngineInfo | None = None
        self._negotiation: asyncio.Task[EngineInfo] | None = None
        self.clock = EngineClock()

    @property
    def api_version(self) -> tuple[int, int]:
        """The version that is spoken."""
        return OLDEST_API if self._info is None else self._info.api_version

    def _make_client(self, limit: int, *, force_close: bool = False) -> Docker:
        connector: aiohttp.BaseConnector
        if self._endpoint.socket_path is not None:
            connector = aiohttp.UnixConnector(
                self._endpoint.socket_path, limit=limit, force_close=force_close
            )
        else:
            connector = aiohttp.TCPConnector(
                ssl=self._ssl or True, limit=limit, force_close=force_close
            )
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIPPED,
        )
        url = "unix://localhost" if self._endpoint.socket_path else self._endpoint.url
        client = Docker(
            url=url, connector=connector, session=session, api_version=_format_version(OLDEST_API)
        )
        client.docker_host = url
        return client

    async def open_stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        patience: float | None,
        data: bytes | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the response unread; the caller closes it.

        ``patience`` is the deadline for its header in seconds.
        """

        async def ask() -> aiohttp.ClientResponse:
            with translate_errors():
                async with asyncio.timeout(patience):
                    return await self._streams._do_query(  # noqa: SLF001 - its public reader cannot reconnect
                        path, method, params=params, headers=headers, data=data
                    )

        return await self._agree_on_version(ask)

    async def call(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        fresh: bool = False,
        raw: bool = False,
        more: float | None = None,
    ) -> T:
        """Send a request and return what ``read`` makes of the response's JSON, or ``raw`` bytes.

        A ``fresh`` call opens a connection. An engine that shuts down refuses it, but serves open
        connections until the last container has ended (moby's ``HTTPServer.Close`` closes the
        listener alone). ``more``: seconds beyond the deadline of other calls, for one that may take
        long and must not keep others waiting for a connection.
        """
        return await self._agree_on_version(
            lambda: self._exchange(
                method, path, read, params=params, body=body, fresh=fresh, raw=raw, more=more
            )
        )

    async def negotiate(self) -> EngineInfo:
        """Ask who the engine is, and use the newest API version that both know from now on.

        Whoever asks while it is being asked gets the same answer: else each would wait for all
        those before it.
        """
        if self._negotiation is None or self._negotiation.done():
            self._negotiation = asyncio.create_task(self._negotiate())
            # whoever wanted to know may have left
            self._negotiation.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._negotiation)

    async def learn_version(self) -> tuple[int, int]:
        """Return the version that is spoken, agreed on with the engine if it was not asked yet."""
        if self._info is None:
            # a deadline for both of the calls that this takes
            with translate_errors():
                async with asyncio.timeout(self._timeout):
                    await self.negotiate()
        return self.api_version

    async def close(self) -> None:
        """Close all connections. Streams must have been closed before."""
        if self._negotiation is not None:
            self._negotiation.cancel()
        for client in self._clients:
            await client.session.close()

    async def _agree_on_version(self, ask: Callable[[], Awaitable[T]]) -> T:
        await self.learn_version()
        try:
            return await ask()
        except EngineRefusedError as error:
            if not _speaks_of_version(error):
                raise
        # Another engine, of another version, answers now; the call had no effect.
        await self.negotiate()
        return await ask()

    async def _negotiate(self) -> EngineInfo:
        text, newest, oldest = await self._exchange(
            "GET", "version", _read_versions, versioned=False
        )
        spoken = max(min(newest, NEWEST_API), oldest)
        for client in self._clients:
            client.api_version = _format_version(spoken)
        self._info = await self._exchange(
            "GET",
            "info",
            lambda facts: EngineInfo(
                id=_read_id(facts),
                version=text,
                api_version=spoken,
                cpus=int(facts.get("NCPU") or 1),
                log_driver=facts.get("LoggingDriver") or "",
                folders=_read_folders(facts),
            ),
        )
        return self._info

    async def _exchange(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        versioned: bool = True,
        fresh: bool = False,
        raw: bool = False,
        more: float | None = None,
    ) -> T:
        client = self._fresh_calls if fresh else self._calls if more is None else self._long_calls
        data = None if body is None else _encode(body).encode()
        response: aiohttp.ClientResponse | None = None
        sent = time.time_ns()
        try:
            with translate_errors():
                async with asyncio.timeout(self._timeout + (more or 0)):
                    response = await client._do_query(  # noqa: SLF001 - its public calls drop the headers
                        path, method, params=params, data=data, versioned_api=versioned
                    )
                    payload = await response.read()
                self.clock.observe(response.headers.get("Date"), sent, time.time_ns())
                return read(payload if raw else json.loads(payload.decode()) if payload else None)
        finally:
            if response is not None:
                response.release()


def _read_versions(data: Any) -> tuple[str, tuple[int, int], tuple[int, int]]:
    newest, oldest = data.get("ApiVersion"), data.get("MinAPIVersion")
    return str(data.get("Version") or ""), _parse_version(newest), _parse_version(oldest)


def _read_id(facts: Mapping[str, Any]) -> str:
    # Engines of one host may share the id, which then is that of a key in /etc. Podman's is
    # another at each call.
    unique = "" if "BuildahVersion" in facts else facts.get("ID") or ""
    return f"{unique} {facts.get('DockerRootDir') or ''}"


def _read_folders(facts: Any) -> tuple[str, ...]:
    """Return the data root and, from API 1.46 on, the folder of containerd's socket."""
    containerd = (facts.get("Containerd") or {}).get("Address") or ""
    folders = facts.get("DockerRootDir") or "", containerd.rpartition("/")[0]
    return tuple(folder for folder in folders if folder)


def _speaks_of_version(error: EngineRefusedError) -> bool:
    text = error.message
    return "client version" in text and ("too new" in text or "too old" in text)


def _parse_version(text: str | None) -> tuple[int, int]:
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else OLDEST_API


def _format_version(version: tuple[int, int]) -> str:
    return f"v{version[0]}.{version[1]}"
