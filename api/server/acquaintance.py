"""Who the engine is, learnt off the request path: admission needs its API version."""

import asyncio
from typing import Final

import structlog

from api.engine.client import Engine, EngineInfo
from api.engine.errors import EngineError
from api.engine.retry import compute_delay

_log = structlog.get_logger(__name__)
_REFRESH: Final = 60.0


class Acquaintance:
    """The engine's version as it was last told, asked for again every minute and on doubt.

    An engine can only be exchanged by ending it, so a broken connection is the time to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._info: EngineInfo | None = None
        self._doubt = asyncio.Event()

    @property
    def info(self) -> EngineInfo | None:
        """What was last told, or None before the engine was ever reached."""
        return self._info

    async def require(self) -> EngineInfo:
        """Return what was last told; ask if nothing was. Raises ``EngineError``."""
        if self._info is None:
            self._info = await self._engine.info()
        return self._info

    def doubt(self) -> None:
        """Have it asked again soon: the engine may be another one."""
        self._doubt.set()

    async def keep(self) -> None:
        """Ask and ask again until cancelled; log when the engine goes and comes."""
        failures = 0
        known: EngineInfo | None = None
        while True:
            self._doubt.clear()
            try:
                self._info = await self._engine.info()
            except EngineError as error:
                failures += 1
                delay = compute_delay(failures, initial=0.5, maximum=10.0)
                _log.warning(
                    "engine does not answer", cause=str(error), next_attempt_in=round(delay, 1)
                )
                await asyncio.sleep(delay)
                continue
            if failures or self._info != known:
                version = ".".join(map(str, self._info.api_version))
                _log.info("engine answers", version=self._info.version, api_version=version)
            failures, known = 0, self._info
            try:
                await asyncio.wait_for(self._doubt.wait(), _REFRESH)
            except TimeoutError:
                continue
