"""The loop: woken by changes, by the tick and by time, it plans and has the plan carried out."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import Engine, Event
from api.engine.retry import compute_delay
from api.informer.informer import Informer
from api.informer.merge import Observed
from api.v1.job import Status
from controller.executor import Executor, Outcome, Result
from controller.instrumentation import Observer, Silent
from controller.job_index import JobIndex
from controller.leader_lock import LeaderLock
from controller.ledger import Attempt, Attempts, Ledger
from controller.plan import Plan, Remove, Start
from controller.planner import plan
from controller.policy import (
    FIRST_DELAY,
    LONGEST_DELAY,
    Moment,
    Policy,
    for_engine,
)
from controller.takeover import settle_starts

_STANDBY_INTERVAL: Final = 0.2
_FAREWELL: Final = 2.0
_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What this process does at present."""

    SEEKING = "seeking"  # the engine has not answered yet
    STANDBY = "standby"  # another controller holds the lock
    ACTIVE = "active"


class Reconciler:
    """Keeps the jobs of one namespace as ``policy`` wants them; listens to its own informer.

    ``interval`` is the upkeep tick and ``patience`` the deadline of an engine call, in seconds.
    """

    def __init__(
        self,
        engine: Engine,
        namespace: str,
        policy: Policy,
        lock: LeaderLock,
        *,
        interval: float,
        patience: float,
        observer: Observer | None = None,
    ) -> None:
        self._engine = engine
        self.policy = policy
        self._lock = lock
        self._observer = observer or Silent()
        self.informer = Informer(
            engine,
            namespace,
            self,
            interval=interval,
            wants_finish=policy.keep_exited_for is not None,
            hear=self._hear,
        )
        self._executor = Executor(engine, patience=patience, before_look=self.informer.hold)
        self.index = JobIndex()
        self.ledger = Ledger()
        self.role = Role.SEEKING
        self._waits_for = ""
        self._wake = asyncio.Event()
        self._wake_in: float | None = None
        self._ended: dict[str, float] = {}
        self._freed: deque[float] = deque()
        self._acts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Converge until cancelled; no failure of the engine ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.informer.run())
                tasks.create_task(self._keep_converging())
        finally:
            await self._say_farewell()
            self._lock.release()

    def plan(self, *, explain: int = 0) -> Plan:
        """Return the plan of this moment."""
        self.ledger.unresponsive = self.informer.unresponsive
        return plan(self.index, self.policy, self.ledger, self.now(), explain=explain)

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(self._engine.now(), time.monotonic())

    # What the informer tells ------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if event.action == "die" and event.id in self.index.jobs:
            self._ended[event.id] = time.monotonic()

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Take in one job's change."""
        known = old or new
        assert known is not None
        container_id = known.id
        self._note_oddities(old, new)
        self.index.put(old, new)
        if new is None:
            self.ledger.forget(container_id)
            self._ended.pop(container_id, None)
        elif not new.is_pending:
            self.ledger.forget_start(container_id)
        self._note_freed(old, new)
        self._wake.set()

    def on_resync(self) -> None:
        """Look at everything: a tick has passed, or the engine was lost or found."""
        self._wake.set()

    def _note_freed(self, old: Observed | None, new: Observed | None) -> None:
        """Remember since when a slot is free; a short job may end within its start."""
        if old is None or not (old.is_active or old.id in self.ledger.starting):
            return
        if new is not None and (new.is_pending or new.is_active):
            return
        heard = self._ended.pop(old.id, time.monotonic())
        if self.role is Role.ACTIVE:
            self._freed.append(heard)

    def _note_oddities(self, old: Observed | None, new: Observed | None) -> None:
        if old is None or not old.is_pending or self.role is not Role.ACTIVE:
            return
        if new is None:
            self._observer.on_lost()
            _log.warning("job lost: it was removed before it ran", job=old.name, id=old.id)
        elif new.started and not self.ledger.has_tried(old.id):
            self._observer.on_foreign_start()
            _log.warning("job started by someone else", job=old.name, id=old.id)

    # The loop ---------------------------------------------------------------------------------

    async def _keep_converging(self) -> None:
        while True:
            # not wait_for: before Python 3.12 it loses a cancellation that meets what it waits for
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wake_in):
                    await self._wake.wait()
            self._wake.clear()
            self._wake_in = None
            try:
                if self.informer.engine_status.is_up and await self._lead():
                    self._converge()
            except Exception:  # noqa: BLE001 - see below
                # A fault of ours must not stop the jobs of everybody; the next tick tries again.
                _log.exception("a pass failed")

    def _converge(self) -> None:
        decided = self.plan()
        self._wake_in = decided.wake_in
        if decided.starts or decided.removals:
            _log.debug("plan", plan=str(decided).splitlines())
        for start in decided.starts:
            self.ledger.begin_start(start.id, time.monotonic())
            if self._freed:
                self._observer.on_handover(time.monotonic() - self._freed.popleft())
            self._launch(self._start(start))
        if len(decided.starts) == 0:
            # What was freed and not taken at once waits for a job, not for this process.
            self._freed.clear()
        for removal in decided.removals:
            self.ledger.begin_removal(removal.id)
            self._launch(self._remove(removal))
        self._observer.on_pass()

    async def _lead(self) -> bool:
        """Tell whether this is the one controller of its namespace and engine; try to be it."""
        info = self.informer.engine_status.info
        assert info is not None
        held = self._lock.holds(info)
        if not held and self._lock.engine_id == info.id:
            _log.warning("the file of the lock was deleted or replaced: it is asked for anew")
        try:
            if not held and not self._lock.acquire(info):
                return self._stand_by("another controller serves this namespace")
        except OSError as error:
            return self._stand_by(f"the lock cannot be made: {error}")
        if not held or self.role is not Role.ACTIVE:
            self.role = Role.SEEKING
            self.policy = for_engine(self.policy, info.cpus)
            pace = self.policy.parallel_starts
            await settle_starts(self._executor, self.index, pace, self._take_over)
            if not self.informer.engine_status.is_up:
                return False
            _log.info("active", engine=info.id, version=info.version)
            self.role = Role.ACTIVE
        return True

    def _stand_by(self, reason: str) -> bool:
        self._wake_in = _STANDBY_INTERVAL
        if (self.role, self._waits_for) != (Role.STANDBY, reason):
            _log.warning(f"standing by: {reason}")
        self.role, self._waits_for = Role.STANDBY, reason
        return False

    def _take_over(self, container_id: str, seen: Outcome) -> None:
        if seen.result in {Result.SILENT, Result.OUTAGE}:
            self.ledger.uncertain_starts.add(container_id)
        self._take(container_id, seen)

    # Acts -------------------------------------------------------------------------------------

    def _launch(self, act: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(act)
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)

    async def _start(self, act: Start) -> None:
        began = time.monotonic()
        _log.info("starting", job=act.name, id=act.id, cause=act.cause, attempt=act.attempt)
        outcome = Outcome(Result.REFUSED, error="given up by a fault of the controller, or its end")
        try:
            outcome = await self._executor.start(act)
        finally:
            # Of one that has ended already, a start yet to be heard of may be the next.
            runs = outcome.container is not None and outcome.container.status is Status.RUNNING
            done = outcome.result is Result.DONE
            self._take(act.id, outcome, known="start" if done and runs else None)
            self.ledger.end_start(act.id)
            if outcome.result is Result.OUTAGE:
                self.ledger.uncertain_starts.add(act.id)
            if outcome.result in {Result.REFUSED, Result.TRIED, Result.SILENT, Result.GONE}:
                # One that is not made yet is not failing: it is looked for again and again.
                number = 1 if outcome.result is Result.GONE else act.attempt
                self._charge(self.ledger.starts, act.id, number, outcome.error)
                self.index.set_aside(act.id)
            self._observer.on_start(outcome.result, time.monotonic() - began)
            self._report("start", act, outcome)
            self._wake.set()

    async def _remove(self, act: Remove) -> None:
        began = time.monotonic()
        _log.info("removing", job=act.name, id=act.id, cause=act.cause)
        outcome = Outcome(Result.REFUSED, error="given up by a fault of the controller, or its end")
        try:
            outcome = await self._executor.remove(act)
        finally:
            self._take(act.id, outcome)
            self.ledger.end_removal(act.id)
            if outcome.result in {Result.REFUSED, Result.SILENT}:
                count = self.ledger.removals.count(act.id) + 1
                self._charge(self.ledger.removals, act.id, count, outcome.error)
            self._observer.on_removal(outcome.result, time.monotonic() - began)
            self._report("removal", act, outcome)
            self._wake.set()

    def _take(self, container_id: str, outcome: Outcome, *, known: str | None = None) -> None:
        """Hand the informer what an act has read, or done: then ``known`` is its event."""
        match outcome.result:
            case Result.GONE if not self._may_be_unmade(container_id):
                self.informer.take(container_id, None)
            case Result.SILENT:
                self.informer.suspect(container_id)
            case Result.OUTAGE:
                self.informer.lose(EngineError(outcome.error))
            case Result.DONE if outcome.container is None:
                # removed
                self.informer.take(container_id, None)
            case _ if outcome.container is not None:
                self.informer.take(container_id, outcome.container)
        self.informer.release(container_id, known=known)

    def _may_be_unmade(self, container_id: str) -> bool:
        """Tell whether it was only listed so far: the engine lists what it is still creating.

        A copy of an image's files into a volume can take long, and all other calls answer 404
        until it is over. If it is gone, an event tells, or the next full list.
        """
        job = self.index.jobs.get(container_id)
        return job is not None and job.is_pending and not job.detailed

    def _charge(self, attempts: Attempts, container_id: str, number: int, message: str) -> None:
        if container_id in self.index.jobs:
            delay = compute_delay(number, initial=FIRST_DELAY, maximum=LONGEST_DELAY)
            attempts.put(Attempt(container_id, number, time.monotonic() + delay, message))

    def _report(self, word: str, act: Start | Remove, outcome: Outcome) -> None:
        gone = isinstance(act, Remove) and outcome.result is Result.GONE
        if gone or outcome.result is Result.DONE:
            _log.debug(f"{word} done", job=act.name, id=act.id)
            return
        failed = self.ledger.starts.get(act.id) or self.ledger.removals.get(act.id)
        wait = None if failed is None else round(failed.due - time.monotonic(), 1)
        _log.warning(
            f"{word} not done",
            job=act.name,
            id=act.id,
            result=outcome.result.value,
            error=outcome.error,
            next_attempt_in=wait,
        )

    async def _say_farewell(self) -> None:
        """Let calls in flight end, so that the successor finds nothing in between."""
        if self._acts:
            await asyncio.wait(self._acts, timeout=_FAREWELL)
        for task in self._acts:
            task.cancel()
        await asyncio.gather(*self._acts, return_exceptions=True)
