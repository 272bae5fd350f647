"""Looks at one container, or at a job's mark, and says of a failure what it tells."""

import asyncio

from api.engine.errors import OUTAGES, EngineError, EngineUnavailableError, NotFoundError
from api.engine.interface import Engine
from api.v1.mark import name_mark
from controller.outcome import ActionOutcome, Result, shorten


class Looks:
    """Reads by ``engine``; ``patience`` is the deadline of a look in seconds."""

    def __init__(self, engine: Engine, *, patience: float) -> None:
        self._engine = engine
        self._patience = patience

    async def look(self, uid: str) -> ActionOutcome:
        """Inspect a job; the outcome carries it, or says why it cannot."""
        try:
            async with asyncio.timeout(self._patience):
                job = await self._engine.inspect(uid)
        except NotFoundError:
            return ActionOutcome(Result.GONE, error="the engine knows no such container")
        except (EngineError, TimeoutError) as error:
            return await self.explain(error)
        if job is None:
            return ActionOutcome(Result.GONE, error="it is no job of this namespace")
        return ActionOutcome(Result.DONE, job)

    async def look_for_mark(self, uid: str) -> ActionOutcome:
        """Look for the mark of a job; the outcome carries it, or says why it cannot."""
        try:
            async with asyncio.timeout(self._patience):
                mark = await self._engine.find_mark(name_mark(uid))
        except (EngineError, TimeoutError) as error:
            return await self.explain(error)
        return ActionOutcome(Result.DONE, mark=mark)

    async def explain(self, error: Exception) -> ActionOutcome:
        """Say what a look without an answer tells: of this container, or of the engine."""
        if isinstance(error, EngineUnavailableError):
            return ActionOutcome(Result.OUTAGE, error=str(error))
        if isinstance(error, (*OUTAGES, TimeoutError)):
            return await self.tell_silent_from_outage(error)
        return ActionOutcome(Result.SILENT, error=shorten(str(error)))

    async def tell_silent_from_outage(self, error: Exception) -> ActionOutcome:
        """Tell by a ping whether one container gets no answer, or only 503, or the whole engine."""
        try:
            await self._engine.ping()
        except EngineError as failure:
            return ActionOutcome(Result.OUTAGE, error=str(failure))
        message = shorten(str(error) or "no answer within the deadline")
        return ActionOutcome(Result.SILENT, error=message)
