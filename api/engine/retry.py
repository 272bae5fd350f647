"""Short retries of idempotent engine calls, for failures of the connection only.

A call that was refused is not repeated (the caller decides), nor one that reached its deadline
(that would multiply the deadline). Retries of jobs are planned by the controller.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from api.engine.errors import EngineInterruptedError, EngineUnavailableError

P = ParamSpec("P")
T = TypeVar("T")
Call = Callable[P, Coroutine[Any, Any, T]]

_TROUBLE: Final = (EngineUnavailableError, EngineInterruptedError)
_first_wait: Final = wait_random(0.05, 0.1)
_again = retry(
    retry=retry_if_exception_type(_TROUBLE),
    stop=stop_after_attempt(2),
    wait=wait_random(0.1, 0.15),
    reraise=True,
)


def idempotent(call: Call[P, T]) -> Call[P, T]:
    """Repeat a coroutine function up to twice, after 50 to 100 ms and after 100 to 150 more.

    tenacity is used only after a failure: around every call it costs a fifth of an inspect.
    """
    again = _again(call)

    @wraps(call)
    async def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except _TROUBLE:
            await asyncio.sleep(_first_wait(_make_state(1)))
        return await again(*args, **kwargs)

    return attempt


def compute_delay(attempt: int, *, initial: float, maximum: float) -> float:
    """Return how long to wait after failure number ``attempt`` (1 is the first), in seconds.

    tenacity's exponential wait, doubled from ``initial`` up to ``maximum``, with up to a tenth
    added at random after the cap (tenacity's own jitter vanishes there), so that what failed
    together is not repeated together.
    """
    delay = wait_exponential(multiplier=initial, max=maximum)(_make_state(attempt))
    return delay * (1 + random.uniform(0, 0.1))  # noqa: S311 - spread, not secrecy


def _make_state(attempt: int) -> RetryCallState:
    """Return the state that tenacity's waits need: they read the attempt's number alone."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    return state
