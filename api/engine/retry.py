"""Short retries of idempotent engine calls, for trouble of the transport only.

A call that was refused is not repeated (the caller decides), nor one that ran into its deadline
(that would multiply the deadline). Retries of jobs are the planner's, never made here.
"""

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from api.engine.errors import EngineInterruptedError, EngineUnavailableError

idempotent = retry(
    retry=retry_if_exception_type((EngineUnavailableError, EngineInterruptedError)),
    stop=stop_after_attempt(3),
    wait=wait_exponential_jitter(initial=0.05, max=0.5, jitter=0.05),
    reraise=True,
)
"""Repeat a coroutine function up to twice, 50 to 250 ms apart."""
