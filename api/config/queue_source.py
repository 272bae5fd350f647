"""The queues in service: read once at the start, and again whenever their source changes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from api.config.queues import read_queues
from api.config.source import SourceSnapshot, read_source
from api.config.watch import INTERVAL, OnReload, SourceWatch
from api.v1.queue import Queue

_log = structlog.get_logger(__name__)

NO_QUEUES: Final[Mapping[str, Queue]] = {}


class QueueSource:
    """The queues of ``path``, a YAML file or a folder of such; none where that is None.

    ``queues`` are by name. ``generation`` counts what was put in service, from 1. ``on_reload`` is
    called after each change of it, or of ``error``.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        interval: float = INTERVAL,
        on_reload: OnReload = lambda _generation, _error: None,
    ) -> None:
        self._path = path
        self._interval = interval
        self._on_reload = on_reload
        self.queues: Mapping[str, Queue] = NO_QUEUES
        self.generation = 1
        self._watch = self._make_watch("")

    @property
    def error(self) -> str | None:
        """Why the newest change was refused."""
        return self._watch.error

    def load(self) -> None:
        """Read the queues for the first time; raises ``ConfigError`` that names every fault."""
        if self._path is not None:
            seen = read_source(self._path)
            self.queues = read_queues(seen.files)
            self._watch = self._make_watch(seen.fingerprint)

    async def keep(self) -> None:
        """Look again and again, until cancelled; a fault leaves the last good queues in service."""
        if self._path is not None:
            await self._watch.keep(self._path, self._interval)

    async def look(self, path: Path) -> None:
        """Look once; what two looks in a row agree on is put in service or refused."""
        await self._watch.look(path)

    def _make_watch(self, served: str) -> SourceWatch:
        return SourceWatch(
            "queues",
            self._apply,
            served=served,
            get_generation=lambda: self.generation,
            on_reload=self._on_reload,
        )

    async def _apply(self, seen: SourceSnapshot) -> bool:
        """Put queues in service; a change that leaves them as they are is none."""
        queues = await asyncio.to_thread(read_queues, seen.files)
        if queues == self.queues:
            return False
        self.queues, self.generation = queues, self.generation + 1
        _log.info("queues reloaded", generation=self.generation, queues=sorted(queues))
        return True
