"""Carries out one action of a plan on the engine and reports its result; it decides nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from api.engine.errors import (
    AMBIGUOUS,
    OUTAGES,
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OutdatedError,
)
from api.engine.interface import Engine, EventKind
from api.v1.condition import KILL_SLACK, Cause
from api.v1.job import FINISHED, Job, Status
from api.v1.times import SECOND
from controller.looks import Looks
from controller.outcome import ActionOutcome, Result, shorten
from controller.plan import Action, Remove, Start, Stop, Unmark
from controller.policy import find_grace, find_last_run, find_last_start, is_same_end


class Executor:
    """Acts on ``engine`` by full container id, and looks first where a look can change the act.

    A start that the engine confirms needs no further inspect; any other answer does. Beside the
    inspect before a start it looks for the job's mark, which an event may not have told of. That
    look begins before the start is sent and the start waits for its answer: a cancel that was
    answered before the look began is seen, and keeps the job from being started. One that was
    answered later came while the start was under way: the job is active then, and is stopped.
    ``before_inspect`` is called with the id whenever an inspect is about to be sent. No start is
    sent unless ``may_start``: the lead may have passed to another while it was decided on.
    ``patience`` is the deadline of a call in seconds. A start may take half of it and, if there
    was no answer, the inspect that follows the other half: a start of unknown result holds its
    slot no longer than one call may take.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        patience: float,
        before_inspect: Callable[[str], None] | None = None,
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._before_inspect = before_inspect
        self._may_start = may_start
        self._half = patience / 2
        self._looks = Looks(engine, patience=self._half)

    async def execute(self, action: Action) -> ActionOutcome:
        """Carry out one action. No failure of the engine raises."""
        match action:
            case Start():
                return await self._start(action)
            case Stop():
                return await self._stop(action)
            case Remove():
                return await self._remove(action)
            case Unmark():
                return await self._unmark(action)
        assert_never(action)

    async def inspect(self, uid: str) -> ActionOutcome:
        """Inspect a container; the outcome carries it, or says why it cannot."""
        if self._before_inspect is not None:
            self._before_inspect(uid)
        return await self._looks.look(uid)

    async def _start(self, start: Start) -> ActionOutcome:
        """Start a container that never ran; any other would run again."""
        seen, marked = await self._inspect_both(start.uid)
        if seen.job is None:
            return seen
        if marked.result is not Result.DONE:
            return marked
        is_pending = seen.job.is_pending and seen.job.id == start.id
        is_off = marked.mark is not None or self._is_too_late(seen.job) or not self._may_start()
        if not is_pending or is_off:
            return ActionOutcome(Result.CHANGED, seen.job, mark=marked.mark)
        if seen.job.error and start.attempt == 1 and not seen.job.lost:
            return ActionOutcome(Result.TRIED, seen.job, shorten(seen.job.error))
        try:
            async with asyncio.timeout(self._half):
                status = await self._engine.start(start.uid)
        except (*AMBIGUOUS, TimeoutError) as error:
            # It may be running, now or soon: only an inspect tells, for it waits for the start.
            outcome = await self._read_start(start, str(error) or "no answer within the deadline")
            return _blame(outcome, was_cut=isinstance(error, EngineInterruptedError))
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except OutdatedError as error:
            # whoever changed it meanwhile: it is planned anew, by what it is now
            outcome = await self._read_start(start, str(error))
            is_refused = outcome.result is Result.REFUSED
            return replace(outcome, result=Result.CHANGED) if is_refused else outcome
        except EngineError as error:
            return await self._read_start(start, str(error))
        has_started = status is not Status.STARTING
        started = replace(
            seen.job,
            status=status,
            started=has_started,
            # one engine answers once it has written down that the container has started
            started_at=self._engine.now() if has_started else None,
            exit_code=None,
            error="",  # that of an attempt before
            lost=False,
        )
        return _confirm_start(started)

    async def _inspect_both(
        self, uid: str, *, with_mark: bool = True
    ) -> tuple[ActionOutcome, ActionOutcome]:
        """Inspect a job and look for its mark at the same time."""
        if not with_mark:
            return await self.inspect(uid), ActionOutcome(Result.DONE)
        async with asyncio.TaskGroup() as beside:
            marked = beside.create_task(self._looks.look_for_mark(uid))
            seen = await self.inspect(uid)
        return seen, marked.result()

    def _is_too_late(self, job: Job) -> bool:
        """Tell whether a job is not to be started any more; only an inspect shows it exactly."""
        last = find_last_start(job)
        return last is not None and last <= self._engine.now()

    async def _stop(self, stop: Stop) -> ActionOutcome:
        """Stop an active job by one call, which takes as long as the job is given.

        Its end is news as any other: nothing is held, and the informer hears of it. Where the grace
        of a cancel is known, nothing is looked at first: a cancelled job is to end whatever it
        does, and the engine leaves what does not run as it is.
        """
        grace = stop.grace
        if grace is None:
            seen = await self._looks.look(stop.uid)
            job = seen.job
            if job is None:
                return seen
            if not job.is_active or job.id != stop.id or not self._is_its_turn(stop, job):
                return ActionOutcome(Result.CHANGED, job)
            grace = find_grace(job)
        try:
            async with asyncio.timeout(grace + KILL_SLACK / SECOND):
                await self._engine.stop(stop.uid, grace)
        except NotFoundError:
            return ActionOutcome(Result.GONE, error="the engine knows no such container")
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except (*OUTAGES, TimeoutError) as error:
            return await self._explain_stop(stop, error, grace)
        except EngineError as error:
            return ActionOutcome(Result.REFUSED, error=shorten(str(error)))
        return ActionOutcome(Result.DONE)

    def _is_its_turn(self, stop: Stop, job: Job) -> bool:
        """Tell whether a job is over its time still: another run, or its first, may have begun.

        The engine's clock alone cannot tell: set back, it would have a run go on.
        """
        last = find_last_run(job)
        is_over_time = last is not None and last <= max(stop.deadline, self._engine.now())
        return is_over_time or stop.reason is Cause.CANCEL

    async def _explain_stop(self, stop: Stop, error: Exception, grace: int) -> ActionOutcome:
        """Tell a job that cannot be killed from one, or an engine, that does not answer."""
        if not isinstance(error, (TimeoutError, EngineTimeoutError)):
            return await self._looks.explain(error)
        seen = await self._looks.look(stop.uid)
        if seen.job is None:
            return seen
        if not seen.job.is_active:
            return ActionOutcome(Result.CHANGED, seen.job)
        text = f"it was to be killed after {grace}s, and has not ended"
        return ActionOutcome(Result.UNKILLABLE, error=text)

    async def _unmark(self, unmarking: Unmark) -> ActionOutcome:
        """Remove a mark whose job the engine does not know.

        A list that showed the mark may be older than the job's own news: the job is looked for.
        """
        seen = await self._looks.look(unmarking.job)
        if seen.result is not Result.GONE:
            return replace(seen, result=Result.CHANGED if seen.job is not None else seen.result)
        try:
            await self._engine.remove(unmarking.uid)
        except (EngineError, TimeoutError) as error:
            if isinstance(error, OUTAGES):
                return await self._looks.explain(error)
            return ActionOutcome(Result.REFUSED, error=shorten(str(error)))
        return ActionOutcome(Result.DONE)

    async def _remove(self, removal: Remove) -> ActionOutcome:
        """Remove a finished container, and never one that runs again.

        Of a plain removal nothing is looked at first: the engine refuses to remove what runs.
        """
        if removal.is_plain:
            with suppress(ConflictError):  # it runs again
                return await self._send_removal(removal.uid)
        seen, marked = await self._inspect_both(removal.uid, with_mark=removal.mark is not None)
        if seen.job is None:
            return seen
        if marked.result is not Result.DONE:
            return marked
        is_withdrawn = removal.mark is not None and marked.mark is None
        if is_withdrawn or not _is_as_planned(seen.job, removal):
            return ActionOutcome(Result.CHANGED, seen.job, mark=marked.mark)
        try:
            return await self._send_removal(removal.uid, seen.job)
        except ConflictError as error:
            return ActionOutcome(Result.REFUSED, seen.job, shorten(str(error)))

    async def _send_removal(self, uid: str, job: Job | None = None) -> ActionOutcome:
        """Remove a container, of which ``job`` was seen. Raises ``ConflictError`` alone."""
        try:
            await self._engine.remove(uid)
        except ConflictError:
            raise
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except OUTAGES as error:
            return await self._looks.tell_silent_from_outage(error)
        except EngineError as error:
            return ActionOutcome(Result.REFUSED, job, shorten(str(error)))
        return ActionOutcome(Result.DONE)

    async def _read_start(self, start: Start, error: str) -> ActionOutcome:
        """Inspect the container after a start that failed with ``error``: it may run all the same.

        The container decides, not the error.
        """
        seen = await self.inspect(start.uid)
        job = seen.job
        if job is None:
            return seen
        if job.started or job.is_active:
            return _confirm_start(job)
        if not job.is_pending:
            return ActionOutcome(Result.CHANGED, job)
        return ActionOutcome(Result.REFUSED, job, shorten(job.error or error))


def _confirm_start(job: Job) -> ActionOutcome:
    """Return the outcome of a start that took effect.

    Of a job that has ended already, the next event of a start may be that of another start.
    """
    event = EventKind.STARTED if job.status is Status.RUNNING else None
    return ActionOutcome(Result.DONE, job, event=event)


def _blame(seen: ActionOutcome, *, was_cut: bool) -> ActionOutcome:
    """Return what was ``seen`` after a start without an answer, or that the engine died during it.

    It did if it answers nothing since, or if it broke off and knows nothing of the start: it may
    be back by now.
    """
    job = seen.job
    is_untouched = seen.result is Result.REFUSED and job is not None and not job.error
    if seen.result is Result.OUTAGE or (was_cut and is_untouched):
        message = shorten(f"the engine was lost during its start: {seen.error}")
        return replace(seen, result=Result.DIED, error=message)
    return seen


def _is_as_planned(job: Job, removal: Remove) -> bool:
    """Tell whether a job still is what the plan saw: it may have run again unnoticed."""
    end = job.finished_at
    is_that = end is None or is_same_end(removal.ended, end, is_told=removal.is_told)
    is_over = job.status in FINISHED or (removal.is_unstarted and job.is_pending)
    return is_over and job.id == removal.id and is_that
