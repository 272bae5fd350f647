"""Carries out one act of a plan on the engine and reports what it saw; it decides nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from api.engine.errors import (
    AMBIGUOUS,
    OUTAGES,
    EngineError,
    EngineUnavailableError,
    NotFoundError,
)
from api.engine.interface import Engine
from api.v1.job import FINISHED, Container, Status
from controller.plan import Remove, Start

_LONGEST_MESSAGE: Final = 300


class Result(Enum):
    """What came of an act."""

    DONE = "done"
    REFUSED = "refused"  # the engine would not; this job is charged
    TRIED = "tried"  # an earlier process failed to start it; nothing was sent
    CHANGED = "changed"  # the container is not in the state that the act is meant for
    GONE = "gone"  # or not there yet: a list shows it before its creation is over
    SILENT = "silent"  # the engine does not answer for this container, but for others
    OUTAGE = "outage"  # the engine as a whole; no job is charged


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an act, and the container as it was read last, if it was."""

    result: Result
    container: Container | None = None
    error: str = ""


class Executor:
    """Acts on ``engine`` by full container id, and looks before it acts.

    A start that the engine confirms needs no further look; any other answer does.
    ``before_look`` is called with the id whenever a look at a container is about to be sent.
    ``patience`` is the deadline of a call in seconds. A start may take half of it and, if
    nothing came back, the look at what became of it the other half: an ambiguous start holds
    its slot no longer than one call may take.
    """

    def __init__(
        self, engine: Engine, *, patience: float, before_look: Callable[[str], None] | None = None
    ) -> None:
        self._engine = engine
        self._before_look = before_look
        self._half = patience / 2

    async def start(self, act: Start) -> Outcome:
        """Start a container that never ran; any other would run again."""
        seen = await self.look(act.id)
        if seen.container is None:
            return seen
        if not seen.container.is_startable or seen.container.name != act.name:
            return Outcome(Result.CHANGED, seen.container)
        if seen.container.error and act.attempt == 1:
            return Outcome(Result.TRIED, seen.container, shorten(seen.container.error))
        try:
            async with asyncio.timeout(self._half):
                await self._engine.start(act.id)
        except (*AMBIGUOUS, TimeoutError) as error:
            # It may run already, or yet: only the container can tell. An inspect waits for a
            # start in flight.
            return await self._judge(act, str(error) or "no answer within the deadline")
        except EngineUnavailableError as error:
            return Outcome(Result.OUTAGE, error=str(error))
        except EngineError as error:
            return await self._judge(act, str(error))
        # The engine confirms once it has written the container down as started.
        started = replace(
            seen.container,
            status=Status.RUNNING,
            started_at=self._engine.now(),
            exit_code=0,
            error="",  # that of an attempt before
        )
        return Outcome(Result.DONE, started)

    async def remove(self, act: Remove) -> Outcome:
        """Remove a finished container, and never one that runs again."""
        seen = await self.look(act.id)
        if seen.container is None:
            return seen
        if not _is_as_planned(seen.container, act):
            return Outcome(Result.CHANGED, seen.container)
        try:
            await self._engine.remove(act.id)
        except EngineUnavailableError as error:
            return Outcome(Result.OUTAGE, error=str(error))
        except OUTAGES as error:
            return await self._tell_silence(error)
        except EngineError as error:
            return Outcome(Result.REFUSED, seen.container, shorten(str(error)))
        return Outcome(Result.DONE)

    async def _judge(self, act: Start, error: str) -> Outcome:
        """Tell by the container what became of a start that answered ``error``."""
        after = await self.look(act.id)
        container = after.container
        if container is None:
            return after
        if container.started_at is not None:
            return Outcome(Result.DONE, container)
        if not container.is_startable:
            return Outcome(Result.CHANGED, container)
        return Outcome(Result.REFUSED, container, shorten(container.error or error))

    async def look(self, container_id: str) -> Outcome:
        """Inspect; the outcome carries the container, or says why there is none."""
        if self._before_look is not None:
            self._before_look(container_id)
        try:
            async with asyncio.timeout(self._half):
                container = await self._engine.inspect(container_id)
        except NotFoundError:
            return Outcome(Result.GONE, error="the engine knows no such container")
        except EngineUnavailableError as error:
            return Outcome(Result.OUTAGE, error=str(error))
        except (*OUTAGES, TimeoutError) as error:
            return await self._tell_silence(error)
        except EngineError as error:
            return Outcome(Result.SILENT, error=shorten(str(error)))
        if container.id != container_id:
            return Outcome(Result.GONE)
        return Outcome(Result.DONE, container)

    async def _tell_silence(self, error: Exception) -> Outcome:
        """Tell a container that does not answer, or only with 503, from such an engine."""
        try:
            await self._engine.ping()
        except EngineError as failure:
            return Outcome(Result.OUTAGE, error=str(failure))
        return Outcome(Result.SILENT, error=shorten(str(error) or "no answer within the deadline"))


def _is_as_planned(container: Container, act: Remove) -> bool:
    """Tell whether it still is what the plan saw: it may have run again since, unnoticed."""
    ended = container.finished_at in {None, act.ended}
    return container.status in FINISHED and container.name == act.name and ended


def shorten(message: str) -> str:
    """Return an error's text as one line of bounded length."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
