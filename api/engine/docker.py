"""The engine port on a real Docker Engine: aiodocker, kept behind this one adapter.

What aiodocker leaves open is closed here: a deadline on every call, responses that are released
whatever happens, an event reader of our own, an API version agreed on again when the engine
changes, and errors that tell "did not arrive" from "may have happened".
"""

import asyncio
import json
import re
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aiohttp
from aiodocker import Docker

from api.engine.client import Credentials, EngineInfo, Event, Progress, Summary
from api.engine.clock import EngineClock
from api.engine.endpoint import Endpoint
from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.event_reader import EventReader
from api.engine.pulling import encode_credentials, follow, split_image, tell_refusals
from api.engine.retry import idempotent
from api.engine.translation import translate_errors
from api.engine.wire import read_container, read_image_labels, read_summary
from api.v1.job import Container, Status

OLDEST_API: Final = (1, 41)
"""Docker Engine 20.10."""
NEWEST_API: Final = (1, 51)
"""Docker Engine 28.5: a newer engine is spoken to in this version, if it still takes it."""

T = TypeVar("T")

_SECOND: Final = 1_000_000_000
_REF: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


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
        self._open: set[aiohttp.ClientResponse] = set()
        self._clock = EngineClock()
        self._info: EngineInfo | None = None
        self._told: dict[tuple[str, ...], int] = {}
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
        return await self._call(
            "POST", "containers/create", lambda data: str(data["Id"]), params=params, body=body
        )

    @idempotent
    async def inspect(self, ref: str) -> Container:
        """Read one container; see the port."""
        return await self._call("GET", f"containers/{_check(ref)}/json", read_container)

    @idempotent
    async def list(
        self,
        *,
        labels: Iterable[str] = (),
        statuses: Iterable[Status] = (),
        ids: Iterable[str] = (),
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Summary]:
        """List containers; see the port."""
        filters = {
            "label": list(labels),
            "status": [str(status) for status in statuses],
            "id": list(ids),
            "since": [since] if since else [],
        }
        params = {
            "all": "1",
            "filters": json.dumps({key: values for key, values in filters.items() if values}),
        } | ({"limit": str(limit)} if limit is not None else {})
        try:
            return await self._call("GET", "containers/json", _read_rows, params=params)
        except EngineRefusedError as error:
            # The engine answers 500 for a container to list from that is gone.
            if since and "no such container" in error.message.lower():
                raise NotFoundError(404, error.message) from error
            raise

    async def start(self, container_id: str) -> None:
        """Start a container; see the port. 204 started it, 304 found it running."""
        await self._call("POST", f"containers/{_check(container_id)}/start", _ignore)

    @idempotent
    async def remove(self, container_id: str) -> None:
        """Remove a container; see the port."""
        try:
            await self._call(
                "DELETE", f"containers/{_check(container_id)}", _ignore, params={"v": "1"}
            )
        except NotFoundError:
            return
        except ConflictError as error:
            if "already in progress" not in error.message:
                raise

    @idempotent
    async def ping(self) -> None:
        """Ask for service; see the port. A ping alone answers while the engine's core hangs."""
        await self._call("GET", "containers/json", _ignore, params={"all": "1", "limit": "1"})

    @idempotent
    async def info(self) -> EngineInfo:
        """Read who the engine is; see the port."""
        async with self._negotiation:
            return await self._negotiate()

    async def image_labels(self, image: str) -> Mapping[str, str]:
        """Read an image's labels; see the port."""
        try:
            return await self._read_image_labels(image)
        except NotFoundError:
            return {}

    @idempotent
    async def _read_image_labels(self, image: str) -> Mapping[str, str]:
        return await self._call("GET", f"images/{image}/json", read_image_labels)

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Have an image fetched; see the port. The engine ends a pull whose caller has left."""
        name, tag = split_image(image)
        params = {"fromImage": name, "tag": tag} | ({"platform": platform} if platform else {})
        headers = {"X-Registry-Auth": encode_credentials(credentials)} if credentials else {}
        with translate_errors(), tell_refusals():
            response = await self._agree_on_version(
                lambda: self._open_stream("POST", "images/create", params, headers, patience=None)
            )
            try:
                await follow(response, report)
            finally:
                response.close()

    def now(self) -> int:
        """Return the engine's time; see the port."""
        return self._clock.now()

    async def close(self) -> None:
        """Close all connections; see the port."""
        for response in self._open:
            response.close()  # wakes its reader, which the session's end would leave waiting
        for client in (self._calls, self._streams):
            await client.session.close()

    @asynccontextmanager
    async def events(self, labels: Iterable[str]) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the port.

        The engine sends its headers a moment before the subscription stands (moby's
        ``getEvents``), so a second of the past is asked for too: an event that comes twice does
        no harm, one that falls between does. The next subscription to the same labels begins with
        the newest event of the one before: what a break has swallowed the engine tells once more,
        as far as it remembers.
        """
        key = tuple(labels)
        filters = {"type": ["container"], "label": list(key)}
        recent = self.now() - _SECOND
        since = min(self._told.get(key, recent), recent)
        params = {"filters": json.dumps(filters), "since": str(since // _SECOND)}
        response = await self._agree_on_version(
            lambda: self._open_stream("GET", "events", params, patience=self._timeout)
        )
        self._open.add(response)
        self._told[key] = since
        try:
            yield EventReader(response, lambda event: self._note_told(key, event))
        finally:
            self._open.discard(response)
            response.close()

    def _note_told(self, key: tuple[str, ...], event: Event) -> None:
        self._told[key] = max(self._told[key], event.time)

    async def _open_stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        patience: float | None,
    ) -> aiohttp.ClientResponse:
        with translate_errors():
            async with asyncio.timeout(patience):
                return await self._streams._do_query(  # noqa: SLF001 - its public reader cannot reconnect
                    path, method, params=params, headers=headers
                )

    async def _call(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> T:
        """Ask and return what ``read`` makes of the answer's JSON."""
        return await self._agree_on_version(
            lambda: self._exchange(method, path, read, params=params, body=body)
        )

    async def _agree_on_version(self, ask: Callable[[], Awaitable[T]]) -> T:
        await self._agree()
        try:
            return await ask()
        except EngineRefusedError as error:
            if not _speaks_of_version(error):
                raise
        # The engine was exchanged for one of another version; nothing was done by this call.
        async with self._negotiation:
            await self._negotiate()
        return await ask()

    async def _agree(self) -> None:
        if self._info is None:
            # a deadline of its own: each waits for those before it, who may all wait in vain
            with translate_errors():
                async with asyncio.timeout(self._timeout), self._negotiation:
                    if self._info is None:
                        await self._negotiate()

    async def _negotiate(self) -> EngineInfo:
        text, newest, oldest = await self._exchange(
            "GET", "version", _read_versions, versioned=False
        )
        spoken = max(min(newest, NEWEST_API), oldest)
        for client in (self._calls, self._streams):
            client.api_version = _format_version(spoken)
        self._info = await self._exchange(
            "GET",
            "info",
            lambda facts: EngineInfo(
                # Engines of one host may share the id, which then is that of a key in /etc.
                id=f"{facts.get('ID') or ''} {facts.get('DockerRootDir') or ''}",
                version=text,
                api_version=spoken,
                cpus=int(facts.get("NCPU") or 1),
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
    ) -> T:
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        response: aiohttp.ClientResponse | None = None
        sent = time.time_ns()
        try:
            with translate_errors():
                async with asyncio.timeout(self._timeout):
                    response = await self._calls._do_query(  # noqa: SLF001 - its public calls drop the headers
                        path, method, params=params, data=data, versioned_api=versioned
                    )
                    payload = await response.read()
                self._clock.observe(response.headers.get("Date"), sent, time.time_ns())
                return read(json.loads(payload) if payload else None)
        finally:
            if response is not None:
                response.release()


def _check(ref: str) -> str:
    """Refuse what no container can be called: it would reach another of the engine's endpoints."""
    if not _REF.fullmatch(ref):
        raise NotFoundError(404, f"No such container: {ref!r}")
    return ref


def _ignore(_: object) -> None:
    return None


def _read_rows(rows: Any) -> list[Summary]:
    return [read_summary(row) for row in rows or []]


def _read_versions(data: Any) -> tuple[str, tuple[int, int], tuple[int, int]]:
    newest, oldest = data.get("ApiVersion"), data.get("MinAPIVersion")
    return str(data.get("Version") or ""), _parse_version(newest), _parse_version(oldest)


def _speaks_of_version(error: EngineRefusedError) -> bool:
    text = error.message
    return "client version" in text and ("too new" in text or "too old" in text)


def _parse_version(text: str | None) -> tuple[int, int]:
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else OLDEST_API


def _format_version(version: tuple[int, int]) -> str:
    return f"v{version[0]}.{version[1]}"
