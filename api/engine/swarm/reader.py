"""Reads services with their tasks and, where only these tell, the nodes of the swarm."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import NotFoundError
from api.engine.swarm.calls import Calls
from api.engine.swarm.decode import Node, Nodes, read_job, wants_nodes
from api.engine.swarm.service import name_service
from api.engine.swarm.services import Service, read_service
from api.engine.swarm.tasks import Beginnings, Task, read_task, sort_by_service
from api.v1.job import Job
from api.v1.labels import NAME, NAMESPACE
from api.v1.times import SECOND, parse_time

_UID: Final = re.compile("[0-9a-z]{25}")
_MOST_IDS: Final = 100  # in one call: they are part of its address
_REMEMBERED: Final = 200_000  # uids
_NO_NODES: Final[Nodes] = {}


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as it was read, with the service and the tasks that say so."""

    service: Service
    tasks: Sequence[Task]
    job: Job


class Reader:
    """Reads the jobs of ``namespace``; ``beginnings`` learns of each task when it began.

    A node is taken to be down once a manager has shown it so for ``patience`` seconds by ``now``,
    the manager's clock (ns): a new leader may for a moment not have heard of one that is sound, and
    one that is back soon tells how its tasks have ended.
    """

    def __init__(
        self,
        calls: Calls,
        namespace: str,
        beginnings: Beginnings,
        *,
        now: Callable[[], int],
        patience: float,
    ) -> None:
        self._calls = calls
        self._namespace = namespace
        self._beginnings = beginnings
        self._now = now
        self._patience = int(patience * SECOND)
        self._names: dict[str, str] = {}
        self.ours: dict[str, None] = {}
        """Uids of the jobs that were read or created last."""

    def note_own(self, uid: str) -> None:
        """Note that a service is a job of ours: the event of its removal does not tell."""
        if uid not in self.ours:
            if len(self.ours) >= _REMEMBERED:
                del self.ours[next(iter(self.ours))]
            self.ours[uid] = None

    async def find(self, ref: str) -> Seen | None:
        """Read the job of this uid or name; ``None`` for what is no job of ours.

        Raises ``NotFoundError`` if nothing is called so. A manager finds a service by the beginning
        of its id, too: that is not found here.
        """
        data = await self._find_data(ref)
        with translate_errors():
            service = read_service(data, self._namespace)
        if service is None:
            return None
        found = await self.complete([service])
        if not found:
            raise NotFoundError(404, f"No such service: {ref}")
        return found[0]

    async def _find_data(self, ref: str) -> Any:
        if is_uid(ref):
            try:
                data = await self._calls.get(f"services/{ref}")
            except NotFoundError:
                pass
            else:
                with translate_errors():
                    if data["ID"] == ref:
                        return data
        name = name_service(self._namespace, ref)
        data = await self._calls.get(f"services/{name}")
        with translate_errors():
            if data["Spec"]["Name"] != name:
                raise NotFoundError(404, f"No such service: {ref}")
        return data

    async def get_service(self, uid: str) -> Service:
        """Read a service without its tasks. Raises ``NotFoundError`` for what is no job of ours."""
        if not is_uid(uid):
            raise NotFoundError(404, f"No such service: {uid!r}")
        data = await self._calls.get(f"services/{uid}")
        with translate_errors():
            service = read_service(data, self._namespace) if data["ID"] == uid else None
        if service is None:
            raise NotFoundError(404, f"No such job: {uid}")
        return service

    async def read(self, uids: Collection[str]) -> list[Seen]:
        """Read those of ``uids`` that are there and jobs of ours, in no order."""
        return await self.complete(await self.read_services(uids))

    async def read_services(self, uids: Collection[str]) -> list[Service]:
        """Read the services of those of ``uids`` that are there and jobs of ours, in no order."""
        services: list[Service] = []
        for some in _cut(sorted(uids)):
            services += self._decode(await self._calls.get("services", {"id": some}))
        wanted = {*uids}
        return [service for service in services if service.uid in wanted]

    async def get_all(self, job_id: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the JSON of all services of ours, or of those of this job's id."""
        labels = [f"{NAMESPACE}={self._namespace}", *([f"{NAME}={job_id}"] if job_id else [])]
        data: Sequence[Mapping[str, Any]] = await self._calls.get("services", {"label": labels})
        return data or ()

    async def complete_all(self, data: Iterable[Mapping[str, Any]]) -> list[Seen]:
        """Read the jobs of many services, of which most will have no task that runs."""
        services = self._decode(data)
        if not any(service.wants_tasks for service in services):
            return await self.complete(services)
        return await self.complete(services, await self.read_running())

    async def read_running(self) -> dict[str, list[Task]]:
        """Read the tasks that are to run or to go, by service: cheap, however many have ended."""
        wanted = ["running", "ready", "remove"]
        ours = [f"{NAMESPACE}={self._namespace}"]
        return await self._read_tasks({"desired-state": wanted, "label": ours})

    async def read_tasks(self, uid: str) -> Sequence[Task]:
        """Read the tasks of a service, the oldest first; ``NotFoundError`` if it is gone."""
        return (await self._read_tasks({"service": [uid]})).get(uid, [])

    async def read_tasks_of(self, uids: Collection[str]) -> tuple[dict[str, list[Task]], set[str]]:
        """Read the tasks of services, by service, and say which of the services are gone."""
        found: dict[str, list[Task]] = {}
        gone: set[str] = set()
        for some in _cut(sorted(uids)):
            found |= await self._read_tasks_of(some, gone)
        return found, gone

    async def complete(
        self, services: Sequence[Service], tasks: Mapping[str, Sequence[Task]] | None = None
    ) -> list[Seen]:
        """Return the jobs of services. ``tasks``: those that are known already.

        A service that is removed meanwhile is left out.
        """
        found = dict(tasks or {})
        missing = [s.uid for s in services if s.wants_tasks and not _is_shown(s, found)]
        read, gone = await self.read_tasks_of(missing)
        found |= read
        there = [service for service in services if service.uid not in gone]
        nodes = _NO_NODES
        if any(wants_nodes(service, found.get(service.uid, ())) for service in there):
            nodes = await self.read_nodes()
        return [self.judge(service, found.get(service.uid, ()), nodes) for service in there]

    def judge(self, service: Service, tasks: Sequence[Task], nodes: Nodes = _NO_NODES) -> Seen:
        """Return the job of a service with all of its tasks."""
        self.note_own(service.uid)
        job = read_job(service, tasks, nodes, self._beginnings, self._namespace)
        return Seen(service, tasks, job)

    async def read_nodes(self) -> Nodes:
        """Read the nodes of the swarm."""
        with translate_errors():
            found = await self._calls.get("nodes") or ()
            nodes = {data["ID"]: _read_node(data, self._patience, self._now()) for data in found}
        self._names |= {uid: node.name for uid, node in nodes.items()}
        return nodes

    async def name_node(self, uid: str) -> str:
        """Return the name of a node, or its id if it is gone."""
        if uid and uid not in self._names:
            await self.read_nodes()
        return self._names.get(uid, uid)

    async def _read_tasks_of(self, uids: Sequence[str], gone: set[str]) -> dict[str, list[Task]]:
        try:
            return await self._read_tasks({"service": uids})
        except NotFoundError:
            # one of them is gone: a manager then shows none
            if len(uids) == 1:
                gone.update(uids)
                return {}
        half = len(uids) // 2
        first = await self._read_tasks_of(uids[:half], gone)
        return first | await self._read_tasks_of(uids[half:], gone)

    async def _read_tasks(self, filters: Mapping[str, Sequence[str]]) -> dict[str, list[Task]]:
        data = await self._calls.get("tasks", filters)
        with translate_errors():
            tasks = [read_task(item) for item in data or ()]
        for task in tasks:
            self._beginnings.note(task)
        return sort_by_service(tasks)

    def _decode(self, data: Iterable[Mapping[str, Any]] | None) -> list[Service]:
        with translate_errors():
            read = [read_service(item, self._namespace) for item in data or ()]
        return [service for service in read if service is not None]


def is_uid(ref: str) -> bool:
    """Tell whether this may be a service's id."""
    return _UID.fullmatch(ref) is not None


def _is_shown(service: Service, tasks: Mapping[str, Sequence[Task]]) -> bool:
    """Tell whether the tasks that run show all of a service: unless it is restarted, they do."""
    shown = tasks.get(service.uid, ())
    return not service.is_repeated and any(task.start == service.start for task in shown)


def _read_node(data: Mapping[str, Any], patience: int, now: int) -> Node:
    name = str((data.get("Description") or {}).get("Hostname") or "") or data["ID"]
    state = (data.get("Status") or {}).get("State")
    given_up = (parse_time(data.get("UpdatedAt")) or 0) + patience
    return Node(name, is_down=state == "down" and given_up <= now, at=given_up)


def _cut(uids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (uids[first : first + _MOST_IDS] for first in range(0, len(uids), _MOST_IDS))
