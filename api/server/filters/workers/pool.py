"""A few workers for one generation of filters: nobody's document holds up another's.

A run that has used the processor for ``slow_after`` is niced and no longer counted among the
``size`` workers, so a spare takes its place; at most ``most_slow`` runs may be slow at a
time, one more is ended.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol

from api.server.filters.workers import process, protocol
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.process import WorkerProcess
from api.server.filters.workers.turns import Lane

_TICK = 0.005
Cause = Literal["crashed", "deadline", "slow", "unending", "nice"]


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many workers are doing what."""

    idle: int
    busy: int
    slow: int
    starting: int


class PoolHooks(Protocol):
    """What a pool tells while it works."""

    def on_replaced(self, cause: Cause) -> None:
        """Note that a worker was given up."""

    def on_tail(self, index: int, *, ended: bool) -> None:
        """Note a filter with more than one output, or without end after the first."""


class DeadlineError(Exception):
    """The evaluation was ended at its deadline."""


class PoolBusyError(Exception):
    """No worker could be had, or too many runs are slow already."""


class WorkerStartError(Exception):
    """A worker did not come up; nothing says that a filter is at fault."""


class CompileFailedError(Exception):
    """A worker refused the generation."""

    def __init__(self, faults: list[protocol.CompileFault]) -> None:
        super().__init__("the filters do not compile")
        self.faults = faults


Reply = tuple[protocol.FrameKind, bytes]


