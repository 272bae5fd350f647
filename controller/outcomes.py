"""Notes what became of each action: for the informer, the ledger, the metrics and the log."""

import time
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.retry import compute_delay
from api.informer.informer import Informer
from api.v1.job import Job
from controller.endings import count_attempt
from controller.instrumentation import CancelOutcome, MetricsHooks
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.outcome import ActionOutcome, Result, shorten
from controller.plan import Action, ActionKind, Remove, Unmark
from controller.policy import FIRST_DELAY, LONGEST_DELAY, find_last_start

_CHARGED: Final = frozenset(
    {
        Result.REFUSED,
        Result.TRIED,
        Result.SILENT,
        Result.GONE,
        Result.DIED,
        Result.UNKILLABLE,
    }
)
_TELLING: Final = frozenset({Result.REFUSED, Result.TRIED, Result.DONE})  # of jobs like it
_log = structlog.get_logger(__name__)


class Outcomes:
    """Writes outcomes into ``ledger`` and ``index``, and hands ``informer`` what was read."""

    def __init__(
        self, informer: Informer, index: JobIndex, ledger: Ledger, hooks: MetricsHooks
    ) -> None:
        self._informer = informer
        self._index = index
        self._ledger = ledger
        self._hooks = hooks

    def note(self, action: Action, outcome: ActionOutcome, seconds: float) -> None:
        """Note the outcome of an action that took ``seconds``."""
        kind = action.kind
        self._tell_informer(action, outcome)
        self._ledger.end(kind, action.uid)
        if kind is ActionKind.START and outcome.result in {Result.OUTAGE, Result.DIED}:
            self._ledger.uncertain_starts.add(action.uid)
        if outcome.result in _CHARGED:
            self._charge(action, outcome)
        if kind is ActionKind.START and outcome.job and outcome.result in _TELLING:
            has_failed = outcome.result is not Result.DONE
            if has_failed or not outcome.job.is_to_run:
                self._note_start(outcome.job, has_failed=has_failed)
        if kind is ActionKind.START and self._is_cancelled(action.uid):
            self._hooks.on_cancel(CancelOutcome.NOT_STARTED)
        self._hooks.on_action(kind, outcome.result, seconds)
        self._report(action, outcome)

    def note_scheduled(self, job: Job, now: int) -> None:
        """Note what became of a job that the engine was told to start: a node has, or none will.

        Only then its start has failed or not. One that was called off by ``now`` (ns) is not
        charged.
        """
        last = find_last_start(job)
        if job.started:
            self._note_start(job, has_failed=False)
        elif self._index.is_waiting(job) and (last is None or now < last):
            error = shorten(job.error or "no node has started it")
            self._note_start(job, has_failed=True)
            number = count_attempt(self._ledger.attempts[ActionKind.START].get(job.uid))
            self._put_attempt(ActionKind.START, job.uid, number, error)
            self._hooks.on_rejection()
            self._warn(ActionKind.START, job.id, job.uid, "rejected", error)

    def _note_start(self, job: Job, *, has_failed: bool) -> None:
        self._ledger.failures.note(job.likeness, has_failed=has_failed)
        if has_failed:
            # whether those that wait are like it
            self._informer.fill_in()

    def note_predecessor(self, uid: str, seen: ActionOutcome) -> None:
        """Note what was seen of a job that a predecessor may have been starting."""
        if seen.result in {Result.SILENT, Result.OUTAGE}:
            self._ledger.uncertain_starts.add(uid)
        self._hand_over(uid, seen)

    def end_creation(self, uid: str) -> bool:
        """Have a job that could not be started, because it was being created, wait no longer."""
        attempt = self._ledger.attempts[ActionKind.START].get(uid)
        if attempt is None or not attempt.is_unmade:
            return False
        self._ledger.forget_start(uid)
        self._index.put_back(uid)
        return True

    def call_off(self, uid: str) -> None:
        """Have a job that is not to be started any more be as one that was never tried."""
        self._ledger.call_off(uid)
        self._index.put_back(uid)

    def _tell_informer(self, action: Action, outcome: ActionOutcome) -> None:
        if outcome.mark is not None:
            self._informer.marks.note(outcome.mark)
        elif isinstance(action, Remove) and action.mark and outcome.result is Result.CHANGED:
            # someone has withdrawn the cancel, and no event has told of it
            self._informer.store.marks.note_gone(action.mark)
        match action.kind:
            case ActionKind.START | ActionKind.REMOVE:
                self._hand_over(action.uid, outcome)
            case ActionKind.STOP:
                self._note_stop(action.uid, outcome)
            case ActionKind.UNMARK:
                self._note_unmarking(action, outcome)

    def _hand_over(self, uid: str, outcome: ActionOutcome) -> None:
        """Hand the informer what an action on a job that it held has read or done."""
        match outcome.result:
            case Result.GONE if not self._may_be_in_creation(uid):
                self._informer.fold(uid, None)
            case Result.SILENT:
                self._informer.suspect(uid)
            case Result.OUTAGE | Result.DIED if outcome.job is None:
                self._informer.mark_down(EngineError(outcome.error))
            case Result.DONE if outcome.job is None:
                # removed
                self._informer.fold(uid, None)
            case _ if outcome.job is not None:
                self._informer.fold(uid, outcome.job)
        self._informer.release(uid, known=outcome.event)

    def _note_stop(self, uid: str, outcome: ActionOutcome) -> None:
        """Have a job read that was not held: events have told of it meanwhile, or should have."""
        match outcome.result:
            case Result.SILENT:
                self._informer.suspect(uid)
            case Result.OUTAGE:
                self._informer.mark_down(EngineError(outcome.error))
            case _ if uid in self._index.active:
                self._informer.reread(uid)

    def _note_unmarking(self, action: Action, outcome: ActionOutcome) -> None:
        assert isinstance(action, Unmark)
        match outcome.result:
            case Result.DONE:
                self._informer.store.marks.note_gone(action.uid)
                self._ledger.forget(action.uid)
                self._index.drop_mark(action.uid)
            case Result.OUTAGE:
                self._informer.mark_down(EngineError(outcome.error))
            case Result.CHANGED:
                # the store does not know a job that is there
                self._informer.reread(action.job)
                self._index.drop_mark(action.uid)

    def _is_cancelled(self, uid: str) -> bool:
        """Tell whether a job that waits still was cancelled, while its start was under way."""
        job = self._index.jobs.get(uid)
        return job is not None and job.is_pending and job.mark is not None

    def _may_be_in_creation(self, uid: str) -> bool:
        """Tell whether a job was only listed so far: the engine lists what it is still creating.

        A copy of an image's files into a volume can take long, and all other calls answer 404
        until it is over. If the container is gone, an event tells, or the next full list.
        """
        job = self._index.jobs.get(uid)
        return job is not None and job.is_pending and not job.made

    def _charge(self, action: Action, outcome: ActionOutcome) -> None:
        """Have a job wait before the next action of this kind."""
        job = self._index.jobs.get(action.uid)
        if job is None and action.uid not in self._index.strays:
            return
        if action.kind is ActionKind.STOP and action.uid not in self._index.active:
            return
        if action.kind is ActionKind.START and job and self._index.is_called_off(job):
            return
        # A container in creation fails at nothing: it is looked for at an even pace.
        is_unmade = action.kind is ActionKind.START and outcome.result is Result.GONE
        number = 1 if is_unmade else action.attempt
        engine_died = outcome.result is Result.DIED
        self._put_attempt(
            action.kind,
            action.uid,
            number,
            outcome.error,
            engine_died=engine_died,
            is_unmade=is_unmade,
        )

    def _put_attempt(
        self,
        kind: ActionKind,
        uid: str,
        number: int,
        error: str,
        *,
        engine_died: bool = False,
        is_unmade: bool = False,
    ) -> None:
        job = self._index.jobs.get(uid)
        due = time.monotonic() + compute_delay(number, initial=FIRST_DELAY, maximum=LONGEST_DELAY)
        queue = "" if job is None else job.spec.wishes.queue
        attempt = Attempt(
            uid, number, due, error, engine_died=engine_died, is_unmade=is_unmade, queue=queue
        )
        self._ledger.charge(kind, attempt)
        if kind is ActionKind.START:
            self._index.set_aside(uid)

    def _report(self, action: Action, outcome: ActionOutcome) -> None:
        kind, result = action.kind, outcome.result
        # Only a start misses a container that is gone.
        has_vanished = result is Result.GONE and kind is not ActionKind.START
        if result is Result.DONE or has_vanished:
            _log.debug(kind.done, job=action.id, id=action.uid)
            return
        self._warn(kind, action.id, action.uid, result.value, outcome.error)

    def _warn(self, kind: ActionKind, job_id: str, uid: str, result: str, error: str) -> None:
        failed = self._ledger.attempts[kind].get(uid)
        wait = None if failed is None else round(failed.due - time.monotonic(), 1)
        _log.warning(
            kind.not_done, job=job_id, id=uid, result=result, error=error, next_attempt_in=wait
        )
