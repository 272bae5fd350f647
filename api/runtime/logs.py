"""Structured logs on standard error: one line per event, without control characters."""

import logging
import math
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from api.v1.text import escape_hidden

_LEVELS: Final = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.NOTSET,
}
_LONGEST: Final = 2000
_REPEAT: Final = 1.0
_KINDS: Final = 100


def configure(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process.

    ``level`` is one of ``options.LEVELS``; ``style`` is ``auto``, ``console`` or ``json``.
    ``trace`` also shows what libraries log at their debug level.
    """
    console = style == "console" or (style == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        clean_fields,
        # after clean_fields, which would escape the line feeds of a traceback
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_print_nothing)
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,  # else each line in the log makes a logger first
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(RepeatFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop, renderer])
    )
    logging.basicConfig(
        level=logging.NOTSET if level == "trace" else max(logging.WARNING, _LEVELS[level]),
        handlers=[handler],
        force=True,
    )


class RepeatFilter(logging.Filter):
    """Lets each warning of a library pass once a second: what fails for one client may for all."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is logged."""
        if record.levelno < logging.WARNING:
            return True
        # what follows the first line names sockets and tasks
        key = (record.name, str(record.msg).partition("\n")[0])
        now = time.monotonic()
        if now < self._passed.get(key, -math.inf) + _REPEAT:
            return False
        if len(self._passed) >= _KINDS:
            self._passed.clear()
        self._passed[key] = now
        return True


def clean_fields(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape what is hidden in every text and cap its length, in lists too."""
    return {key: _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        text = value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
        return escape_hidden(text)
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, BaseException | type(None) | int | float):
        return value
    return _clean(str(value))


def _drop(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)


def _print_nothing(_stream: TextIO, _information: Any) -> None:
    """Print nothing: the exception is a field of the event already."""
