"""Looks at a source of configs again and again, and has what changed put in service or refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from api.config.faults import ConfigError
from api.config.reload import ChangeDetector, Verdict
from api.config.source import SourceSnapshot, read_source

_log = structlog.get_logger(__name__)
INTERVAL: Final = 2.0
"""Seconds between two looks at a source."""

OnReload = Callable[[int, str | None], None]
"""Takes the number of the generation in service, and why the newest change was refused, if so."""


class SourceWatch:
    """The watch over one source; ``error`` is why its newest change was refused.

    ``what`` names its configs in log lines. ``load`` puts a reading in service and tells whether
    that is news; it raises ``ConfigError`` for what is not tried again until it changes, and one of
    ``passing`` for a failure that is no fault of the configs. ``get_generation`` returns the number
    of what is in service; ``on_reload`` is called after each change of that, or of ``error``.
    """

    def __init__(
        self,
        what: str,
        load: Callable[[SourceSnapshot], Awaitable[bool]],
        *,
        served: str,
        get_generation: Callable[[], int],
        on_reload: OnReload,
        passing: tuple[type[Exception], ...] = (),
    ) -> None:
        self._what = what
        self._load = load
        self._get_generation = get_generation
        self._on_reload = on_reload
        self._passing = passing
        self._detector = ChangeDetector(served)
        self.error: str | None = None

    async def keep(self, path: Path, interval: float) -> None:
        """Look every ``interval`` seconds until cancelled; no fault ends it."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.look(path)
            except Exception:  # noqa: BLE001 - see below
                # a watch that ends would go unnoticed until the next change
                _log.exception(f"looking at the {self._what} failed")

    async def look(self, path: Path) -> None:
        """Look once; what two looks in a row agree on is put in service or refused."""
        seen: SourceSnapshot | ConfigError
        try:
            seen = await asyncio.to_thread(read_source, path)
            reading = seen.fingerprint
        except ConfigError as error:
            seen, reading = error, f"error: {error}"
        self._detector, verdict = self._detector.see(reading)
        if verdict is Verdict.SERVED and self.error is not None:
            _log.info(f"{self._what} are as served again", generation=self._get_generation())
            self._accept()
        elif verdict is Verdict.LOAD:
            try:
                if isinstance(seen, ConfigError):
                    raise seen
                is_news = await self._load(seen)
            except ConfigError as error:
                self._detector = self._detector.reject(reading)
                self._refuse(str(error))
            except self._passing as error:
                # tried again at the next looks
                self._refuse(str(error))
            else:
                self._detector = self._detector.serve(reading)
                if is_news or self.error is not None:
                    self._accept()

    def _accept(self) -> None:
        self.error = None
        self._on_reload(self._get_generation(), None)

    def _refuse(self, error: str) -> None:
        if error == self.error:
            return
        generation = self._get_generation()
        refused = f"{self._what} refused; the last good ones serve on"
        _log.error(refused, error=error, generation=generation)
        self.error = error
        self._on_reload(generation, error)
