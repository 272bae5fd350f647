"""The lead as a lease on the engine, for controllers on several hosts: renewed, or lost."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import EngineInfo
from api.engine.lease import Claim, LeaseStore

RENEWED: Final = 3.0
"""Seconds after which its holder renews it."""
LOST: Final = 7.0
"""Seconds after the request of the last renewal at which its holder acts no more."""
TAKEN: Final = 12.0
"""Seconds without a renewal after which another takes it. A start takes half of a call's deadline
at most, 5 s by default: what the holder began last is over."""
LOOKED_AT: Final = 1.0
"""Seconds after which one that waits for it looks, and a holder that got no answer asks again."""

_FAREWELL: Final = 1.0
_log = structlog.get_logger(__name__)


def read_clock() -> float:
    """Return seconds of a clock that never jumps, and goes on while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The record in ``store``, held while it names ``holder`` and was renewed in time.

    The holder counts ``LOST`` from sending its last renewal. A rival counts ``TAKEN`` from seeing
    it, which is later. So the holder has stopped before the rival begins, and no two clocks are
    compared. A holder whose process was stopped finds its time gone when it goes on.
    """

    def __init__(
        self, store: LeaseStore, holder: str, *, clock: Callable[[], float] = read_clock
    ) -> None:
        self._store = store
        self._holder = holder
        self._clock = clock
        self._wanted = asyncio.Event()
        self._until: float | None = None
        """Until when it is held; ``None`` while it is not ours."""
        self._claim: Claim | None = None
        """What the record said when it was last read, or ours as it was last written."""
        self._since = 0.0
        """When that was seen first."""
        self._engine_id: str | None = None
        self._had_it = False

    def find_loss(self, info: EngineInfo) -> str:
        """Return what to say if it was held and is not any more; once."""
        had_it, self._had_it = self._had_it, self.holds(info)
        is_lost = had_it and not self._had_it
        return "the lease was not renewed in time: it is asked for anew" if is_lost else ""

    def find_rival(self) -> str:
        """Return what to say of who has it, as far as that was read."""
        holder = "" if self._claim is None else self._claim.holder
        is_other = holder not in {"", self._holder}
        return f"another controller serves this namespace: {holder}" if is_other else ""

    def holds(self, info: EngineInfo) -> bool:
        """Tell whether it is held on the engine of ``info``."""
        return self._engine_id == info.id and self.may_act()

    def may_act(self) -> bool:
        """Tell whether an act may begin at this moment."""
        return self._until is not None and self._clock() < self._until

    def acquire(self, info: EngineInfo) -> bool:
        """Have it asked for on the engine of ``info``; tell whether it is held already."""
        if self._engine_id != info.id:
            # another swarm answers: its record is another
            self._engine_id, self._until, self._claim = info.id, None, None
        self._wanted.set()
        return self.may_act()

    async def keep(self) -> None:
        """Ask for it once it is wanted, and renew it, until cancelled."""
        await self._wanted.wait()
        while True:
            try:
                delay = await self._renew() if self._until is not None else await self._seek()
            except EngineError as error:
                _log.debug("the lease could not be asked for", error=str(error))
                delay = LOOKED_AT
            await asyncio.sleep(delay)

    async def give_up(self) -> None:
        """Let go of it, for another to take it at once."""
        claim, self._until = self._claim if self._until is not None else None, None
        if claim is not None:
            with contextlib.suppress(EngineError, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._store.swap(claim, "")
        await self._store.close()

    async def _renew(self) -> float:
        """Renew it. Whoever has taken it meanwhile keeps it."""
        if await self._swap():
            return RENEWED
        # a renewal without an answer may have been one
        self._claim, self._since = await self._store.read(), self._clock()
        if self._claim is None or self._claim.holder != self._holder:
            self._until = None
        return 0.0

    async def _seek(self) -> float:
        """Take it if nobody has it, or nobody has renewed it for long."""
        claim = await self._store.read()
        now = self._clock()
        if claim != self._claim:
            self._claim, self._since = claim, now
        is_free = claim is None or claim.holder in {"", self._holder}
        if is_free or now >= self._since + TAKEN:
            await self._swap()
        return LOOKED_AT if self._until is None else RENEWED

    async def _swap(self) -> bool:
        """Write our name in the place of what was seen last; tell whether it is there."""
        engine_id, asked = self._engine_id, self._clock()
        claim = await self._store.swap(self._claim, self._holder)
        if claim is None or engine_id != self._engine_id:
            return False
        self._claim, self._until, self._had_it = claim, asked + LOST, True
        return True
