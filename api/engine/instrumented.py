"""The engine port with a witness: every call is reported by kind, outcome and time taken."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Final

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.engine.interface import Credentials, Engine, EngineInfo, Event, Progress, Summary
from api.v1.job import Container, Status


class Call(StrEnum):
    """The port's calls."""

    CREATE = "create"
    INSPECT = "inspect"
    LIST = "list"
    START = "start"
    REMOVE = "remove"
    PING = "ping"
    INFO = "info"
    IMAGE = "image"
    PULL = "pull"
    EVENTS = "events"  # the subscription, not the stream that follows


class Outcome(StrEnum):
    """What became of a call."""

    OK = "ok"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"  # given up by the caller, whose own deadline may have passed
    FAILED = "failed"  # by a fault of ours


Report = Callable[[Call, Outcome, float], None]
"""Takes a call, its outcome and the seconds it took, its short retries included."""

# subclasses before their base
_OUTCOMES: Final = (
    (NotFoundError, Outcome.NOT_FOUND),
    (ConflictError, Outcome.CONFLICT),
    (OverloadedError, Outcome.OVERLOADED),
    (EngineRefusedError, Outcome.REFUSED),
    (EngineUnavailableError, Outcome.UNAVAILABLE),
    (EngineTimeoutError, Outcome.TIMEOUT),
    (EngineInterruptedError, Outcome.INTERRUPTED),
    (EngineError, Outcome.REFUSED),
    (asyncio.CancelledError, Outcome.CANCELLED),
)


class InstrumentedEngine:
    """``engine``, with every call told to ``report`` when it ends."""

    def __init__(self, engine: Engine, report: Report) -> None:
        self._engine = engine
        self._report = report

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> str:
        """Create a container; see the port."""
        with self._watch(Call.CREATE):
            return await self._engine.create(name, body, platform=platform)

    async def inspect(self, ref: str) -> Container:
        """Read one container; see the port."""
        with self._watch(Call.INSPECT):
            return await self._engine.inspect(ref)

    async def list(
        self,
        *,
        labels: Iterable[str] = (),
        statuses: Iterable[Status] = (),
        ids: Iterable[str] = (),
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Summary]:
        """List containers; see the port."""
        with self._watch(Call.LIST):
            return await self._engine.list(
                labels=labels, statuses=statuses, ids=ids, since=since, limit=limit
            )

    async def start(self, container_id: str) -> None:
        """Start a container; see the port."""
        with self._watch(Call.START):
            await self._engine.start(container_id)

    async def remove(self, container_id: str) -> None:
        """Remove a container; see the port."""
        with self._watch(Call.REMOVE):
            await self._engine.remove(container_id)

    async def ping(self) -> None:
        """Ask for service; see the port."""
        with self._watch(Call.PING):
            await self._engine.ping()

    async def info(self) -> EngineInfo:
        """Read who the engine is; see the port."""
        with self._watch(Call.INFO):
            return await self._engine.info()

    async def image_labels(self, image: str) -> Mapping[str, str]:
        """Read an image's labels; see the port."""
        with self._watch(Call.IMAGE):
            return await self._engine.image_labels(image)

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Have an image fetched; see the port."""
        with self._watch(Call.PULL):
            await self._engine.pull(
                image, platform=platform, credentials=credentials, report=report
            )

    @asynccontextmanager
    async def events(self, labels: Iterable[str]) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the port."""
        async with AsyncExitStack() as stack:
            with self._watch(Call.EVENTS):
                events = await stack.enter_async_context(self._engine.events(labels))
            yield events

    def now(self) -> int:
        """Return the engine's time; see the port."""
        return self._engine.now()

    async def close(self) -> None:
        """Close all connections; see the port."""
        await self._engine.close()

    @contextmanager
    def _watch(self, call: Call) -> Iterator[None]:
        began = time.perf_counter()
        outcome = Outcome.OK
        try:
            yield
        except BaseException as error:
            outcome = judge(error)
            raise
        finally:
            self._report(call, outcome, time.perf_counter() - began)


def judge(error: BaseException) -> Outcome:
    """Return the outcome of a call that raised ``error``."""
    return next((word for kind, word in _OUTCOMES if isinstance(error, kind)), Outcome.FAILED)
