"""Notes in labels how jobs ended, and which runs were lost: once, by the controller's adapter."""

import asyncio
import contextlib
from functools import partial
from typing import Final

from api.engine.errors import EngineError
from api.engine.swarm.labels import (
    END,
    LOSS,
    STOP,
    End,
    Loss,
    Stop,
    encode_end,
    encode_loss,
    encode_stop,
)
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.services import Service
from api.engine.swarm.updates import Change, Spec, Updates, bar_nodes, set_labels
from api.v1.job import Job, Status

_AT_ONCE: Final = 8
_PAUSE: Final = 5.0
_PACE: Final = 0.5
"""Seconds from an end to its label, and between two labels: all managers write each update down,
one after the other, and starts go first."""
_MOST: Final = 1_000
"""Labels that wait: more are written at once."""


class Ends:
    """Notes what is seen, if ``writes``, in tasks of their own: nobody waits for a label.

    What cannot be written now is written when it is seen again. ``keeps_tasks``: the swarm keeps
    the task that a label of its end repeats, so that the label may come later.
    """

    def __init__(self, reader: Reader, updates: Updates, *, writes: bool) -> None:
        self._reader = reader
        self._updates = updates
        self._writes = writes
        self._held: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, tuple[float, Seen]] = {}
        self._trickle: asyncio.Task[None] | None = None
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self.keeps_tasks = False

    def note(self, seen: Seen) -> None:
        """Note how a job ended, or that its run was lost, if nothing says so yet."""
        uid = seen.service.uid
        if not self._writes or uid in self._held or uid in self._tasks or not is_news(seen):
            return
        if not self.keeps_tasks or is_urgent(seen) or len(self._later) >= _MOST:
            self._begin(seen)
            return
        self._later.setdefault(uid, (asyncio.get_running_loop().time() + _PAUSE, seen))
        if self._trickle is None or self._trickle.done():
            self._trickle = asyncio.create_task(self._write_one_by_one())

    def forget(self, uid: str) -> None:
        """Write nothing more of a job that is gone, or is another's to write of."""
        self._later.pop(uid, None)

    def hold(self, uid: str) -> None:
        """Leave a job to its stop, which will see how it ends."""
        self._held.add(uid)
        self.forget(uid)

    def release(self, uid: str) -> None:
        """Have a job's end noted as any other again."""
        self._held.discard(uid)

    async def write(self, seen: Seen) -> None:
        """Write what is seen of a job that has ended, or that never ran when it was stopped."""
        service, job = seen.service, seen.job
        node = await self._reader.name_node(seen.tasks[-1].node if seen.tasks else "")
        change: Change = partial(_set_unrun, start=service.start)
        if job.status is Status.EXITED:
            text = encode_end(_read_end(job, node))
            change = partial(_set_once, key=END, text=text, start=service.start)
        elif job.lost:
            loss = encode_loss(Loss(job.rerun, seen.tasks[-1].id, job.error))
            change = partial(_set_loss, text=loss, start=service.start)
        await self._updates.change(service.uid, change, service)

    async def close(self) -> None:
        """Give up what is being written."""
        tasks = [*self._tasks.values(), *([self._trickle] if self._trickle else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, seen: Seen) -> None:
        uid = seen.service.uid
        self._later.pop(uid, None)
        task = self._tasks[uid] = asyncio.create_task(self._write_quietly(seen))
        task.add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def _write_one_by_one(self) -> None:
        now = asyncio.get_running_loop().time
        while self._later:
            uid, (due, seen) = next(iter(self._later.items()))
            await asyncio.sleep(max(due - now(), _PACE))
            if uid in self._later:  # it may have been forgotten
                self._begin(seen)

    async def _write_quietly(self, seen: Seen) -> None:
        with contextlib.suppress(EngineError):
            async with self._turn:
                await self.write(seen)


def is_news(seen: Seen) -> bool:
    """Tell whether a job has ended, or lost a run, and no label says so."""
    service, job = seen.service, seen.job
    if job.status is Status.EXITED:
        return service.end is None
    counted = 0 if service.loss is None else service.loss.count
    return job.lost and job.rerun > counted


def is_urgent(seen: Seen) -> bool:
    """Tell whether an end, or a loss, is to be noted at once.

    Of a service that is to have no replica the task goes within a second. Where there was a start
    before, the label also keeps the swarm from making a task more.
    """
    return seen.job.lost or seen.service.replicas == 0 or seen.service.start > 1


def _read_end(job: Job, node: str) -> End:
    return End(
        job.exit_code, job.started_at, job.finished_at, node, job.error, job.lost, job.started
    )


def _set_once(service: Service, *, key: str, text: str, start: int) -> Spec | None:
    """Set a label, unless it is set, or another run has begun.

    The swarm takes the task with the latest report for the newest. After a node's return, or a
    change of leader, that can be the task of an earlier start. It does not match the present spec,
    so that any update has the job run again; where no node will do, that task waits for ever.
    """
    never_ran = service.stop is not None and service.stop.ran is False
    if key in service.labels or service.start != start or never_ran:
        return None
    spec = set_labels(service.spec, {key: text})
    return bar_nodes(spec) if service.start > 1 else spec


def _set_loss(service: Service, *, text: str, start: int) -> Spec | None:
    if service.start != start or service.stop is not None:
        return None
    return set_labels(service.spec, {LOSS: text})


def _set_unrun(service: Service, *, start: int) -> Spec | None:
    """Note that a job never ran, as is seen once its task has gone: it waits again."""
    stop = service.stop
    if stop is None or stop.ran is not None or service.start != start:
        return None
    return set_labels(service.spec, {STOP: encode_stop(Stop(stop.at, ran=False))})
