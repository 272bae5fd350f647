"""The routes that show queues: what each may do, and how it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from aiohttp import web

from api.server.access.guard import read_grant
from api.server.access.tokens import Grant
from api.server.http.answer import answer_json
from api.server.http.problem import Problem
from api.server.http.query import read_parameters
from api.server.http.reasons import ProblemReason
from api.server.jobs.index import JobIndex
from api.server.jobs.queue_use import count_queues, find_oldest
from api.server.jobs.queues import Queues
from api.v1.queue import Queue
from api.v1.times import SECOND


class QueueView(TypedDict):
    """A queue as answers show it: its config, and of the jobs that the token may read the sums.

    ``oldestPendingSeconds`` is the age of the oldest that waits, null where none does.
    """

    name: str
    maxConcurrent: int | None
    weight: int
    paused: bool
    maxPending: int | None
    used: int
    pending: int
    oldestPendingSeconds: float | None


@dataclass(frozen=True, slots=True)
class QueueHandlers:
    """The routes' functions over what they ask; ``now`` is the engine's clock (ns)."""

    index: JobIndex
    queues: Queues
    now: Callable[[], int]

    async def list_queues(self, request: web.Request) -> web.Response:
        """Show every queue that is configured or has jobs, ``default`` among them."""
        views = await self._view(request)
        return answer_json(200, {"items": [views[name] for name in sorted(views)]})

    async def get_queue(self, request: web.Request) -> web.Response:
        """Show one queue."""
        view = (await self._view(request)).get(request.match_info["name"])
        if view is None:
            raise Problem(404, ProblemReason.QUEUE_NOT_FOUND, "there is no queue of this name")
        return answer_json(200, view)

    async def _view(self, request: web.Request) -> dict[str, QueueView]:
        read_parameters(request.query, ())
        await self.index.wait_until_read()
        grant: Grant = read_grant(request)
        used, pending = count_queues(self.index, grant.may_read)
        oldest = await find_oldest(self.index, pending, grant.may_read)
        now = self.now()
        return {
            queue.name: _show(queue, used[queue.name], pending[queue.name], oldest, now)
            for queue in self.queues.list_all({*used, *pending})
        }


def _show(queue: Queue, used: int, pending: int, oldest: dict[str, int], now: int) -> QueueView:
    since = oldest.get(queue.name)
    return {
        "name": queue.name,
        "maxConcurrent": queue.max_concurrent,
        "weight": queue.weight,
        "paused": queue.paused,
        "maxPending": queue.max_pending,
        "used": used,
        "pending": pending,
        "oldestPendingSeconds": None if since is None else max(0, now - since) / SECOND,
    }
