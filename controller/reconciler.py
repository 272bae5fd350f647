"""The loop: woken by changes, by the tick and by time, it plans and has the plan carried out."""

import asyncio
import logging
import time
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import Engine, EngineInfo, Event, EventKind
from api.engine.retry import compute_delay
from api.engine.wait import wait_until_set
from api.informer.informer import Informer
from api.v1.job import Job
from controller.executor import ActionOutcome, Executor, Result
from controller.handover import HandoverStopwatch
from controller.instrumentation import MetricsHooks
from controller.job_index import JobIndex
from controller.leader_lock import LeaderLock
from controller.leadership import STANDBY_INTERVAL, Leadership, Role
from controller.ledger import Attempt, Ledger
from controller.oddities import report_oddity
from controller.plan import Action, ActionKind, Plan
from controller.planner import plan
from controller.policy import FIRST_DELAY, LONGEST_DELAY, Moment, Policy, for_engine
from controller.takeover import await_starts

_FAREWELL: Final = 2.0
_CHARGED: Final = frozenset({Result.REFUSED, Result.TRIED, Result.SILENT, Result.GONE, Result.DIED})
_TELLING: Final = frozenset({Result.REFUSED, Result.TRIED, Result.DONE})  # of jobs like it
_GIVEN_UP: Final = ActionOutcome(
    Result.REFUSED, error="given up by a fault of the controller, or its end"
)
_log = structlog.get_logger(__name__)


