"""The in-memory engine on a Unix socket, in Docker's words, for processes that only look at jobs.

Nothing can be created, started or removed over the socket: whoever holds the host does that.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from api.engine.errors import EngineRefusedError
from api.v1.status import describe_status
from api.v1.times import SECOND, format_time
from tests.fakes.engine.host import Happening, MemoryHost
from tests.fakes.engine.store import Cell, Script, make_job

_NEVER: Final = "0001-01-01T00:00:00Z"
_VERSION: Final = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
_INFO: Final = {"ID": "memory", "NCPU": 2, "DockerRootDir": "/memory", "LoggingDriver": "json-file"}
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True, eq=False)
class _Listener:
    """One event stream: what it has not been sent yet."""

    labels: frozenset[str]
    lines: list[bytes] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, happening: Happening) -> None:
        if self.labels <= _spell_labels(happening.labels):
            self.lines.append(_encode_event(happening))
            self.news.set()


class ServedHost(MemoryHost):
    """Containers without processes, which the Docker adapter lists, inspects and hears of."""

    def __init__(
        self,
        namespace: str,
        clock: Callable[[], int] = time.time_ns,
        behave: Callable[[Mapping[str, object]], Script] = lambda _: Script(),
    ) -> None:
        super().__init__(namespace, clock, behave)
        self._listeners: set[_Listener] = set()

    def tell(self, happening: Happening) -> None:
        """Tell every stream of something."""
        super().tell(happening)
        for listener in self._listeners:
            listener.hear(happening)

    @asynccontextmanager
    async def serve(self, socket: Path) -> AsyncIterator[None]:
        """Answer on ``socket`` while the block runs."""
        app = web.Application()
        version = "/v{version:[0-9.]+}"
        app.router.add_get("/version", self._get_version)
        app.router.add_get(version + "/info", self._get_info)
        app.router.add_get(version + "/events", self._get_events)
        app.router.add_get(version + "/containers/json", self._list)
        app.router.add_get(version + "/containers/{ref}/json", self._inspect)
        app.router.add_get(version + "/images/{image}/json", self._inspect_image)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
        await runner.setup()
        try:
            await web.UnixSite(runner, socket).start()
            yield
        finally:
            await runner.cleanup()

    async def _get_version(self, _: web.Request) -> web.Response:
        return _answer(_VERSION)

    async def _get_info(self, _: web.Request) -> web.Response:
        return _answer(_INFO)

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        filters, since = _read_filters(request), int(request.query.get("since", "0")) * SECOND
        listener = _Listener(frozenset(filters.get("label", ())))
        for happening in self.history:
            if happening.time >= since:
                listener.hear(happening)
        self._listeners.add(listener)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            while True:
                lines, listener.lines = listener.lines, []
                if lines:
                    await response.write(b"".join(lines))
                listener.news.clear()
                if not listener.lines:
                    await listener.news.wait()
        finally:
            self._listeners.discard(listener)

    async def _list(self, request: web.Request) -> web.Response:
        filters, limit = _read_filters(request), int(request.query.get("limit", "0"))
        try:
            cells = self._find(filters)
            rows = [self._encode_row(cell) for cell in islice(cells, limit or None)]
        except EngineRefusedError as error:
            return _refuse(error)
        return web.Response(body=f"[{','.join(rows)}]", content_type="application/json")

    def _find(self, filters: Mapping[str, list[str]]) -> Iterator[Cell]:
        """Yield what matches, newest first."""
        cells, statuses = self._store, filters.get("status")
        labels = frozenset(filters.get("label", ()))
        before = [cells.find(ref).place for ref in filters.get("before", ())]
        since = [cells.find(ref).place for ref in filters.get("since", ())]
        wanted = (
            sorted(
                (cells.find(uid) for uid in filters["id"] if uid in cells),
                key=lambda cell: -cell.place,
            )
            if "id" in filters
            else reversed([*cells])
        )
        return (
            cell
            for cell in wanted
            if all(cell.place < place for place in before)
            and all(cell.place > place for place in since)
            and (not statuses or cell.container.status in statuses)
            and labels <= _spell_labels(cell.container.labels)
        )

    async def _inspect(self, request: web.Request) -> web.Response:
        try:
            cell = self._store.find(request.match_info["ref"])
        except EngineRefusedError as error:
            return _refuse(error)
        seen, body = cell.container, _read_body(cell)
        state = {
            "Status": str(seen.status),
            "StartedAt": format_time(seen.started_at) or _NEVER,
            "FinishedAt": format_time(seen.finished_at) or _NEVER,
            "ExitCode": seen.exit_code,
            "Error": seen.error,
            "OOMKilled": seen.oom_killed,
        }
        return _answer(
            {
                "Id": seen.id,
                "Name": f"/{seen.name}",
                "Created": format_time(seen.created),
                "Path": _read_command(cell),
                "Image": seen.image,
                "State": state,
                "RestartCount": seen.restart_count,
                "Config": {"Image": body.get("Image"), "Labels": seen.labels},
                "HostConfig": _read_host(cell),
                "NetworkSettings": {"Networks": {}},
                "Mounts": [],
            }
        )

    async def _inspect_image(self, request: web.Request) -> web.Response:
        labels = self._images.get(request.match_info["image"])
        if labels is None:
            return _refuse(EngineRefusedError(404, "No such image"))
        return _answer({"Config": {"Labels": dict(labels)}})

    def _encode_row(self, cell: Cell) -> str:
        seen, job = cell.container, make_job(cell, self._namespace, self._images)
        return _encode(
            {
                "Id": seen.id,
                "Names": [f"/{seen.name}"],
                "Image": _read_body(cell).get("Image"),
                "ImageID": seen.image,
                "Command": _read_command(cell),
                "Created": seen.created // SECOND,
                "Ports": [],
                "Labels": seen.labels,
                "State": str(seen.status),
                "Status": describe_status(job, self.now()),
                "HostConfig": {"NetworkMode": _read_host(cell).get("NetworkMode", "default")},
                "Mounts": [],
            }
        )


def _read_filters(request: web.Request) -> Mapping[str, list[str]]:
    filters: Mapping[str, list[str]] = json.loads(request.query.get("filters", "{}"))
    return filters


def _spell_labels(labels: Mapping[str, str]) -> frozenset[str]:
    return frozenset(f"{key}={value}" for key, value in labels.items())


def _encode_event(happening: Happening) -> bytes:
    event = {
        "Type": "container",
        "Action": happening.action,
        "Actor": {"ID": happening.id, "Attributes": happening.labels},
        "scope": "local",
        "time": happening.time // SECOND,
        "timeNano": happening.time,
    }
    return _encode(event).encode() + b"\n"


def _answer(data: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(data), status=status, content_type="application/json")


def _refuse(error: EngineRefusedError) -> web.Response:
    return _answer({"message": error.message}, error.status)


def _read_body(cell: Cell) -> Mapping[str, Any]:
    return cell.body


def _read_command(cell: Cell) -> str:
    command: list[str] = _read_body(cell).get("Cmd") or [""]
    return command[0]


def _read_host(cell: Cell) -> Mapping[str, Any]:
    host: Mapping[str, Any] = _read_body(cell).get("HostConfig") or {}
    return host
