"""The engine port on a real Docker Engine: aiodocker, kept behind this one adapter.

What aiodocker leaves open is closed here: a deadline on every call, responses that are released
whatever happens, an event reader of our own, an API version agreed on again when the engine
changes, and errors that tell "did not arrive" from "may have happened".
"""

import json
import re
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from api.engine.docker.connection import Connection
from api.engine.docker.decode import read_container, read_image_labels, read_summary
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.error_mapping import translate_errors
from api.engine.docker.events import EventReader
from api.engine.docker.pull import encode_credentials, follow, split_image, tell_refusals
from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.interface import Credentials, EngineInfo, Event, Progress, Summary
from api.engine.retry import idempotent
from api.v1.job import Container, Status
from api.v1.times import SECOND

_REF: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class DockerEngine:
    """A Docker Engine at ``endpoint``; ``timeout`` is the deadline of every call in seconds.

    Made inside a running event loop.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = 10.0) -> None:
        self._connection = Connection(endpoint, timeout=timeout)
        self._timeout = timeout
        self._open: set[aiohttp.ClientResponse] = set()
        self._told: dict[tuple[str, ...], int] = {}

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> str:
        """Create a container; see the port."""
        params = {"name": name} | ({"platform": platform} if platform else {})
        return await self._connection.call(
            "POST", "containers/create", lambda data: str(data["Id"]), params=params, body=body
        )

    @idempotent
    async def inspect(self, ref: str) -> Container:
        """Read one container; see the port."""
        path = f"containers/{_check(ref)}/json"
        try:
            return await self._connection.call("GET", path, read_container)
        except EngineRefusedError as error:
            # It is no name, but the ids of several containers begin with it: a 500 here, or a 400.
            if "multiple ids found" in error.message.lower():
                raise NotFoundError(404, error.message) from error
            raise

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
            return await self._connection.call("GET", "containers/json", _read_rows, params=params)
        except EngineRefusedError as error:
            # The engine answers 500 for a container to list from that is gone.
            if since and "no such container" in error.message.lower():
                raise NotFoundError(404, error.message) from error
            raise

    async def start(self, container_id: str) -> None:
        """Start a container; see the port. 204 started it, 304 found it running.

        Never by an engine that is about to end: it may leave behind what has it refuse the
        container for ever ("already exists").
        """
        await self._connection.call(
            "POST", f"containers/{_check(container_id)}/start", _ignore, fresh=True
        )

    @idempotent
    async def remove(self, container_id: str) -> None:
        """Remove a container; see the port."""
        try:
            await self._connection.call(
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
        await self._connection.call(
            "GET", "containers/json", _ignore, params={"all": "1", "limit": "1"}
        )

    @idempotent
    async def info(self) -> EngineInfo:
        """Read who the engine is; see the port."""
        return await self._connection.negotiate()

    async def image_labels(self, image: str) -> Mapping[str, str]:
        """Read an image's labels; see the port."""
        try:
            return await self._read_image_labels(image)
        except NotFoundError:
            return {}

    @idempotent
    async def _read_image_labels(self, image: str) -> Mapping[str, str]:
        return await self._connection.call("GET", f"images/{image}/json", read_image_labels)

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
            response = await self._connection.open_stream(
                "POST", "images/create", params, headers, patience=None
            )
            try:
                await follow(response, report)
            finally:
                response.close()

    def now(self) -> int:
        """Return the engine's time; see the port."""
        return self._connection.clock.now()

    async def close(self) -> None:
        """Close all connections; see the port."""
        for response in self._open:
            response.close()  # wakes its reader, which the session's end would leave waiting
        await self._connection.close()

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
        recent = self.now() - SECOND
        since = min(self._told.get(key, recent), recent)
        params = {"filters": json.dumps(filters), "since": str(since // SECOND)}
        response = await self._connection.open_stream(
            "GET", "events", params, patience=self._timeout
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


def _check(ref: str) -> str:
    """Refuse what no container can be called: it would reach another of the engine's endpoints."""
    if not _REF.fullmatch(ref):
        raise NotFoundError(404, f"No such container: {ref!r}")
    return ref


def _ignore(_: object) -> None:
    return None


def _read_rows(rows: Any) -> list[Summary]:
    return [read_summary(row) for row in rows or []]
