"""The engine port on a real Docker Engine: aiodocker, kept behind this one adapter.

What aiodocker leaves open is closed here: a deadline on every call, responses that are released
whatever happens, an event reader of our own, an API version agreed on again when the engine
changes, and errors that tell "did not arrive" from "may have happened".
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError

from api.engine.client import EngineInfo, Event, Summary
from api.engine.clock import EngineClock
from api.engine.endpoint import Endpoint
from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.engine.retry import idempotent
from api.engine.wire import read_container, read_event, read_summary
from api.v1.job import Container, Status

OLDEST_API: Final = (1, 41)
"""Docker Engine 20.10."""
NEWEST_API: Final = (1, 51)
"""Docker Engine 28.5: a newer engine is spoken to in this version, if it still takes it."""

_CANNOT_CONNECT: Final = 900  # aiodocker's status for every connection error
_REFUSALS: Final = {404: NotFoundError, 409: ConflictError, 503: OverloadedError}


class DockerEngine:
    """A Docker Engine at ``endpoint``; ``timeout`` is the deadline of every call in seconds.

    Made inside a running event loop. The sessions are ours: aiodocker neither bounds nor times
    out its own.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = 10.0) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._ssl = endpoint.make_ssl_context()
        self._calls = self._make_client(limit=64)
        self._streams = self._make_client(limit=0)
        self._clock = EngineClock()
        self._info: EngineInfo | None = None
        self._negotiation = asyncio.Lock()

    def _make_client(self, limit: int) -> Docker:
        connector: aiohttp.BaseConnector
        if self._endpoint.socket_path is not None:
            connector = aiohttp.UnixConnector(self._endpoint.socket_path, limit=limit)
        else:
            connector = aiohttp.TCPConnector(ssl=self._ssl or True, limit=limit)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout())
        url = "unix://localhost" if self._endpoint.socket_path else self._endpoint.url
        client = Docker(
            url=url, connector=connector, session=session, api_version=_format_version(OLDEST_API)
        )
        client.docker_host = url
        return client

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> str:
        """Create a container; see the port."""
        params = {"name": name} | ({"platform": platform} if platform else {})
        data = await self._call("POST", "containers/create", params=params, body=body)
        return str(data["Id"])

    @idempotent
    async def inspect(self, ref: str) -> Container:
        """Read one container; see the port."""
        return read_container(await self._call("GET", f"containers/{ref}/json"))

    @idempotent
    async def list(
        self,
        *,
        labels: Iterable[str] = (),
        statuses: Iterable[Status] = (),
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Summary]:
        """List containers; see the port."""
        filters = {
            "label": list(labels),
            "status": [str(status) for status in statuses],
            "since": [since] if since else [],
        }
        params = {
            "all": "1",
            "filters": json.dumps({key: values for key, values in filters.items() if values}),
        } | ({"limit": str(limit)} if limit is not None else {})
        rows = await self._call("GET", "containers/json", params=params)
        return [read_summary(row) for row in rows or []]

    async def start(self, container_id: str) -> None:
        """Start a container; see the port. 204 started it, 304 found it running."""
        await self._call("POST", f"containers/{container_id}/start")

    @idempotent
    async def remove(self, container_id: str) -> None:
        """Remove a container; see the port."""
        try:
            await self._call("DELETE", f"containers/{container_id}", params={"v": "1"})
        except NotFoundError:
            return
        except ConflictError as error:
            if "already in progress" not in error.message:
                raise

    @idempotent
    async def ping(self) -> None:
        """Ask for service; see the port. A ping alone answers while the engine's core hangs."""
        await self._call("GET", "containers/json", params={"all": "1", "limit": "1"})

    @idempotent
    async def info(self) -> EngineInfo:
        """Read who the engine is; see the port."""
        async with self._negotiation:
            return await self._negotiate()

    async def image_labels(self, image: str) -> Mapping[str, str]:
        """Read an image's labels; see the port."""
        try:
            data = await self._read_image(image)
        except NotFoundError:
            return {}
        return (data.get("Config") or {}).get("Labels") or {}

    @idempotent
    async def _read_image(self, image: str) -> Mapping[str, Any]:
        data: Mapping[str, Any] = await self._call("GET", f"images/{image}/json")
        return data

    def now(self) -> int:
        """Return the engine's time; see the port."""
        return self._clock.now()

    async def close(self) -> None:
        """Close all connections; see the port."""
        for client in (self._calls, self._streams):
            await client.session.close()

    @asynccontextmanager
    async def events(self, labels: Iterable[str]) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the port.

        The engine sends its headers a moment before the subscription stands (moby's
        ``getEvents``), so a second of the past is asked for too: an event that comes twice does
        no harm, one that falls between does.
        """
        filters = {"type": ["container"], "label": list(labels)}
        params = {
            "filters": json.dumps(filters),
            "since": str(self.now() // 1_000_000_000 - 1),
        }
        await self._agree()
        async with _translate_errors(), asyncio.timeout(self._timeout):
            response = await self._streams._do_query(  # noqa: SLF001 - its public reader cannot reconnect
                "events", "GET", params=params
            )
        try:
            yield _read_events(response)
        finally:
            response.close()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        await self._agree()
        try:
            return await self._exchange(method, path, params=params, body=body)
        except EngineRefusedError as error:
            if not _speaks_of_version(error):
                raise
        # The engine was exchanged for one of another version; nothing was done by this call.
        async with self._negotiation:
            await self._negotiate()
        return await self._exchange(method, path, params=params, body=body)

    async def _agree(self) -> None:
        if self._info is None:
            async with self._negotiation:
                if self._info is None:
                    await self._negotiate()

    async def _negotiate(self) -> EngineInfo:
        version = await self._exchange("GET", "version", versioned=False)
        newest = _parse_version(version.get("ApiVersion"))
        oldest = _parse_version(version.get("MinAPIVersion"))
        spoken = max(min(newest, NEWEST_API), oldest)
        for client in (self._calls, self._streams):
            client.api_version = _format_version(spoken)
        facts = await self._exchange("GET", "info")
        self._info = EngineInfo(
            id=str(facts.get("ID") or ""),
            version=str(version.get("Version") or ""),
            api_version=spoken,
            cpus=int(facts.get("NCPU") or 1),
        )
        return self._info

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        versioned: bool = True,
    ) -> Any:
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        response: aiohttp.ClientResponse | None = None
        sent = time.time_ns()
        try:
            async with _translate_errors(), asyncio.timeout(self._timeout):
                response = await self._calls._do_query(  # noqa: SLF001 - its public calls drop the headers
                    path, method, params=params, data=data, versioned_api=versioned
                )
                payload = await response.read()
                self._clock.observe(response.headers.get("Date"), sent, time.time_ns())
                return json.loads(payload) if payload else None
        finally:
            if response is not None:
                response.release()


@asynccontextmanager
async def _translate_errors() -> AsyncIterator[None]:
    try:
        yield
    except DockerError as error:
        raise _translate(error) from error
    except aiohttp.ClientConnectorError as error:
        raise EngineUnavailableError(str(error)) from error
    except TimeoutError as error:
        raise EngineTimeoutError("no answer within the deadline") from error
    except (aiohttp.ClientError, OSError, ValueError, KeyError, EOFError) as error:
        # A cut, truncated or garbled reply: the request had been sent.
        raise EngineInterruptedError(f"{type(error).__name__}: {error}") from error


def _translate(error: DockerError) -> EngineError:
    # aiodocker folds every connection error into one status; the original is the context.
    if error.status == _CANNOT_CONNECT:
        cause = error.__context__
        if isinstance(cause, aiohttp.ClientConnectorError):
            return EngineUnavailableError(str(cause))
        return EngineInterruptedError(f"{type(cause).__name__}: {cause}")
    kind = _REFUSALS.get(error.status, EngineRefusedError)
    return kind(error.status, str(error.message))


async def _read_events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Read lines of any length; aiohttp's own line reader gives up at 512 KiB (it raises)."""
    parts: list[bytes] = []
    async with _translate_errors():
        async for chunk in response.content.iter_any():
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                parts.append(line)
                text = b"".join(parts).strip()
                parts = []
                if text and (event := read_event(json.loads(text))) is not None:
                    yield event
            parts.append(rest)


def _speaks_of_version(error: EngineRefusedError) -> bool:
    text = error.message
    return "client version" in text and ("too new" in text or "too old" in text)


def _parse_version(text: str | None) -> tuple[int, int]:
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else OLDEST_API


def _format_version(version: tuple[int, int]) -> str:
    return f"v{version[0]}.{version[1]}"
