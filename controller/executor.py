"""Carries out one action of a plan on the engine and reports its result; it decides nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, assert_never

from api.engine.errors import (
    AMBIGUOUS,
    OUTAGES,
    EngineError,
    EngineInterruptedError,
    EngineUnavailableError,
    NotFoundError,
)
from api.engine.interface import Engine, EventKind
from api.v1.job import FINISHED, Job, Status
from controller.plan import Action, Remove, Start
from controller.policy import is_same_end

_LONGEST_MESSAGE: Final = 300


class Result(Enum):
    """How an action ended."""

    DONE = "done"
    REFUSED = "refused"  # the engine would not; this job is charged
    TRIED = "tried"  # an earlier process failed to start it; nothing was sent
    CHANGED = "changed"  # the container is not in the state that the action is meant for
    GONE = "gone"  # or not there yet: a list shows it before its creation is over
    SILENT = "silent"  # the engine does not answer for this container, but for others
    OUTAGE = "outage"  # the engine as a whole; no job is charged
    DIED = "died"  # the engine broke off during the start: it may be the job that ends it


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """The result of an action, or of one inspect.

    ``job`` is as it was read last, if it was; ``event`` is the event that the action causes: it
    tells nothing that is not in here, whether it came already or comes later.
    """

    result: Result
    job: Job | None = None
    error: str = ""
    event: EventKind | None = None


class Executor:
    """Acts on ``engine`` by full container id, and inspects a container before it acts on it.

    A start that the engine confirms needs no further inspect; any other answer does.
    ``before_inspect`` is called with the id whenever an inspect is about to be sent.
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
    ) -> None:
        self._engine = engine
        self._before_inspect = before_inspect
        self._half = patience / 2

    async def execute(self, action: Action) -> ActionOutcome:
        """Carry out one action. No failure of the engine raises."""
        match action:
            case Start():
                return await self._start(action)
            case Remove():
                return await self._remove(action)
        assert_never(action)

    async def inspect(self, uid: str) -> ActionOutcome:
        """Inspect a container; the outcome carries it, or says why it cannot."""
        if self._before_inspect is not None:
            self._before_inspect(uid)
        try:
            async with asyncio.timeout(self._half):
                job = await self._engine.inspect(uid)
        except NotFoundError:
            return ActionOutcome(Result.GONE, error="the engine knows no such container")
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except (*OUTAGES, TimeoutError) as error:
            return await self._tell_silent_from_outage(error)
        except EngineError as error:
            return ActionOutcome(Result.SILENT, error=shorten(str(error)))
        if job is None:
            return ActionOutcome(Result.GONE, error="it is no job of this namespace")
        return ActionOutcome(Result.DONE, job)

    async def _start(self, start: Start) -> ActionOutcome:
        """Start a container that never ran; any other would run again."""
        seen = await self.inspect(start.uid)
        if seen.job is None:
            return seen
        if not seen.job.is_pending or seen.job.id != start.id:
            return ActionOutcome(Result.CHANGED, seen.job)
        if seen.job.error and start.attempt == 1:
            return ActionOutcome(Result.TRIED, seen.job, shorten(seen.job.error))
        try:
            async with asyncio.timeout(self._half):
                await self._engine.start(start.uid)
        except (*AMBIGUOUS, TimeoutError) as error:
            # It may be running, now or soon: only an inspect tells, for it waits for the start.
            outcome = await self._read_start(start, str(error) or "no answer within the deadline")
            return _blame(outcome, was_cut=isinstance(error, EngineInterruptedError))
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except EngineError as error:
            return await self._read_start(start, str(error))
        # The engine answers once it has written down that the container has started.
        started = replace(
            seen.job,
            status=Status.RUNNING,
            started=True,
            started_at=self._engine.now(),
            exit_code=None,
            error="",  # that of an attempt before
        )
        return _confirm_start(started)

    async def _remove(self, removal: Remove) -> ActionOutcome:
        """Remove a finished container, and never one that runs again."""
        seen = await self.inspect(removal.uid)
        if seen.job is None:
            return seen
        if not _is_as_planned(seen.job, removal):
            return ActionOutcome(Result.CHANGED, seen.job)
        try:
            await self._engine.remove(removal.uid)
        except EngineUnavailableError as error:
            return ActionOutcome(Result.OUTAGE, error=str(error))
        except OUTAGES as error:
            return await self._tell_silent_from_outage(error)
        except EngineError as error:
            return ActionOutcome(Result.REFUSED, seen.job, shorten(str(error)))
        return ActionOutcome(Result.DONE)

    async def _read_start(self, start: Start, error: str) -> ActionOutcome:
        """Inspect the container after a start that failed with ``error``: it may run all the same.

        The container decides, not the error.
        """
        seen = await self.inspect(start.uid)
        job = seen.job
        if job is None:
            return seen
        if job.started:
            return _confirm_start(job)
        if not job.is_pending:
            return ActionOutcome(Result.CHANGED, job)
        return ActionOutcome(Result.REFUSED, job, shorten(job.error or error))

    async def _tell_silent_from_outage(self, error: Exception) -> ActionOutcome:
        """Tell by a ping whether one container gets no answer, or only 503, or the whole engine."""
        try:
            await self._engine.ping()
        except EngineError as failure:
            return ActionOutcome(Result.OUTAGE, error=str(failure))
        message = shorten(str(error) or "no answer within the deadline")
        return ActionOutcome(Result.SILENT, error=message)


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
    return job.status in FINISHED and job.id == removal.id and is_that


def shorten(message: str) -> str:
    """Return an error's text as one line of bounded length."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
