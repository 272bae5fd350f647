"""The in-memory engine with several nodes: a start is accepted at once and carried out later."""

import asyncio
import builtins
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from api.engine.capabilities import SWARM, Unsupported
from api.engine.errors import ConflictError, EngineRefusedError, OutdatedError
from api.v1.job import Job, Status
from api.v1.wishes import NodeLoss, decode_wishes
from tests.fakes.engine.engine import MemoryEngine
from tests.fakes.engine.store import Cell, Selection, make_job

NO_NODE: Final = "no suitable node (insufficient resources on 3 nodes)"


class MemoryCluster(MemoryEngine):
    """Starts that are accepted take ``seconds`` until a node has carried them out, or refused.

    While it ``is_full``, no node takes a job. A start is fenced: it is refused unless the last
    inspect has shown the job as it is. Its lists show all that an inspect shows. What is
    ``unsupported`` of every manifest, a test sets.
    """

    def __init__(self, *, seconds: float = 0.05, **settings: Any) -> None:
        super().__init__(**settings)
        self._seconds = seconds
        self._versions: Counter[str] = Counter()
        self._seen: dict[str, int] = {}
        self.facts = replace(self.facts, capabilities=SWARM)
        self.unsupported: tuple[Unsupported, ...] = ()
        self.is_full = False

    def find_unsupported(self, body: Mapping[str, object]) -> tuple[Unsupported, ...]:
        """Find what a test has set; see the Engine interface."""
        del body
        return self.unsupported

    async def inspect(self, ref: str) -> Job | None:
        """Read one job and remember its version; see the Engine interface."""
        job = await super().inspect(ref)
        if job is not None:
            self._seen[job.uid] = self._versions[job.uid]
        return job

    def touch(self, ref: str) -> None:
        """Have a job be another than whoever looked at it has seen."""
        self._versions[self._store.find(ref).id] += 1

    def make_room(self, *names: str) -> None:
        """Have nodes take the jobs that wait for one: those of the names, or all from now on."""
        is_full, self.is_full = self.is_full and bool(names), False
        for cell in self._store:
            is_meant = not names or cell.container.name in names
            if is_meant and cell.container.status is Status.STARTING:
                self._place(cell, self._versions[cell.id])
        self.is_full = is_full

    def lose(self, ref: str) -> None:
        """Lose the node of a running job."""
        cell, error = self._store.find(ref), "node b was lost while it ran"
        wishes = decode_wishes(cell.container.labels)
        cell.runs += 1  # what it was scripted to do it does no more
        if wishes.on_node_loss is NodeLoss.RERUN:
            again = {"started_at": None, "rerun": cell.container.rerun + 1}
            self._show(cell, Status.CREATED, lost=True, error=error, **again)
        else:
            ended = {"finished_at": self._tick()}
            self._show(cell, Status.EXITED, lost=True, error=error, **ended)

    async def _start(self, container_id: str) -> Status:
        cell = self._store.find(container_id)
        if self._seen.get(cell.id) != self._versions[cell.id]:
            raise OutdatedError(409, "update out of sequence")
        if not cell.container.is_startable:
            raise ConflictError(409, "it was started before")
        self._show(cell, Status.STARTING, error="", lost=False)
        asyncio.get_running_loop().call_later(
            self._seconds, self._place, cell, self._versions[cell.id]
        )
        return Status.STARTING

    async def _stop(self, container_id: str, grace: int | None) -> None:
        cell = self._store.find(container_id)
        if cell.container.status is Status.STARTING:
            self._show(cell, Status.CREATED)
        else:
            await super()._stop(container_id, grace)

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        rows = self._store.select(wanted, self._images, self.now())
        return [make_job(self._store.find(row.uid), self._namespace, self._images) for row in rows]

    def _place(self, cell: Cell, version: int) -> None:
        if cell.id not in self._store or self._versions[cell.id] != version:
            return
        if self.is_full:
            self._store.change(cell, error=NO_NODE)
            self._emit("update", cell)
            return
        try:
            self.run(cell.id)
        except EngineRefusedError as error:
            self._show(cell, Status.CREATED, error=error.message, exit_code=0)

    def _show(self, cell: Cell, status: Status, **changes: Any) -> None:
        self.touch(cell.id)
        self._store.change(cell, status=status, **changes)
        self._emit("update", cell)
