"""An Engine wrapper that reports the kind, outcome and duration of each call."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

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
from api.engine.interface import Engine, Event, LogReading, Pause

P = ParamSpec("P")
T = TypeVar("T")


class Call(StrEnum):
    """The calls of the Engine interface."""

    CREATE = "create"
    INSPECT = "inspect"
    LIST = "list"
    START = "start"
    STOP = "stop"
    CREATE_MARK = "create_mark"
    FIND_MARK = "find_mark"
    REMOVE = "remove"
    PING = "ping"
    INFO = "info"
    IMAGE = "image"
    PULL = "pull"
    LOGS = "logs"  # until a log is open
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
    """``engine``, with every call told to ``report`` when it ends; see the Engine interface."""

    def __init__(self, engine: Engine, report: Report) -> None:
        measure = Measure(report)
        self._engine = engine
        self._measure = measure
        self.create = measure(Call.CREATE, engine.create)
        self.inspect = measure(Call.INSPECT, engine.inspect)
        self.list = measure(Call.LIST, engine.list)
        self.start = measure(Call.START, engine.start)
        self.stop = measure(Call.STOP, engine.stop)
        self.create_mark = measure(Call.CREATE_MARK, engine.create_mark)
        self.find_mark = measure(Call.FIND_MARK, engine.find_mark)
        self.remove = measure(Call.REMOVE, engine.remove)
        self.ping = measure(Call.PING, engine.ping)
        self.info = measure(Call.INFO, engine.info)
        self.image_config = measure(Call.IMAGE, engine.image_config)
        self.pull = measure(Call.PULL, engine.pull)
        self.find_unsupported = engine.find_unsupported
        self.now = engine.now
        self.close = engine.close

    @asynccontextmanager
    async def events(self, *, pause: Pause | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to container events; see the Engine interface."""
        async with AsyncExitStack() as stack:
            with self._measure.timed(Call.EVENTS):
                events = await stack.enter_async_context(self._engine.events(pause=pause))
            yield events

    @asynccontextmanager
    async def logs(
        self,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogReading]:
        """Open a log; see the Engine interface."""
        async with AsyncExitStack() as stack:
            with self._measure.timed(Call.LOGS):
                log = await stack.enter_async_context(
                    self._engine.logs(uid, since=since, until=until, tail=tail, follow=follow)
                )
            yield log


class Measure:
    """Makes of a call the same call that tells ``report`` how it ended, and after how long."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __call__(
        self, call: Call, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return ``function``, reported as ``call``."""

        # not by ``timed``: each call would make a generator
        @wraps(function)
        async def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.perf_counter()
            outcome = Outcome.OK
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                outcome = classify(error)
                raise
            finally:
                self._report(call, outcome, time.perf_counter() - began)

        return measured

    @contextmanager
    def timed(self, call: Call) -> Iterator[None]:
        """Report what happens in the block as ``call``."""
        began = time.perf_counter()
        outcome = Outcome.OK
        try:
            yield
        except BaseException as error:
            outcome = classify(error)
            raise
        finally:
            self._report(call, outcome, time.perf_counter() - began)


def classify(error: BaseException) -> Outcome:
    """Return the outcome of a call that raised ``error``."""
    return next((word for kind, word in _OUTCOMES if isinstance(error, kind)), Outcome.FAILED)
