"""Leadership: whether this process is the one controller of its namespace and engine."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import structlog

from api.engine.interface import EngineInfo
from controller.leader_lock import LeaderLock

STANDBY_INTERVAL: Final = 0.2
"""Seconds after which a standby asks for the lock again."""
_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What this process does at present."""

    SEEKING = "seeking"  # the engine has not answered yet
    STANDBY = "standby"  # another controller holds the lock
    ACTIVE = "active"


class Leadership:
    """Leads while it holds ``lock``.

    ``take_over`` is awaited with the engine's facts each time the lock has been acquired, before
    the role becomes active; if it returns false, the next call of :meth:`lead` repeats it.
    """

    def __init__(
        self, lock: LeaderLock, take_over: Callable[[EngineInfo], Awaitable[bool]]
    ) -> None:
        self._lock = lock
        self._take_over = take_over
        self._waits_for = ""
        self.role = Role.SEEKING

    async def lead(self, info: EngineInfo) -> bool:
        """Tell whether this process leads on the engine of ``info``; try to, if it does not."""
        held = self._lock.holds(info)
        if not held and self._lock.engine_id == info.id:
            _log.warning("the file of the lock was deleted or replaced: it is asked for anew")
        try:
            if not held and not self._lock.acquire(info):
                self._stand_by("another controller serves this namespace")
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

    def end(self) -> None:
        """Let go of the lock, for a standby to take it."""
        self._lock.release()

    def _stand_by(self, reason: str) -> None:
        if (self.role, self._waits_for) != (Role.STANDBY, reason):
            _log.warning("standing by", reason=reason)
        self.role, self._waits_for = Role.STANDBY, reason
