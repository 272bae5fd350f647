"""The loop: woken by changes, by the tick and by time, it plans and has the plan carried out."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from api.engine.interface import Engine, EngineInfo, Event, EventKind
from api.informer.informer import Informer
from api.v1.condition import Cause, is_steered
from api.v1.job import Job, Status
from api.v1.queue import Queue
from controller.executor import Executor
from controller.handover import HandoverStopwatch
from controller.instrumentation import MetricsHooks
from controller.job_index import JobIndex
from controller.leadership import STANDBY_INTERVAL, Lead, Leadership, Role
from controller.ledger import Ledger
from controller.oddities import report_ending, report_oddity
from controller.outcome import ActionOutcome, Result
from controller.outcomes import Outcomes
from controller.plan import Action, ActionKind, Plan, Start
from controller.planner import may_act, plan
from controller.policy import Moment, Policy, for_engine
from controller.scene import count_used, set_scene
from controller.takeover import await_starts

_FAREWELL: Final = 2.0
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
        lead: Lead,
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
        self._leadership = Leadership(lead, self._take_over)
        self._executor = Executor(
            engine,
            patience=patience,
            before_inspect=self.informer.hold,
            may_start=self._leadership.may_act,
        )
        self._handover = HandoverStopwatch()
        self.index = JobIndex(policy)
        self.ledger = Ledger()
        self._outcomes = Outcomes(self.informer, self.index, self.ledger, self._hooks)
        self._wake = asyncio.Event()
        self._strange_queues: set[str] = set()
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
                tasks.create_task(self._leadership.keep())
                tasks.create_task(self._keep_converging())
        finally:
            await self._finish_actions()
            await self._leadership.end()

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

    def use_queues(self, queues: Mapping[str, Queue]) -> None:
        """Have other queues from now on."""
        self.policy = replace(self.policy, queues=queues)
        self._strange_queues.clear()
        for name, queue in self.index.queues.items():
            if queue.pending:
                self._warn_of_queue(name)
        self._wake.set()

    def _warn_of_queue(self, name: str) -> None:
        """Say once of a queue that it is not known: its jobs run all the same."""
        if not self.policy.knows_queue(name) and name not in self._strange_queues:
            self._strange_queues.add(name)
            _log.warning("jobs name a queue that --queues does not: it has no cap", queue=name)

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(self._engine.now(), time.monotonic())

    # What the informer tells ------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if event.kind is EventKind.ENDED and event.uid in self.index.jobs:
            self._handover.note_end(event.uid, time.monotonic())
        if event.kind is EventKind.CREATED and self._outcomes.end_creation(event.uid):
            self._wake.set()

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Follow one job's change."""
        job = old or new
        assert job is not None
        is_active, now = self.role is Role.ACTIVE, self.now()
        if is_active:
            report_oddity(old, new, self.ledger, self._hooks, now.engine)
            report_ending(old, new, self.ledger, self._hooks)
        self.index.put(old, new, now)
        if new is None:
            self.ledger.forget(job.uid)
            self._handover.forget(job.uid)
        else:
            self._forget_failures(new)
        if old is None and new is not None and new.is_to_run:
            self._warn_of_queue(new.spec.wishes.queue)
        if new is not None and new.is_pending and new.made:
            self._outcomes.end_creation(job.uid)
        if old is not None and old.status is Status.STARTING:
            self._follow_start(new, now)
        if self._frees_slot(old, new):
            self._handover.free(job.uid, time.monotonic(), counts=is_active)
        if not self._leaves_all_as_it_is(old, new):
            self._wake.set()

    def _forget_failures(self, job: Job) -> None:
        """Drop what has failed on a job and is not to be tried again."""
        if self.index.is_called_off(job):
            self._outcomes.call_off(job.uid)
        elif not job.is_to_run:
            self.ledger.forget_start(job.uid)
            if not job.is_active:
                self.ledger.forget_stop(job.uid)

    def _leaves_all_as_it_is(self, old: Job | None, new: Job | None) -> bool:
        """Tell whether a change gives no reason for a plan: nothing is to do because of it.

        So it is with a job that comes while no slot is free, takes a slot, or is gone once it was
        over; a job that is steered may be to stop, or its mark to remove.
        """
        if (old is not None and is_steered(old)) or (new is not None and is_steered(new)):
            return False
        if new is None:
            return old is not None and old.is_finished
        if old is None:
            return new.is_pending and self._is_full()
        return old.is_pending and new.is_active

    def _is_full(self) -> bool:
        """Tell whether no slot is free."""
        limit = self.policy.max_concurrent
        return limit is not None and count_used(self.index, self.ledger) >= limit

    def _follow_start(self, new: Job | None, now: Moment) -> None:
        """Follow a job that the engine was told to start, and that a node has started, or none."""
        if new is None or new.status is Status.STARTING:
            return
        self.ledger.forget_stop(new.uid)
        if self.role is Role.ACTIVE:
            self._outcomes.note_scheduled(new, now.engine)

    def on_resync(self) -> None:
        """Plan anew: a tick has passed, or the engine was lost or found."""
        self.index.put_marks(self.informer.store.marks.known.values())
        self._wake.set()

    def _frees_slot(self, old: Job | None, new: Job | None) -> bool:
        """Tell whether a job has left its slot; a short one may end within its start."""
        starting = self.ledger.in_flight[ActionKind.START]
        if old is None or not (old.is_active or old.uid in starting):
            return False
        return new is None or not (new.is_pending or new.is_active)

    # The loop ---------------------------------------------------------------------------------

    async def _keep_converging(self) -> None:
        timer: asyncio.TimerHandle | None = None
        while True:
            await self._wake.wait()
            self._wake.clear()
            if timer is not None:
                timer.cancel()
            timer = wake_in = None
            try:
                wake_in = await self._pass()
            except Exception:  # noqa: BLE001 - see below
                # A fault of ours must not stop the jobs of everybody; the next tick tries again.
                _log.exception("a pass failed")
            if wake_in is not None:
                timer = asyncio.get_running_loop().call_later(wake_in, self._wake.set)

    async def _pass(self) -> float | None:
        """Converge if this process leads; return in how many seconds to do so again anyway."""
        engine = self.informer.engine_status
        if not engine.is_up:
            return None
        assert engine.info is not None
        if not await self._leadership.lead(engine.info):
            return STANDBY_INTERVAL
        return self._converge()

    def _converge(self) -> float | None:
        for job in self.index.advance(self.now(), self.ledger.in_flight[ActionKind.START]):
            _log.info("job was not started in time", job=job.id, id=job.uid)
            self._hooks.on_deadline(Cause.START_BY)
            self._outcomes.call_off(job.uid)
        decided = self.plan()
        if decided.actions and _log.is_enabled_for(logging.DEBUG):
            _log.debug("plan", plan=str(decided).splitlines())
        now = time.monotonic()
        starts = sum(action.kind is ActionKind.START for action in decided.actions)
        for seconds in self._handover.fill(starts, now):
            self._hooks.on_handover(seconds)
        for action in decided.actions:
            self.ledger.begin(action.kind, action.uid, now, is_retry=action.is_retry)
            if isinstance(action, Start):
                self.ledger.turns.note(action.queue, self.policy.get_queue(action.queue).weight)
            task = asyncio.create_task(self._run(action), name=action.kind.verb)
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._hooks.on_pass()
        return decided.wake_in

    async def _take_over(self, info: EngineInfo) -> bool:
        """Wait for what a predecessor has begun; false if the engine was lost meanwhile."""
        self.policy = for_engine(self.policy, info.cpus)
        pace = self.policy.parallel_starts
        scene = set_scene(self.index, self.policy, self.ledger, self.now(), ())
        await await_starts(self._executor, scene, pace, self._outcomes.note_predecessor)
        return self.informer.engine_status.is_up

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
            self._outcomes.note(action, outcome, time.monotonic() - began)
            if outcome.result is not Result.DONE or self._may_act():
                self._wake.set()

    def _may_act(self) -> bool:
        return may_act(self.index, self.policy, self.ledger, self.now())

    async def _finish_actions(self) -> None:
        """Let calls in flight end, so that a successor finds nothing half-done.

        Stops are left: the engine goes on with them.
        """
        running = {task for task in self._running if task.get_name() != ActionKind.STOP.verb}
        if running:
            await asyncio.wait(running, timeout=_FAREWELL)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
