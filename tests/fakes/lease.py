"""A lease's record in memory, and stores through which several controllers reach it."""

import asyncio
from random import Random

from api.engine.errors import EngineTimeoutError, EngineUnavailableError
from api.engine.lease import Claim


class MemoryRecord:
    """The record itself; ``history`` has every holder in turn."""

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self.history: list[str] = []

    def swap(self, claim: Claim | None, holder: str) -> Claim | None:
        """Change it if it is as ``claim`` says."""
        if claim != self.claim:
            return None
        self.claim = Claim(1 if claim is None else claim.version + 1, holder)
        if self.history[-1:] != [holder]:
            self.history.append(holder)
        return self.claim


class MemoryStore:
    """One controller's way to ``record``.

    With ``chance`` a call takes long, and may fail before or after it has taken effect. While it
    ``is_cut``, no call gets through; while it is frozen, all wait, as those of a process that is
    stopped.
    """

    def __init__(self, record: MemoryRecord, chance: Random | None = None) -> None:
        self._record = record
        self._chance = chance
        self._thawed = asyncio.Event()
        self._thawed.set()
        self.is_cut = False
        self.loses_answers = False
        self.is_closed = False

    async def read(self) -> Claim | None:
        """Read the record; see the interface."""
        await self._travel()
        claim = self._record.claim
        await self._travel()
        return claim

    async def swap(self, claim: Claim | None, holder: str) -> Claim | None:
        """Change the record; see the interface."""
        await self._travel()
        found = self._record.swap(claim, holder)
        await self._travel()
        if self.loses_answers:
            raise EngineTimeoutError("no answer within the deadline")
        return found

    async def close(self) -> None:
        """Note that it is closed; see the interface."""
        self.is_closed = True

    def freeze(self) -> None:
        """Have every call wait until :meth:`thaw`."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Let calls go on."""
        self._thawed.set()

    async def _travel(self) -> None:
        await self._thawed.wait()
        if self._chance is not None:
            await asyncio.sleep(self._chance.choice([0.001, 0.001, 0.01, 0.5, 1.5]))
            if self._chance.random() < 0.15:
                raise EngineTimeoutError("no answer within the deadline")
        if self.is_cut:
            raise EngineUnavailableError("cut off")
