"""The Engine interface on a real Docker Engine: aiodocker, kept behind this one adapter.

What aiodocker leaves open is closed here: a deadline on every call, responses that are released
whatever happens, an event reader of our own, an API version agreed on again when the engine
changes, and errors that tell "did not arrive" from "may have happened".
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from api.engine.capabilities import Unsupported
from api.engine.docker.connection import Connection
from api.engine.docker.decode import (
    read_image_config,
    read_inspect,
    read_labels,
    read_name,
    read_row,
    read_row_labels,
    read_row_name,
)
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.error_mapping import translate_errors
from api.engine.docker.events import EventReader
from api.engine.docker.logs import Logs
from api.engine.docker.marks import Marks
from api.engine.docker.ownership import Ownership
from api.engine.docker.pages import Rows, read_pages, read_rows
from api.engine.docker.pull import encode_credentials, follow, split_image, tell_refusals
from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.interface import CreatedJob, Credentials, EngineInfo, Event, Pause, Progress
from api.engine.retry import idempotent
from api.v1.condition import DEFAULT_GRACE
from api.v1.job import Job, Status
from api.v1.labels import CANCELS, NAME, NAMESPACE
from api.v1.mark import Mark, decode_mark
from api.v1.times import SECOND

_IMAGE: Final = re.compile(r"[a-zA-Z0-9\[][a-zA-Z0-9_.:/@\[\]-]*")
_REF: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class DockerEngine:
    """The jobs of ``namespace`` on a Docker Engine at ``endpoint``.

    ``timeout`` is the deadline of every call in seconds. Made inside a running event loop.
    """

    def __init__(self, endpoint: Endpoint, namespace: str, *, timeout: float = 10.0) -> None:
        self._connection = Connection(endpoint, timeout=timeout)
        self._namespace = namespace
        self._ownership = Ownership(namespace, self._read_image_labels)
        self._timeout = timeout
        self._open: set[aiohttp.ClientResponse] = set()
        self._newest_event: int | None = None
        self.logs = Logs(self._connection, self._ownership, self._open, timeout=timeout).open
        marks = Marks(self._connection, namespace, self._ownership, timeout=timeout)
        self.create_mark, self.find_mark = marks.create, marks.find

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> CreatedJob:
        """Create a container and do not start it; see the Engine interface."""
        params = {"name": name} | ({"platform": platform} if platform else {})
        return await self._connection.call(
            "POST", "containers/create", _read_created, params=params, body=body
        )

    @idempotent
    async def inspect(self, ref: str) -> Job | None:
        """Inspect a container; see the Engine interface.

        The engine also finds a container by the beginning of its id: that is not found here.
        """
        path = f"containers/{_check(ref)}/json"
        try:
            data = await self._connection.call("GET", path, _as_it_is)
        except EngineRefusedError as error:
            # It is no name, but the ids of several containers begin with it: a 500 here, or a 400.
            if "multiple ids found" in error.message.lower():
                raise NotFoundError(404, error.message) from error
            raise
        with translate_errors():
            name, labels = read_name(data), read_labels(data)
            if ref not in {name, data["Id"]}:
                raise NotFoundError(404, f"No such container: {ref}")
            image = data.get("Image") or ""
            if not await self._ownership.tell(name, labels, image):
                return None
            return read_inspect(data, self._namespace, self._ownership.get_labels(image))

    @idempotent
    async def list(
        self,
        *,
        job_id: str | None = None,
        statuses: Iterable[Status] = (),
        uids: Iterable[str] = (),
        since: str | None = None,
        known: Mapping[str, Job] | None = None,
        on_mark: Callable[[Mark], None] = lambda _: None,
    ) -> list[Job]:
        """List containers; see the Engine interface."""
        asked = {*statuses}
        wanted = asked - {Status.STARTING}  # not a state of containers
        if asked and not wanted:
            return []
        filters = {
            "label": [f"{NAMESPACE}={self._namespace}"] + ([f"{NAME}={job_id}"] if job_id else []),
            "status": [str(status) for status in sorted(wanted)],
            "id": list(uids),
            "since": [since] if since else [],
        }
        jobs: dict[str, Job] = {}
        try:
            async for rows in read_pages(self._ask_for_page, filters):
                with translate_errors():
                    jobs |= await self._read_rows(rows, known or {}, on_mark)
        except EngineRefusedError as error:
            # The engine answers 500 for a container to list from that is gone.
            if since and "no such container" in error.message.lower():
                raise NotFoundError(404, error.message) from error
            if Status.RESTARTING in wanted and "unknown container state" in error.message:
                # Podman knows no such state.
                rest = wanted - {Status.RESTARTING}
                return await self.list(
                    job_id=job_id,
                    statuses=rest,
                    uids=uids,
                    since=since,
                    known=known,
                    on_mark=on_mark,
                )
            raise
        return [*jobs.values()]

    async def _ask_for_page(self, params: Mapping[str, str]) -> tuple[Rows, int]:
        return await self._connection.call(
            "GET", "containers/json", read_rows, params=params, raw=True
        )

    async def _read_rows(
        self, rows: Rows, known: Mapping[str, Job], on_mark: Callable[[Mark], None]
    ) -> dict[str, Job]:
        jobs = {}
        for row in rows:
            name, image = read_row_name(row), row.get("ImageID") or ""
            self._ownership.note_name(row.get("Image") or "", image)
            labels = read_row_labels(row)
            if labels.get(CANCELS) and await self._ownership.tell_mark(labels, image):
                on_mark(decode_mark(row["Id"], labels, int(row.get("Created") or 0) * SECOND))
            elif await self._ownership.tell(name, labels, image):
                inherited = self._ownership.get_labels(image)
                before = known.get(row["Id"])
                jobs[row["Id"]] = read_row(row, name, self._namespace, before, inherited)
        return jobs

    async def start(self, uid: str) -> Status:
        """Start a container; see the Engine interface. 204 started it, 304 found it running.

        Uses a new connection. A dockerd that is shutting down refuses it; a start that it accepted
        then can fail with "already exists" for ever.
        """
        await self._connection.call("POST", f"containers/{_check(uid)}/start", _ignore, fresh=True)
        return Status.RUNNING

    def find_unsupported(self, body: Mapping[str, object]) -> tuple[Unsupported, ...]:
        """Find nothing: a body is written for this engine; see the Engine interface."""
        del body
        return ()

    async def stop(self, uid: str, grace: int | None = None) -> None:
        """Stop a container; see the Engine interface. 204 ended it, 304 found it at rest."""
        params = {} if grace is None else {"t": str(grace)}
        more = DEFAULT_GRACE if grace is None else max(grace, 0)
        path = f"containers/{_check(uid)}/stop"
        await self._connection.call("POST", path, _ignore, params=params, more=more)

    @idempotent
    async def remove(self, uid: str) -> None:
        """Remove a container; see the Engine interface."""
        try:
            await self._connection.call(
                "DELETE", f"containers/{_check(uid)}", _ignore, params={"v": "1"}
            )
        except NotFoundError:
            return
        except ConflictError as error:
            if "already in progress" not in error.message:
                raise

    @idempotent
    async def ping(self) -> None:
        """List one container: ``/_ping`` answers even while the engine's core hangs."""
        await self._connection.call(
            "GET", "containers/json", _ignore, params={"all": "1", "limit": "1"}
        )

    @idempotent
    async def info(self) -> EngineInfo:
        """Read who the engine is; see the Engine interface."""
        return await self._connection.negotiate()

    @idempotent
    async def _read_image_labels(self, image: str) -> Mapping[str, str]:
        return await self._connection.call("GET", f"images/{image}/json", read_labels)

    @idempotent
    async def image_config(self, image: str) -> Mapping[str, Any]:
        """Read an image's config; see the Engine interface."""
        if not _IMAGE.fullmatch(image) or {"", ".", ".."} & set(image.split("/")):
            # the engine's word; in a URL it would reach another of its endpoints
            raise EngineRefusedError(400, "invalid reference format")
        path = f"images/{quote(image, safe='/:@')}/json"
        return await self._connection.call("GET", path, read_image_config)

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Pull; see the Engine interface. The engine ends a pull whose caller has left."""
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
        """Return the engine's time; see the Engine interface."""
        return self._connection.clock.now()

    async def close(self) -> None:
        """Close all connections; see the Engine interface."""
        for response in self._open:
            response.close()  # wakes its reader, which the session's end would leave waiting
        await self._connection.close()

    @asynccontextmanager
    async def events(self, *, pause: Pause | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the Engine interface.

        The engine sends its headers a moment before the subscription stands (moby's
        ``getEvents``), so a second of the past is asked for too: an event that comes twice does
        no harm, one that falls between does. The next subscription begins with the newest event of
        the one before: what a break has swallowed the engine tells once more, as far as it
        remembers.
        """
        filters = {"type": ["container"], "label": [f"{NAMESPACE}={self._namespace}"]}
        recent = self.now() - SECOND
        since = recent if self._newest_event is None else min(self._newest_event, recent)
        params = {"filters": json.dumps(filters), "since": str(since // SECOND)}
        response = await self._connection.open_stream(
            "GET", "events", params, patience=self._timeout
        )
        self._open.add(response)
        self._newest_event = since
        try:
            own, name, note = self._ownership, self._namespace, self._note_event
            yield EventReader(response, name, own.find_inherited, own.know, note, pause=pause)
        finally:
            self._open.discard(response)
            response.close()

    def _note_event(self, event: Event) -> None:
        self._newest_event = max(self._newest_event or 0, event.time)


def _check(ref: str) -> str:
    """Refuse what no container can be called: it would reach another of the engine's endpoints."""
    if not _REF.fullmatch(ref):
        raise NotFoundError(404, f"No such container: {ref!r}")
    return ref


def _ignore(_: object) -> None:
    return None


def _read_created(data: Any) -> CreatedJob:
    return CreatedJob(str(data["Id"]), tuple(map(str, data.get("Warnings") or ())))


def _as_it_is(data: Any) -> Any:
    return data
