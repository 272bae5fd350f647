"""The queues in service: read once at the start, and again whenever their source changes."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from api.config.faults import ConfigError
from api.config.queues import read_queues
from api.config.reload import ChangeDetector, Verdict
from api.config.source import SourceSnapshot, read_source
from api.v1.queue import Queue

_log = structlog.get_logger(__name__)
INTERVAL: Final = 2.0
"""Seconds between two looks at the source."""

NO_QUEUES: Final[Mapping[str, Queue]] = {}


class QueueSource:
    """The queues of ``path``, a YAML file or a folder of such; none where that is None.

    ``queues`` are by name. ``generation`` counts what was put in service, from 1; ``error`` is why
    the newest change was refused. ``on_reload`` is called with both after each change of either.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        interval: float = INTERVAL,
        on_reload: Callable[[int, str | None], None] = lambda _generation, _error: None,
    ) -> None:
        self._path = path
        self._interval = interval
        self._on_reload = on_reload
        self._detector = ChangeDetector("")
        self.queues: Mapping[str, Queue] = NO_QUEUES
        self.generation = 1
        self.error: str | None = None

    def load(self) -> None:
        """Read the queues for the first time; raises ``ConfigError`` that names every fault."""
        if self._path is not None:
            seen = read_source(self._path)
            self.queues = read_queues(seen.files)
            self._detector = self._detector.serve(seen.fingerprint)

    async def keep(self) -> None:
        """Look again and again, until cancelled; a fault leaves the last good queues in service."""
        while self._path is not None:
            await asyncio.sleep(self._interval)
            try:
                await self.look(self._path)
            except Exception:  # noqa: BLE001 - see below
                # a watch that ends would go unnoticed until the next change
                _log.exception("looking at the queues failed")

    async def look(self, path: Path) -> None:
        """Look once; what two looks in a row agree on is put in service or refused."""
        seen: SourceSnapshot | ConfigError
        try:
            seen = await asyncio.to_thread(read_source, path)
            fingerprint = seen.fingerprint
        except ConfigError as error:
            seen, fingerprint = error, f"error: {error}"
        self._detector, verdict = self._detector.see(fingerprint)
        if verdict is Verdict.SERVED and self.error is not None:
            self.error = None
            _log.info("queues are as served again", generation=self.generation)
            self._on_reload(self.generation, None)
        elif verdict is Verdict.LOAD:
            try:
                if isinstance(seen, ConfigError):
                    raise seen
                queues = await asyncio.to_thread(read_queues, seen.files)
            except ConfigError as error:
                self._detector = self._detector.reject(fingerprint)
                self._refuse(str(error))
            else:
                self._detector = self._detector.serve(fingerprint)
                self._apply(queues)

    def _apply(self, queues: Mapping[str, Queue]) -> None:
        """Put ``queues`` in service; a change that leaves them as they are is none."""
        is_news = queues != self.queues or self.error is not None
        self.error = None
        if queues != self.queues:
            self.queues, self.generation = queues, self.generation + 1
            _log.info("queues reloaded", generation=self.generation, queues=sorted(queues))
        if is_news:
            self._on_reload(self.generation, None)

    def _refuse(self, error: str) -> None:
        if error != self.error:
            _log.error(
                "queues refused; the last good ones serve on",
                error=error,
                generation=self.generation,
            )
            self.error = error
            self._on_reload(self.generation, error)