@dataclass(slots=True, eq=False)
class _Evaluation:
    """A call on its way: waiting while it has no worker, then in the hands of one."""

    call: protocol.FilterCall
    reply: "asyncio.Future[Reply]"
    worker: WorkerProcess | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    slow: bool = False
    slow_at: float = 0.0
    """The processor time of its worker at which it is slow."""
    slow_until: float = 0.0
    """The loop's time at which it is slow in any case."""
    answer_from: float = 0.0
    """The loop's time before which a failure is not answered."""
    failure: Exception | None = None
    """Why its worker was given up."""

    def answer(self, reply: Reply | Exception) -> None:
        """Give the caller, if it still waits, its answer; a first one stays."""
        if self.reply.done():
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)

    def disarm(self) -> None:
        """Cancel the timers."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


class Pool:
    """The workers of one generation; ``load`` is its ``LOAD`` frame."""

    def __init__(self, load: bytes, limits: FilterLimits, hooks: PoolHooks) -> None:
        self._load = load
        self._limits = limits
        self._hooks = hooks
        self._idle: list[WorkerProcess] = []
        self._jobs: dict[WorkerProcess, _Evaluation] = {}
        self._lane = Lane()
        self._alive: set[WorkerProcess] = set()
        self._waiting: deque[_Evaluation] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self._closed = False

    @property
    def status(self) -> PoolStatus:
        """What the workers are doing now."""
        slow = sum(job.slow for job in self._jobs.values())
        return PoolStatus(len(self._idle), len(self._jobs) - slow, slow, len(self._starting))

    async def start(self) -> None:
        """Start the workers; raises ``CompileFailedError`` or ``WorkerStartError``."""
        starts = (self._start_one() for _ in range(self._limits.size))
        try:
            results = await asyncio.gather(*starts, return_exceptions=True)
        except asyncio.CancelledError:
            await self.close()
            raise
        failures = [r for r in results if isinstance(r, BaseException)]
        if failures:
            await self.close()
            raise failures[0]

    async def close(self) -> None:
        """Let the calls in flight end, each within its deadline, then end the workers."""
        while self._jobs or self._waiting:
            self._settled.clear()
            await self._settled.wait()
        self._closed = True
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        alive = list(self._alive)
        for worker in alive:
            worker.kill()
        await asyncio.gather(*(worker.ended for worker in alive))

    async def run(self, call: protocol.FilterCall) -> Reply:
        """Return the worker's ``RESULT`` or ``REFUSED`` frame.

        Raises ``DeadlineError``, ``PoolBusyError`` or ``process.WorkerLostError``. A caller that is
        cancelled leaves a run behind that ends by its deadline.
        """
        loop = asyncio.get_running_loop()
        job = _Evaluation(call, loop.create_future())
        job.timers.append(loop.call_later(self._limits.deadline, self._on_deadline, job))
        worker = self._take_idle()
        if worker is None:
            self._waiting.append(job)
        else:
            self._assign(job, worker)
        try:
            return await job.reply
        finally:
            if job.worker is None:
                self._leave(job)

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            # one that has just died is replaced once it is reaped
            if worker.usable:
                return worker
        return None

    def _assign(self, job: _Evaluation, worker: WorkerProcess) -> None:
        loop = asyncio.get_running_loop()
        job.worker = worker
        job.slow_at = worker.processor_time + self._limits.slow_after
        job.slow_until = loop.time() + 5 * self._limits.slow_after
        job.answer_from = loop.time() + min(self._limits.penalty, self._limits.deadline)
        job.timers.append(loop.call_later(self._limits.slow_after, self._on_slow, job, worker))
        self._jobs[worker] = job
        worker.send(protocol.pack_call(job.call))

    def _leave(self, job: _Evaluation) -> None:
        """Take a job that never had a worker out of the queue."""
        job.disarm()
        with contextlib.suppress(ValueError):
            self._waiting.remove(job)
        self._settled.set()

    def _on_frame(self, worker: WorkerProcess, kind: protocol.FrameKind, payload: bytes) -> None:
        job = self._jobs.get(worker)
        if job is None:
            return
        if kind is protocol.FrameKind.TAIL:
            if payload:
                self._hooks.on_tail(job.call.index, ended=True)
            self._finish(job, worker)
            return
        job.answer((kind, payload))
        if kind is protocol.FrameKind.REFUSED:
            self._finish(job, worker)
            return
        job.disarm()
        loop = asyncio.get_running_loop()
        job.timers.append(loop.call_later(self._limits.tail, self._on_unending, job, worker))

    def _on_slow(self, job: _Evaluation, worker: WorkerProcess) -> None:
        loop = asyncio.get_running_loop()
        rest = min(job.slow_at - worker.processor_time, job.slow_until - loop.time())
        if rest > 0:
            # others have the processor: a busy machine makes no filter slow
            job.timers.append(loop.call_later(max(rest, _TICK), self._on_slow, job, worker))
        elif self.status.slow >= self._limits.most_slow:
            self._give_up(job, worker, PoolBusyError(), "slow")
        else:
            job.slow = True
            worker.be_nice()
            self._lane.add(worker)
            self._fill()

    def _on_deadline(self, job: _Evaluation) -> None:
        if job.worker is None:
            job.answer(PoolBusyError())
            self._leave(job)
        else:
            self._give_up(job, job.worker, DeadlineError(), "deadline")

    def _on_unending(self, job: _Evaluation, worker: WorkerProcess) -> None:
        self._hooks.on_tail(job.call.index, ended=False)
        self._give_up(job, worker, DeadlineError(), "unending")

    def _give_up(
        self, job: _Evaluation, worker: WorkerProcess, failure: Exception, cause: Cause
    ) -> None:
        """Replace the worker at once; the answer, if none was given, may have to wait."""
        job.failure = failure
        job.slow = True
        job.disarm()
        loop = asyncio.get_running_loop()
        wait = 0.0 if job.reply.done() else job.answer_from - loop.time()
        job.timers.append(loop.call_later(max(wait, 0.0), self._fail, job, worker))
        self._retire(worker, cause)

    def _fail(self, job: _Evaluation, worker: WorkerProcess) -> None:
        assert job.failure is not None
        job.answer(job.failure)
        self._drop(job, worker)

    def _drop(self, job: _Evaluation, worker: WorkerProcess) -> None:
        self._jobs.pop(worker, None)
        self._lane.discard(worker)
        job.disarm()
        self._settled.set()

    def _finish(self, job: _Evaluation, worker: WorkerProcess) -> None:
        self._drop(job, worker)
        self._release(worker)

    def _release(self, worker: WorkerProcess) -> None:
        """Hand a worker that has nothing to do to whoever waits longest."""
        if worker.niced:
            self._retire(worker, "nice")
            return
        while self._waiting:
            job = self._waiting.popleft()
            # a caller may have been cancelled, and not yet have left the queue
            if not job.reply.done():
                self._assign(job, worker)
                return
        self._idle.append(worker)

    def _retire(self, worker: WorkerProcess, cause: Cause) -> None:
        self._hooks.on_replaced(cause)
        self._lane.discard(worker)
        worker.kill()
        self._fill()

    def _on_ended(self, worker: WorkerProcess) -> None:
        self._alive.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        job = self._jobs.get(worker)
        if job is not None and job.failure is None:
            self._give_up(job, worker, process.WorkerLostError(worker.ended.result()), "crashed")
        self._fill()

    def _fill(self) -> None:
        """Start workers until ``size`` of them are idle, starting, or busy but not slow."""
        status = self.status
        missing = self._limits.size - status.idle - status.busy - status.starting
        for _ in range(missing if not self._closed else 0):
            task = asyncio.get_running_loop().create_task(self._replace_one())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _replace_one(self) -> None:
        while True:
            with contextlib.suppress(WorkerStartError, CompileFailedError):
                await self._start_one()
                return
            await asyncio.sleep(self._limits.retry)

    async def _start_one(self) -> None:
        try:
            worker = await process.start()
        except OSError as error:
            raise WorkerStartError(f"a filter worker did not start: {error}") from error
        self._alive.add(worker)
        worker.ended.add_done_callback(lambda _: self._on_ended(worker))
        loaded: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        worker.receive = lambda _kind, payload: loaded.set_result(payload)
        worker.send(self._load)
        try:
            async with asyncio.timeout(self._limits.start):
                await asyncio.wait((loaded, worker.ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            worker.kill()
            raise WorkerStartError("a filter worker did not load its filters in time") from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        if not loaded.done():
            raise WorkerStartError(f"a filter worker ended with status {worker.ended.result()}")
        faults = protocol.unpack_faults(loaded.result())
        if faults:
            worker.kill()
            raise CompileFailedError(faults)
        worker.receive = lambda kind, payload: self._on_frame(worker, kind, payload)
        self._release(worker)
