"""Whether the engine answers and who it is, and the log lines that say when this changes."""

from dataclasses import dataclass
from typing import Final

import structlog

from api.engine.interface import EngineInfo

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
