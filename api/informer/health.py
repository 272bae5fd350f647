"""Whether the engine answers and who it is, and the log lines that say when this changes."""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import Engine, EngineInfo

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether the engine answers: ``error`` is its last failure's text while it does not.

    ``info`` is what it last said of itself, ``None`` before it was ever reached.
    """

    is_up: bool
    error: str = ""
    info: EngineInfo | None = None


NOT_ASKED: Final = EngineStatus(is_up=False, error="not asked yet")
"""Before the first call has ended."""


class EngineHealth:
    """The status of ``engine``, as the informer's calls find it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.status = NOT_ASKED

    async def get_info(self) -> EngineInfo:
        """Return who the engine is; ask if it was never reached. Raises ``EngineError``."""
        return self.status.info or await self.ask()

    async def ask(self) -> EngineInfo:
        """Ask who the engine is. Raises ``EngineError``.

        The status of an engine that answered before changes only with :meth:`mark_up`: what is
        known of jobs is that engine's until everything has been read from the new one.
        """
        info = await self._engine.info()
        if self.status.info is None:
            self.status = replace(self.status, info=info)
        return info

    def mark_up(self, info: EngineInfo) -> bool:
        """Note that ``info``'s engine has answered; tell whether it did not before."""
        return self._change(EngineStatus(is_up=True, info=info))

    def mark_down(self, error: EngineError) -> bool:
        """Note that the engine does not answer; tell whether it did before."""
        return self._change(EngineStatus(is_up=False, error=str(error), info=self.status.info))

    def _change(self, new: EngineStatus) -> bool:
        old, self.status = self.status, new
        log_change(old, new)
        return new.is_up is not old.is_up


def log_change(old: EngineStatus, new: EngineStatus) -> None:
    """Log what changed between two states: once when the engine is lost, once when it is back."""
    is_first = old.error == NOT_ASKED.error
    if not new.is_up:
        if is_first:
            _log.warning("engine does not answer", cause=new.error)
        elif old.is_up:
            _log.warning("engine lost", cause=new.error)
    elif new.info is not None and (not old.is_up or old.info != new.info):
        facts = {
            "version": new.info.version,
            "api_version": ".".join(map(str, new.info.api_version)),
        }
        if old.is_up or is_first:
            _log.info("engine answers", **facts)
        else:
            _log.info("engine is back", **facts)