class Reconciler:
    """Keeps the jobs of one namespace as ``policy`` wants them; listens to its own informer.

    ``interval`` is the upkeep tick and ``patience`` the deadline of an engine call, in seconds.
    """

    def __init__(
        self,
        engine: Engine,
        policy: Policy,
        lock: LeaderLock,
        *,
        interval: float,
        patience: float,
        hooks: MetricsHooks | None = None,
    ) -> None:
        self._engine = engine
        self.policy = policy
        self._hooks = hooks or MetricsHooks()
        self.informer = Informer(
            engine,
            self,
            interval=interval,
            wants_finish=policy.keep_exited_for is not None,
            on_event=self._on_event,
        )
        self._executor = Executor(engine, patience=patience, before_inspect=self.informer.hold)
        self._leadership = Leadership(lock, self._take_over)
        self._handover = HandoverStopwatch()
        self.index = JobIndex(policy)
        self.ledger = Ledger()
        self._wake = asyncio.Event()
        self._wake_in: float | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def role(self) -> Role:
        """What this process does at present."""
        return self._leadership.role

    async def run(self) -> None:
        """Converge until cancelled; no failure of the engine ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.informer.run())
                tasks.create_task(self._keep_converging())
        finally:
            await self._finish_actions()
            self._leadership.end()

    def plan(self, *, explain: int = 0) -> Plan:
        """Return the plan of this moment; it is not carried out."""
        return plan(
            self.index,
            self.policy,
            self.ledger,
            self.now(),
            unresponsive=self.informer.unresponsive,
            explain=explain,
        )

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(self._engine.now(), time.monotonic())

    # What the informer tells ------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if event.kind is EventKind.ENDED and event.uid in self.index.jobs:
            self._handover.note_end(event.uid, time.monotonic())
        if event.kind is EventKind.CREATED:
            self._end_creation(event.uid)

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Follow one job's change."""
        job = old or new
        assert job is not None
        is_active = self.role is Role.ACTIVE
        if is_active:
            report_oddity(old, new, self.ledger, self._hooks)
        self.index.put(old, new, self.now())
        if new is None:
            self.ledger.forget(job.uid)
            self._handover.forget(job.uid)
        elif not new.is_pending:
            self.ledger.forget_start(job.uid)
        elif new.made:
            self._end_creation(job.uid)
        if self._frees_slot(old, new):
            self._handover.free(job.uid, time.monotonic(), counts=is_active)
        self._wake.set()

    def on_resync(self) -> None:
        """Plan anew: a tick has passed, or the engine was lost or found."""
        self._wake.set()

    def _frees_slot(self, old: Job | None, new: Job | None) -> bool:
        """Tell whether a job has left its slot; a short one may end within its start."""
        starting = self.ledger.in_flight[ActionKind.START]
        if old is None or not (old.is_active or old.uid in starting):
            return False
        return new is None or not (new.is_pending or new.is_active)

    # The loop ---------------------------------------------------------------------------------

    async def _keep_converging(self) -> None:
        while True:
            await wait_until_set(self._wake, self._wake_in)
            self._wake.clear()
            self._wake_in = None
            try:
                await self._pass()
            except Exception:  # noqa: BLE001 - see below
                # A fault of ours must not stop the jobs of everybody; the next tick tries again.
                _log.exception("a pass failed")

    async def _pass(self) -> None:
        engine = self.informer.engine_status
        if not engine.is_up:
            return
        assert engine.info is not None
        if await self._leadership.lead(engine.info):
            self._converge()
        elif self.role is Role.STANDBY:
            self._wake_in = STANDBY_INTERVAL

    def _converge(self) -> None:
        decided = self.plan()
        self._wake_in = decided.wake_in
        if decided.actions and _log.is_enabled_for(logging.DEBUG):
            _log.debug("plan", plan=str(decided).splitlines())
        now = time.monotonic()
        starts = sum(action.kind is ActionKind.START for action in decided.actions)
        for seconds in self._handover.fill(starts, now):
            self._hooks.on_handover(seconds)
        for action in decided.actions:
            self.ledger.begin(action.kind, action.uid, now, is_retry=action.is_retry)
            task = asyncio.create_task(self._run(action))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._hooks.on_pass()

    async def _take_over(self, info: EngineInfo) -> bool:
        """Wait for what a predecessor has begun; false if the engine was lost meanwhile."""
        self.policy = for_engine(self.policy, info.cpus)
        pace = self.policy.parallel_starts
        await await_starts(self._executor, self.index, pace, self._note_predecessor)
        return self.informer.engine_status.is_up

    def _note_predecessor(self, uid: str, seen: ActionOutcome) -> None:
        if seen.result in {Result.SILENT, Result.OUTAGE}:
            self.ledger.uncertain_starts.add(uid)
        self._tell_informer(uid, seen)

    # Actions ----------------------------------------------------------------------------------

    async def _run(self, action: Action) -> None:
        """Carry out one action and note its outcome, even if it is cut off."""
        kind, began = action.kind, time.monotonic()
        _log.info(
            kind.begins, job=action.id, id=action.uid, cause=action.cause, attempt=action.attempt
        )
        outcome = _GIVEN_UP
        try:
            outcome = await self._executor.execute(action)
        finally:
            self._tell_informer(action.uid, outcome)
            self.ledger.end(kind, action.uid)
            if kind is ActionKind.START and outcome.result in {Result.OUTAGE, Result.DIED}:
                self.ledger.uncertain_starts.add(action.uid)
            if outcome.result in _CHARGED:
                self._charge(action, outcome)
            if kind is ActionKind.START and outcome.job and outcome.result in _TELLING:
                has_failed = outcome.result is not Result.DONE
                self.ledger.failures.note(outcome.job.likeness, has_failed=has_failed)
                if has_failed:
                    # whether those that wait are like it
                    self.informer.fill_in()
            self._hooks.on_action(kind, outcome.result, time.monotonic() - began)
            self._report(action, outcome)
            self._wake.set()

    def _tell_informer(self, uid: str, outcome: ActionOutcome) -> None:
        """Hand the informer what an action has read or done."""
        match outcome.result:
            case Result.GONE if not self._may_be_in_creation(uid):
                self.informer.fold(uid, None)
            case Result.SILENT:
                self.informer.suspect(uid)
            case Result.OUTAGE | Result.DIED if outcome.job is None:
                self.informer.mark_down(EngineError(outcome.error))
            case Result.DONE if outcome.job is None:
                # removed
                self.informer.fold(uid, None)
            case _ if outcome.job is not None:
                self.informer.fold(uid, outcome.job)
        self.informer.release(uid, known=outcome.event)

    def _may_be_in_creation(self, uid: str) -> bool:
        """Tell whether a job was only listed so far: the engine lists what it is still creating.

        A copy of an image's files into a volume can take long, and all other calls answer 404
        until it is over. If the container is gone, an event tells, or the next full list.
        """
        job = self.index.jobs.get(uid)
        return job is not None and job.is_pending and not job.made

    def _end_creation(self, uid: str) -> None:
        """Have a job that could not be started, because it was being created, wait no longer."""
        attempt = self.ledger.attempts[ActionKind.START].get(uid)
        if attempt is not None and attempt.is_unmade:
            self.ledger.forget_start(uid)
            self.index.put_back(uid)
            self._wake.set()

    def _charge(self, action: Action, outcome: ActionOutcome) -> None:
        """Have a job wait before the next action of this kind."""
        if action.uid not in self.index.jobs:
            return
        # A container in creation fails at nothing: it is looked for at an even pace.
        is_unmade = action.kind is ActionKind.START and outcome.result is Result.GONE
        number = 1 if is_unmade else action.attempt
        due = time.monotonic() + compute_delay(number, initial=FIRST_DELAY, maximum=LONGEST_DELAY)
        died = outcome.result is Result.DIED
        attempt = Attempt(
            action.uid, number, due, outcome.error, engine_died=died, is_unmade=is_unmade
        )
        self.ledger.charge(action.kind, attempt)
        self.index.set_aside(action.uid)

    def _report(self, action: Action, outcome: ActionOutcome) -> None:
        kind, result = action.kind, outcome.result
        # Only a start misses a container that is gone.
        has_vanished = result is Result.GONE and kind is not ActionKind.START
        if result is Result.DONE or has_vanished:
            _log.debug(kind.done, job=action.id, id=action.uid)
            return
        failed = self.ledger.attempts[kind].get(action.uid)
        wait = None if failed is None else round(failed.due - time.monotonic(), 1)
        _log.warning(
            kind.not_done,
            job=action.id,
            id=action.uid,
            result=result.value,
            error=outcome.error,
            next_attempt_in=wait,
        )

    async def _finish_actions(self) -> None:
        """Let calls in flight end, so that a successor finds nothing half-done."""
        if self._running:
            await asyncio.wait(self._running, timeout=_FAREWELL)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
