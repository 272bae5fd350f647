"""Ends jobs: no replica, then a watch on their tasks, whose exit codes go with them.

An ended task that is to go was seen for 0.26 s at least. So as long as any job is being stopped,
the tasks that are to go are read by one call ten times a second, whoever may have asked and left;
and more often while one of them is without a node: it goes soonest.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from api.engine.docker.clock import EngineClock
from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import EngineError, NotFoundError
from api.engine.swarm.ends import Ends
from api.engine.swarm.labels import Stop
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.services import Service
from api.engine.swarm.tasks import State, Task
from api.engine.swarm.updates import Spec, Updates, plan_stop
from api.engine.wait import wait_until_set
from api.v1.condition import DEFAULT_GRACE

_INTERVAL: Final = 0.1
_SHORT: Final = 0.02
"""Seconds between two looks at a task that no node has yet."""
_LOOKS_APART: Final = 10
"""Looks at tasks between two at whether the node of one is lost."""


class Stops:
    """Ends jobs and sees how; ``timeout`` is the deadline of a call in seconds."""

    def __init__(
        self, reader: Reader, updates: Updates, ends: Ends, clock: EngineClock, *, timeout: float
    ) -> None:
        self._reader = reader
        self._updates = updates
        self._ends = ends
        self._clock = clock
        self._timeout = timeout
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._is_new = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def stop(self, uid: str) -> None:
        """Have a job end for good; see the Engine interface."""
        seen = await self._reader.find(uid)
        if seen is None or seen.job.uid != uid:
            raise NotFoundError(404, f"No such job: {uid}")
        if not seen.job.is_active:
            return
        stop = Stop(self._clock.now(), seen.job.started or None, seen.job.started_at)

        def end(service: Service) -> Spec | None:
            return plan_stop(service, stop)

        await self._updates.change(uid, end)
        over = self._wait_for(uid)
        grace = seen.job.stop_timeout
        more = DEFAULT_GRACE if grace is None else max(grace, 0)
        with translate_errors():
            async with asyncio.timeout(self._timeout + more):
                await asyncio.shield(over)

    async def close(self) -> None:
        """Give up watching."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    def _wait_for(self, uid: str) -> asyncio.Future[None]:
        """Return what is done when a job is over, and how is written down."""
        self._ends.hold(uid)
        if uid not in self._waiting:
            over = self._waiting[uid] = asyncio.get_running_loop().create_future()
            # whoever waited for it may have left
            over.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._is_new.set()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_on())
        return self._waiting[uid]

    async def _look_on(self) -> None:
        looks = 0
        while self._waiting:
            looks += 1
            self._is_new.clear()
            hurries = False
            # those who wait have deadlines of their own
            with contextlib.suppress(EngineError):
                hurries = await self._look(with_nodes=looks % _LOOKS_APART == 0)
            await wait_until_set(self._is_new, _SHORT if hurries else _INTERVAL)

    async def _look(self, *, with_nodes: bool) -> bool:
        """See which jobs are over; tell whether the task of another has no node."""
        tasks = await self._reader.read_running()
        waiting = [*self._waiting]
        unclear = [uid for uid in waiting if with_nodes or not _is_going(tasks, uid)]
        services = await self._reader.read_services(unclear)
        seen = await self._reader.complete(services, tasks)
        for uid in {*unclear} - {service.uid for service in services}:
            self._end(uid, NotFoundError(404, f"No such job: {uid}"))
        # one after the other, the last would be written when its task is gone
        await asyncio.gather(*(self._finish(one) for one in seen if not one.job.is_active))
        left = (task for uid in self._waiting for task in tasks.get(uid, ()))
        return any(task.state < State.ASSIGNED for task in left)

    async def _finish(self, seen: Seen) -> None:
        error: EngineError | None = None
        try:
            await self._ends.write(seen)
        except EngineError as failure:
            error = failure
        self._end(seen.job.uid, error)

    def _end(self, uid: str, error: EngineError | None) -> None:
        self._ends.release(uid)
        over = self._waiting.pop(uid)
        if over.done():
            return
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)


def _is_going(tasks: Mapping[str, Sequence[Task]], uid: str) -> bool:
    """Tell whether a job's task is there still, and not over, nor one that will not run."""
    return any(not task.is_over and not task.will_not_run for task in tasks.get(uid, ()))
