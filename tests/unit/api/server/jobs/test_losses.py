"""A job is lost if it was removed before it ran, and not because nobody saw it run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.informer.informer import Informer
from api.informer.store import Broadcast
from api.server.jobs.counter import JobCounter
from api.server.jobs.losses import Losses
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.unit.controller.rig import until


class Watch:
    """An engine, and the losses that an informer of the API finds on it."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(timeout=0.4)
        self.counted = 0
        counter = JobCounter("ns", lambda _action, _status: None)
        self.losses = Losses(self._count, counter.has_run)
        self.informer = Informer(
            self.engine,
            "ns",
            Broadcast(self.losses, counter),
            interval=3600.0,
            delay=0.02,
            hear=counter.hear,
        )

    def _count(self) -> None:
        self.counted += 1

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[str]:
        """Yield the name of a job that waits."""
        task = asyncio.create_task(self.informer.run())
        try:
            await until(lambda: self.informer.engine_status.is_up)
            self.engine.add("one", {"Image": IMAGE, "Cmd": ["x"], "Labels": {NAMESPACE: "ns"}})
            await until(lambda: len(self.informer.store.known) == 1)
            yield "one"
            await until(lambda: len(self.informer.store.known) == 0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_job_that_is_removed_before_it_ran_is_lost() -> None:
    watch = Watch()
    async with watch.waiting() as job:
        watch.engine.destroy(job)
    assert watch.counted == 1
    assert job in watch.losses


async def test_a_life_too_short_for_a_second_look_is_no_loss() -> None:
    watch = Watch()
    async with watch.waiting() as job:
        watch.engine.run(job)
        watch.engine.finish(job)
        watch.engine.destroy(job)
    assert watch.counted == 0
    assert job not in watch.losses
