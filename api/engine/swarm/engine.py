"""The Engine interface on a Docker Swarm: a job is a service of one task, through any manager.

Its services have the restart condition none, are recorded with no replica, and are started by one:
Swarm's own jobs run again after an update, or a change of leader. Every update names the version
that was read, so that what an older controller has decided is refused.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

import aiohttp

from api.engine.capabilities import SWARM, Unsupported
from api.engine.docker.connection import Connection
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import (
    OUTAGES,
    ConflictError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.engine.interface import CreatedJob, Credentials, EngineInfo, Event, Pause, Progress
from api.engine.retry import idempotent
from api.engine.swarm.calls import Calls
from api.engine.swarm.ends import Ends
from api.engine.swarm.events import LONGEST, SHORTEST, Subscriptions
from api.engine.swarm.labels import Loss
from api.engine.swarm.lists import Lists
from api.engine.swarm.logs import Logs
from api.engine.swarm.marks import Marks, split_own
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.service import make_service, name_service
from api.engine.swarm.stops import Stops
from api.engine.swarm.tasks import Beginnings
from api.engine.swarm.unsupported import find_unsupported
from api.engine.swarm.updates import Updates, plan_start
from api.v1.job import ACTIVE, Job, Status

_REMEMBERED: Final = 1_000  # looks
_PATIENCE: Final = 5.0
"""Seconds for which a node is shown to be down before its jobs are lost. The controller waits this
long and writes the loss down; an API waits three times as long, and finds what was written."""
_BILLION: Final = 1_000_000_000


class SwarmEngine:
    """The jobs of ``namespace`` on the swarm whose manager is at ``endpoint``.

    ``timeout`` is the deadline of every call in seconds. ``writes_ends``: it notes in labels how
    jobs ended; the controller's does. Made inside a running event loop.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        namespace: str,
        *,
        timeout: float = 10.0,
        writes_ends: bool = False,
    ) -> None:
        connection = self._connection = Connection(endpoint, timeout=timeout)
        self._namespace = namespace
        self._calls = Calls(connection)
        now = connection.clock.now
        patience = _PATIENCE if writes_ends else 3 * _PATIENCE
        beginnings = Beginnings(now)
        reader = Reader(self._calls, namespace, beginnings, now=now, patience=patience)
        self._reader = reader
        updates = self._updates = Updates(self._calls, reader)
        self._ends = Ends(reader, updates, writes=writes_ends)
        self._open: set[aiohttp.ClientResponse] = set()
        self._looks: dict[str, Seen] = {}
        self._stops = Stops(reader, updates, self._ends, connection.clock, timeout=timeout)
        self._subscriptions = Subscriptions(
            connection,
            reader,
            self._open,
            self._ends.note,
            timeout=timeout,
            shortest=SHORTEST if writes_ends else LONGEST,
        )
        self.list = Lists(reader, self._note_listed).list
        marks = self._marks = Marks(reader, updates, self._ends)
        self.create_mark, self.find_mark = marks.create, marks.find
        self.logs = Logs(connection, reader, self._open, timeout=timeout).open

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> CreatedJob:
        """Create a service of no replica; see the Engine interface."""
        spec = make_service(
            name_service(self._namespace, name),
            body,
            api_version=await self._connection.learn_version(),
            platform=platform,
        )
        uid, warnings = await self._calls.create(spec)
        self._reader.note_own(uid)
        return CreatedJob(uid, warnings)

    def find_unsupported(self, body: Mapping[str, object]) -> Sequence[Unsupported]:
        """Find what Swarm cannot express; see the Engine interface."""
        return find_unsupported(body, self._connection.api_version)

    async def inspect(self, ref: str) -> Job | None:
        """Read a service and its tasks; see the Engine interface. A start goes by this look.

        A manager that does not answer keeps silent about all jobs: each such failure raises
        ``EngineUnavailableError``.
        """
        try:
            seen = await self._reader.find(ref)
        except NotFoundError:
            if await self._marks.read(ref) is None:
                raise
            return None
        except OUTAGES as error:
            raise EngineUnavailableError(str(error)) from error
        if seen is None:
            return None
        uid = seen.job.uid
        self._looks.pop(uid, None)
        if seen.job.is_pending:
            if len(self._looks) >= _REMEMBERED:
                del self._looks[next(iter(self._looks))]
            self._looks[uid] = seen
        self._ends.note(seen)
        return seen.job

    async def start(self, uid: str) -> Status:
        """Set a service to one replica; see the Engine interface. No job that has run runs again.

        A task that never ran, or was lost and is to be repeated, is replaced by a new one.
        """
        seen = self._looks.pop(uid, None) or await self._reader.find(uid)
        if seen is None or seen.job.uid != uid:
            raise NotFoundError(404, f"No such job: {uid}")
        job = seen.job
        if job.status in ACTIVE:
            return job.status
        if not job.is_pending:
            raise ConflictError(409, "it has run: a job runs once on a swarm")
        loss = Loss(job.rerun, seen.tasks[-1].id, job.error) if job.lost else None
        await self._updates.send(seen.service, plan_start(seen.service, loss))
        return Status.STARTING

    async def stop(self, uid: str, grace: int | None = None) -> None:
        """Set a service to no replica; see the Engine interface. The grace is its own."""
        del grace
        await self._stops.stop(uid)

    async def remove(self, uid: str) -> None:
        """Remove a service that is not active, or take a mark away; see the Engine interface."""
        if split_own(uid) is not None:
            await self._marks.remove(uid)
            return
        try:
            seen = await self._reader.find(uid)
            if seen is None or seen.job.uid != uid:
                raise ConflictError(409, f"{uid} is no job of this namespace")
            if seen.job.is_active:
                raise ConflictError(409, f"{uid} is {seen.job.status}: it is not removed by force")
            if seen.job.lost and seen.job.is_pending and not seen.service.marks:
                raise ConflictError(
                    409, f"{uid} is to run anew: whoever saw its end is out of date"
                )
            await self._calls.delete(uid)
            self._ends.forget(uid)
        except NotFoundError:
            return

    @idempotent
    async def ping(self) -> None:
        """Ask for the swarm, which only its managers show; see the Engine interface."""
        await self._calls.get("swarm")

    @idempotent
    async def info(self) -> EngineInfo:
        """Read who the swarm is, and how many processors its nodes have; see the Engine interface.

        Nodes are taken to log, and to keep their own files, as the manager does.
        """
        info = await self._connection.negotiate()
        facts = await self._calls.get("info")
        nodes = await self._calls.get("nodes")
        with translate_errors():
            cluster = (facts.get("Swarm") or {}).get("Cluster") or {}
            if not cluster.get("ID"):
                raise OverloadedError(503, "this engine is no manager of a swarm")
            self._ends.keeps_tasks = _count_kept(cluster) > 0
            cpus = sum(map(_read_cpus, nodes or ())) // _BILLION
        return replace(
            info,
            id=f"swarm {cluster['ID']}",
            cpus=max(cpus, 1),
            capabilities=SWARM,
        )

    async def image_config(self, image: str) -> Mapping[str, Any]:
        """Return nothing: each node has images of its own, and what they say is not known here."""
        del image
        return {}

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Do nothing: the node that is to run a job fetches its image."""

    def events(
        self, *, pause: Pause | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Subscribe to services' events, and to looks at tasks; see the Engine interface.

        Most events are made of looks, which have a pace of their own.
        """
        del pause
        return self._subscriptions.open()

    def _note_listed(self, seen: Seen) -> None:
        self._ends.note(seen)
        self._subscriptions.follow(seen)

    def now(self) -> int:
        """Return the manager's time; see the Engine interface."""
        return self._connection.clock.now()

    async def close(self) -> None:
        """Close all connections; see the Engine interface."""
        await self._stops.close()
        await self._ends.close()
        for response in self._open:
            response.close()  # wakes its reader, which the session's end would leave waiting
        await self._connection.close()


def _count_kept(cluster: Mapping[str, Any]) -> int:
    """Return how many ended tasks of each service the swarm keeps (``--task-history-limit``)."""
    orchestration = (cluster.get("Spec") or {}).get("Orchestration") or {}
    return int(orchestration.get("TaskHistoryRetentionLimit") or 0)


def _read_cpus(node: Mapping[str, Any]) -> int:
    """Return the billionths of processors of a node that takes tasks."""
    spec: Mapping[str, Any] = node.get("Spec") or {}
    state = (node.get("Status") or {}).get("State")
    if state != "ready" or spec.get("Availability") not in {None, "active"}:
        return 0
    resources = (node.get("Description") or {}).get("Resources") or {}
    return int(resources.get("NanoCPUs") or 0)
