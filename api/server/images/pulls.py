"""Pulls images, each once however many requests wait for it."""

import asyncio
import re
import time
from enum import StrEnum
from typing import Final

import structlog

from api.engine.errors import OUTAGES, EngineError, EngineRefusedError
from api.engine.interface import Engine, Progress
from api.server.http.errors import RETRY_AFTER, explain_outage, find_image_fault
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.images.credentials import RegistryConfigError
from api.server.images.settings import Pulling
from api.server.metrics import ApiMetrics

_log = structlog.get_logger(__name__)
_TELL_EVERY: Final = 5.0  # seconds between two lines in the log
_MOST: Final = 1000  # images whose last pull is remembered
# An image's id names no registry: the engine would take it for a tag of Docker Hub's.
_ID: Final = re.compile(r"sha256:[0-9a-f]+|[0-9a-f]{64}")

_Key = tuple[str, str | None]
"""An image and its platform."""


class PullOutcome(StrEnum):
    """What became of a pull."""

    PULLED = "pulled"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class Pulls:
    """The pulls under way on ``engine``, and who waits for them."""

    def __init__(self, engine: Engine, settings: Pulling, metrics: ApiMetrics) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = metrics
        self._under_way: dict[_Key, asyncio.Task[Problem | None]] = {}
        self._pulled: dict[_Key, float] = {}
        """When the last pull of each ended well, by the loop's clock."""
        self._waiting = 0

    async def pull(self, image: str, platform: str | None, *, since: float | None = None) -> None:
        """Have ``image`` on the engine as the registry has it; an id is left as it is.

        Joins a pull of the same image that is under way, and leaves it to others (and to the
        next request) when cancelled. One that has ended well after ``since``, a time by the loop's
        clock, serves too: the engine may tell late that it lacked the image. Raises ``Problem``:
        400 ``ImageNotFound``, ``PlatformMismatch``, ``PullDenied`` and ``EngineRefused``, 502
        ``PullFailed`` and ``EngineUnavailable``, 429 ``TooManyRequests`` where too many wait
        already.
        """
        if _ID.fullmatch(image):
            return
        pulled = self._pulled.get((image, platform))
        if since is not None and pulled is not None and pulled >= since:
            return
        if self._waiting >= self._settings.waiting:
            message = "too many requests are waiting for images to be pulled"
            raise Problem(429, ProblemReason.TOO_MANY_REQUESTS, message, headers=RETRY_AFTER)
        self._waiting += 1
        try:
            problem = await asyncio.shield(self._join(image, platform))
        finally:
            self._waiting -= 1
        if problem is not None:
            raise problem

    async def close(self) -> None:
        """End all pulls."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, image: str, platform: str | None) -> asyncio.Task[Problem | None]:
        key = (image, platform)
        if key not in self._under_way:
            task = asyncio.create_task(self._pull(image, platform))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return self._under_way[key]

    async def _pull(self, image: str, platform: str | None) -> Problem | None:
        """Pull within the deadline; return what to tell those who wait, None of a success."""
        log = _log.bind(image=image, **({"platform": platform} if platform else {}))
        log.info("pulling")
        began = time.perf_counter()
        progress = _Progress()
        telling = asyncio.create_task(progress.keep_telling(log, began))
        outcome, problem = PullOutcome.CANCELLED, None
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._fetch(image, platform, progress)
            outcome = PullOutcome.PULLED
            self._note_pulled((image, platform))
        except (EngineError, RegistryConfigError, TimeoutError) as error:
            log = log.bind(cause=str(error) or f"not done within {self._settings.timeout:g} s")
            outcome, problem = explain_failure(image, error)
            problem.__cause__ = error
        finally:
            telling.cancel()
            seconds = time.perf_counter() - began
            self._metrics.on_pull(outcome, seconds)
            tell = log.info if outcome is PullOutcome.PULLED else log.warning
            tell("pull ended", outcome=str(outcome), **progress.describe(seconds))
        return problem

    def _note_pulled(self, key: _Key) -> None:
        if len(self._pulled) >= _MOST:
            self._pulled.clear()
        self._pulled[key] = asyncio.get_running_loop().time()

    async def _fetch(self, image: str, platform: str | None, progress: "_Progress") -> None:
        config = self._settings.config
        credentials = None if config is None else await asyncio.to_thread(config.find, image)
        await self._engine.pull(
            image, platform=platform, credentials=credentials, report=progress.on_progress
        )


class _Progress:
    """How far one pull is, for the log."""

    def __init__(self) -> None:
        self._latest = Progress()

    def on_progress(self, progress: Progress) -> None:
        self._latest = progress

    def describe(self, seconds: float) -> dict[str, object]:
        return {
            "layers": f"{self._latest.complete}/{self._latest.layers}",
            "megabytes": round(self._latest.received / 1e6, 1),
            "seconds": round(seconds, 1),
        }

    async def keep_telling(self, log: structlog.stdlib.BoundLogger, began: float) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            log.info("still pulling", **self.describe(time.perf_counter() - began))


def explain_failure(image: str, error: Exception) -> tuple[PullOutcome, Problem]:
    """Return what became of a pull that ended with ``error``, and what its clients are told.

    The engine's text is told where the image's name is at fault; what else a registry answers
    speaks of this service's credentials and network, and is for the log.
    """
    match error:
        case TimeoutError():
            return PullOutcome.TIMEOUT, _fail(
                f"{image} could not be pulled in time; try again later"
            )
        case EngineRefusedError(status=403):
            message = (
                f"the registry does not hand out {image}: there is no such image, or the"
                " credentials of this service do not allow it"
            )
            return PullOutcome.DENIED, Problem(400, ProblemReason.PULL_DENIED, message)
        case EngineRefusedError(status=404):
            reason = find_image_fault(error.message) or ProblemReason.IMAGE_NOT_FOUND
            return PullOutcome.NOT_FOUND, Problem(400, reason, error.message)
        case EngineRefusedError(status=400):
            return PullOutcome.INVALID, Problem(400, ProblemReason.ENGINE_REFUSED, error.message)
        case EngineError() if isinstance(error, OUTAGES):
            return PullOutcome.FAILED, explain_outage(error)
        case _:
            message = f"{image} could not be pulled; the log of this service says why"
            return PullOutcome.FAILED, _fail(message)


def _fail(message: str) -> Problem:
    return Problem(502, ProblemReason.PULL_FAILED, message, headers=RETRY_AFTER)
