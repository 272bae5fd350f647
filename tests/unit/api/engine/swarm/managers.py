"""A manager in memory, as far as the adapter's parts call one: services, tasks, nodes."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest

from api.engine.errors import NotFoundError, OutdatedError
from api.engine.swarm.calls import Calls
from api.engine.swarm.reader import Reader
from api.engine.swarm.tasks import Beginnings
from api.v1.times import SECOND
from tests.unit.api.engine.swarm.scenes import BEGIN, NAMESPACE, NODE, stamp


class Manager:
    """Answers like :class:`api.engine.swarm.calls.Calls`; each read takes ``seconds``.

    ``calls`` are the paths that were read, ``sent`` the specs of accepted updates. ``down_since``
    is when its node was found to be down, in seconds from the beginning.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.services: dict[str, dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        self.is_down = False
        self.down_since = 0.0
        self.seconds = seconds
        self.calls: list[str] = []
        self.sent: list[Mapping[str, Any]] = []
        self.failure: Exception | None = None

    def add(self, data: dict[str, Any], *tasks: dict[str, Any]) -> None:
        """Have a service, and tasks of it in place of those it had."""
        self.services[data["ID"]] = data
        self.tasks = [task for task in self.tasks if task["ServiceID"] != data["ID"]]
        self.tasks += tasks

    async def get(self, path: str, filters: Mapping[str, Sequence[str]] | None = None) -> Any:
        """Answer a read."""
        self.calls.append(path)
        await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        given = filters or {}
        match path.split("/"):
            case ["services", ref]:
                return deepcopy(self._find(ref))
            case ["services"]:
                wanted = given.get("id") or [*self.services]
                return [deepcopy(self.services[uid]) for uid in wanted if uid in self.services]
            case ["tasks"]:
                return self._list_tasks(given)
            case ["nodes"]:
                state = {"State": "down" if self.is_down else "ready"}
                text, at = {"Hostname": "node-2"}, stamp(self.down_since)
                return [{"ID": NODE, "Description": text, "Status": state, "UpdatedAt": at}]
        raise AssertionError(path)

    async def update(self, uid: str, version: int, spec: Mapping[str, Any]) -> None:
        """Update a service of this version."""
        data = self._find(uid)
        if data["Version"]["Index"] != version:
            raise OutdatedError(409, "update out of sequence")
        data["Version"]["Index"] += 1
        data["Spec"] = json.loads(json.dumps(spec))
        self.sent.append(spec)

    def _find(self, ref: str) -> dict[str, Any]:
        for data in self.services.values():
            if ref in {data["ID"], data["Spec"]["Name"]}:
                return data
        raise NotFoundError(404, f"service {ref} not found")

    def _list_tasks(self, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        for uid in filters.get("service", ()):
            self._find(uid)
        wanted, desired = filters.get("service"), filters.get("desired-state")
        return [
            deepcopy(task)
            for task in self.tasks
            if (wanted is None or task["ServiceID"] in wanted)
            and (desired is None or task["DesiredState"] in desired)
        ]


def answer_reads(patch: pytest.MonkeyPatch, manager: Manager) -> None:
    """Have a manager answer the reads of all engines."""

    async def get(_: Calls, *asked: Any) -> Any:
        return await manager.get(*asked)

    patch.setattr(Calls, "get", get)


def make_reader(manager: Manager) -> Reader:
    """Return what reads a manager."""
    calls: Any = manager
    beginnings = Beginnings(lambda: BEGIN)
    return Reader(calls, NAMESPACE, beginnings, now=lambda: BEGIN + 9 * SECOND, patience=5)
