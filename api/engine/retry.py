"""Short retries of idempotent engine calls, for trouble of the transport only.

A call that was refused is not repeated (the caller decides), nor one that ran into its deadline
(that would multiply the deadline). Retries of jobs are the planner's, never made here.
"""

import random

from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_exponential_jitter,
)

from api.engine.errors import EngineInterruptedError, EngineUnavailableError

idempotent = retry(
    retry=retry_if_exception_type((EngineUnavailableError, EngineInterruptedError)),
    stop=stop_after_attempt(3),
    wait=wait_exponential_jitter(multiplier=0.05, max=0.5, jitter=0.05),
    reraise=True,
)
"""Repeat a coroutine function up to twice, 50 to 250 ms apart."""


def compute_delay(attempt: int, *, initial: float, maximum: float) -> float:
    """Return how long to wait after failure number ``attempt`` (1 is the first), in seconds.

    tenacity's exponential wait, doubled from ``initial`` up to ``maximum``, with up to a tenth
    added at random after the cap (tenacity's own jitter vanishes there), so that what failed
    together is not repeated together.
    """
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type] # tenacity reads the attempt number alone
    state.attempt_number = attempt
    delay = wait_exponential(multiplier=initial, max=maximum)(state)
    return delay * (1 + random.uniform(0, 0.1))  # noqa: S311 - spread, not secrecy
