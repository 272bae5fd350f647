"""Who the engine is, learnt off the request path: admission needs its API version."""

import asyncio
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import Engine, EngineInfo
from api.engine.retry import compute_delay
from api.engine.wait import wait_until_set

_log = structlog.get_logger(__name__)
_REFRESH: Final = 60.0


class Acquaintance:
    """The engine's version as it was last told, asked for again every minute and on doubt.

    An engine can only be exchanged by ending it, so a broken connection is the time to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._info: EngineInfo | None = None
        self._asking: asyncio.Task[EngineInfo] | None = None
        self._doubt = asyncio.Event()

    @property
    def info(self) -> EngineInfo | None:
        """What was last told, or None before the engine was ever reached."""
        return self._info

    async def require(self) -> EngineInfo:
        """Return what was last told; ask if nothing was. Raises ``EngineError``."""
        return self._info or await self._ask()

    def doubt(self) -> None:
        """Have it asked again soon: the engine may be another one."""
        self._doubt.set()

    async def keep(self) -> None:
        """Ask and ask again until cancelled; log when the engine goes and comes."""
        try:
            await self._keep()
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def _keep(self) -> None:
        failures = 0
        known: EngineInfo | None = None
        while True:
            self._doubt.clear()
            try:
                info = await self._ask()
            except EngineError as error:
                failures += 1
                delay = compute_delay(failures, initial=0.5, maximum=10.0)
                _log.warning(
                    "engine does not answer", cause=str(error), next_attempt_in=round(delay, 1)
                )
                await asyncio.sleep(delay)
                continue
            if failures or info != known:
                version = ".".join(map(str, info.api_version))
                _log.info("engine answers", version=info.version, api_version=version)
            failures, known = 0, info
            await wait_until_set(self._doubt, _REFRESH)

    async def _ask(self) -> EngineInfo:
        """Ask once however many want to know: else each would wait for those before it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._engine.info())
            # who wanted to know may have left
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._info = await asyncio.shield(self._asking)
        return self._info
