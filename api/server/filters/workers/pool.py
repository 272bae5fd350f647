"""A few workers for one generation of filters: nobody's document holds up another's.

A run that has used the processor for ``slow_after`` is niced and no longer counted among the
``size`` workers, so a spare takes its place; at most ``most_slow`` runs may be slow at a
time, one more is ended. Clients take turns, and beside others one has half of all that at most.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from api.server.clients import CLIENT, Client
from api.server.fair_queue import FairQueue
from api.server.filters.workers import protocol
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.process import WorkerLostError, WorkerProcess
from api.server.filters.workers.shares import Shares
from api.server.filters.workers.start import CompileFailedError, WorkerStartError, start_worker
from api.server.filters.workers.turns import Lane

_TICK = 0.005
Cause = Literal["crashed", "deadline", "slow", "nice"]


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many workers are doing what."""

    idle: int
    busy: int
    slow: int
    starting: int


class DeadlineError(Exception):
    """The run was ended at its deadline, and had used its processor time."""


class StarvedError(Exception):
    """The deadline came before the run had a worker, or its processor time: the host is busy."""


class TooManySlowError(Exception):
    """The run was ended because too many others are slow already."""


Reply = tuple[protocol.FrameKind, bytes]


@dataclass(slots=True, eq=False)
class _Evaluation:
    """A call on its way: waiting while it has no worker, then in the hands of one."""

    call: protocol.FilterCall
    reply: "asyncio.Future[Reply]"
    client: Client | None
    worker: WorkerProcess | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    slow: bool = False
    began: float = 0.0
    """Its worker's processor time when the run began."""
    answer_from: float = 0.0
    """The loop's time before which a failure is not answered."""
    failure: Exception | None = None
    """Why its worker was given up."""

    @property
    def used(self) -> float:
        """Seconds of processor time that the run has used."""
        return 0.0 if self.worker is None else self.worker.processor_time - self.began

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

    def __init__(
        self, load: bytes, limits: FilterLimits, on_replaced: Callable[[Cause], None]
    ) -> None:
        self._load = load
        self._limits = limits
        self._on_replaced = on_replaced
        self._idle: list[WorkerProcess] = []
        self._running: dict[WorkerProcess, _Evaluation] = {}
        self._lane = Lane()
        self._alive: set[WorkerProcess] = set()
        self._waiting: FairQueue[_Evaluation] = FairQueue()
        self._shares = Shares(limits)
        self._starting: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self._closed = False

    @property
    def status(self) -> PoolStatus:
        """What the workers are doing now."""
        slow = sum(run.slow for run in self._running.values())
        return PoolStatus(len(self._idle), len(self._running) - slow, slow, len(self._starting))

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
        """Let the runs in flight end, each within its deadline, then end the workers."""
        while self._running or self._waiting:
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

        Raises ``DeadlineError``, ``StarvedError``, ``TooManySlowError`` or ``WorkerLostError``.
        A caller that is cancelled leaves a run behind that ends by its deadline.
        """
        loop = asyncio.get_running_loop()
        run = _Evaluation(call, loop.create_future(), CLIENT.get())
        run.timers.append(loop.call_later(self._limits.deadline, self._on_deadline, run))
        self._waiting.push(run.client, run)
        self._assign_idle()
        try:
            return await run.reply
        finally:
            if run.worker is None:
                self._leave(run)

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            # one that has just died is replaced once it is reaped
            if worker.usable:
                return worker
        return None

    def _assign(self, run: _Evaluation, worker: WorkerProcess) -> None:
        loop = asyncio.get_running_loop()
        run.worker = worker
        run.began = worker.processor_time
        run.answer_from = loop.time() + min(self._limits.penalty, self._limits.deadline)
        run.timers.append(loop.call_later(self._limits.slow_after, self._on_slow, run, worker))
        self._running[worker] = run
        worker.send(protocol.pack_call(run.call))

    def _leave(self, run: _Evaluation) -> None:
        """Take a call that never had a worker out of the queue."""
        run.disarm()
        self._waiting.discard(run.client, run)
        self._settled.set()

    def _on_frame(self, worker: WorkerProcess, kind: protocol.FrameKind, payload: bytes) -> None:
        run = self._running.get(worker)
        if run is None:
            return
        run.answer((kind, payload))
        self._drop(run, worker)
        self._release(worker)

    def _on_slow(self, run: _Evaluation, worker: WorkerProcess) -> None:
        rest = self._limits.slow_after - run.used
        if rest > 0:
            # others have the processor: a busy host makes no filter slow
            loop = asyncio.get_running_loop()
            run.timers.append(loop.call_later(max(rest, _TICK), self._on_slow, run, worker))
        elif self._shares.may_be_slow(run.client, self._running.values()):
            run.slow = True
            worker.be_nice()
            self._lane.add(worker)
            self._fill()
        else:
            self._give_up(run, worker, TooManySlowError(), "slow")

    def _on_deadline(self, run: _Evaluation) -> None:
        if run.worker is None:
            run.answer(StarvedError())
            self._leave(run)
            return
        # while slow runs take turns, each of them costs the others their time
        is_at_fault = run.used + run.worker.paused_time >= self._limits.processor
        failure = DeadlineError() if is_at_fault else StarvedError()
        self._give_up(run, run.worker, failure, "deadline")

    def _give_up(
        self, run: _Evaluation, worker: WorkerProcess, failure: Exception, cause: Cause
    ) -> None:
        """Replace the worker at once; the answer may have to wait."""
        run.failure = failure
        run.slow = True
        run.disarm()
        loop = asyncio.get_running_loop()
        if not isinstance(failure, StarvedError):
            self._shares.note_offence(run.client, loop.time())
        wait = max(run.answer_from - loop.time(), 0.0)
        run.timers.append(loop.call_later(wait, self._fail, run, worker))
        self._retire(worker, cause)

    def _fail(self, run: _Evaluation, worker: WorkerProcess) -> None:
        assert run.failure is not None
        run.answer(run.failure)
        self._drop(run, worker)

    def _drop(self, run: _Evaluation, worker: WorkerProcess) -> None:
        self._running.pop(worker, None)
        self._lane.discard(worker)
        run.disarm()
        self._assign_idle()
        self._settled.set()

    def _release(self, worker: WorkerProcess) -> None:
        """Hand a worker that has nothing to do to whose turn it is."""
        if worker.niced:
            self._retire(worker, "nice")
            return
        self._idle.append(worker)
        self._assign_idle()

    def _assign_idle(self) -> None:
        while self._waiting and (worker := self._take_idle()) is not None:
            run = self._next_run()
            # a caller may have been cancelled, and not yet have left the queue
            if run is not None and not run.reply.done():
                self._assign(run, worker)
            else:
                self._idle.append(worker)
            if run is None:
                return

    def _next_run(self) -> _Evaluation | None:
        now, runs = asyncio.get_running_loop().time(), self._running.values()
        found = self._waiting.pop(lambda client: self._shares.may_begin(client, runs, now))
        return found or self._waiting.pop(lambda client: self._shares.may_follow(client, runs, now))

    def _retire(self, worker: WorkerProcess, cause: Cause) -> None:
        self._on_replaced(cause)
        self._lane.discard(worker)
        worker.kill()
        self._fill()

    def _on_ended(self, worker: WorkerProcess) -> None:
        self._alive.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        run = self._running.get(worker)
        if run is not None and run.failure is None:
            self._give_up(run, worker, WorkerLostError(worker.ended.result()), "crashed")
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
        worker = await start_worker(self._load, self._limits.start)
        self._alive.add(worker)
        worker.ended.add_done_callback(lambda _: self._on_ended(worker))
        worker.receive = lambda kind, payload: self._on_frame(worker, kind, payload)
        self._release(worker)
