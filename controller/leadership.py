"""Leadership: whether this process is the one controller of its namespace and engine."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, Protocol

import structlog

from api.engine.interface import EngineInfo

STANDBY_INTERVAL: Final = 0.2
"""Seconds after which a standby asks again whether it may lead."""
_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What this process does at present."""

    SEEKING = "seeking"  # the engine has not answered yet, or nobody leads there
    STANDBY = "standby"  # another controller holds the lock, or the lease
    ACTIVE = "active"


class Lead(Protocol):
    """What one of several controllers holds: a lock on a file, or a lease on the engine."""

    def holds(self, info: EngineInfo) -> bool:
        """Tell whether it is held on the engine of ``info``, so that no other can have it."""
        ...

    def may_act(self) -> bool:
        """Tell whether an act that was decided on may begin at this moment; costs next to nothing.

        What the holder begins before is over when another acts.
        """
        ...

    def find_loss(self, info: EngineInfo) -> str:
        """Return what to say if it was held and is not any more, else nothing."""
        ...

    def find_rival(self) -> str:
        """Return what to say of who has it; nothing where that is not known yet."""
        ...

    def acquire(self, info: EngineInfo) -> bool:
        """Try to get it, without waiting for anything; ``OSError`` if that cannot be tried."""
        ...

    async def keep(self) -> None:
        """Do what is needed to have it and to keep it, until cancelled or nothing is needed."""
        ...

    async def give_up(self) -> None:
        """Let go of it, for another controller to take it."""
        ...


class Leadership:
    """Leads while it holds ``lead``.

    ``take_over`` is awaited with the engine's facts each time that has been acquired, before the
    role becomes active; if it returns false, the next call of :meth:`lead` repeats it.
    """

    def __init__(self, lead: Lead, take_over: Callable[[EngineInfo], Awaitable[bool]]) -> None:
        self._lead = lead
        self.may_act, self.keep = lead.may_act, lead.keep
        self._take_over = take_over
        self._waits_for = ""
        self.role = Role.SEEKING

    async def lead(self, info: EngineInfo) -> bool:
        """Tell whether this process leads on the engine of ``info``; try to, if it does not."""
        held = self._lead.holds(info)
        if not held and (loss := self._lead.find_loss(info)):
            _log.warning(loss)
        try:
            if not held and not self._lead.acquire(info):
                if rival := self._lead.find_rival():
                    self._stand_by(rival)
                else:
                    self.role = Role.SEEKING
                return False
        except OSError as error:
            self._stand_by(f"the lock cannot be made: {error}")
            return False
        if held and self.role is Role.ACTIVE:
            return True
        self.role = Role.SEEKING
        if not await self._take_over(info):
            return False
        _log.info("active", engine=info.id, version=info.version)
        self.role = Role.ACTIVE
        return True

    async def end(self) -> None:
        """Let go of the lead, for a standby to take it."""
        await self._lead.give_up()

    def _stand_by(self, reason: str) -> None:
        if (self.role, self._waits_for) != (Role.STANDBY, reason):
            _log.warning("standing by", reason=reason)
        self.role, self._waits_for = Role.STANDBY, reason
