"""Waiting for a state instead of for a time."""

import asyncio
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object], what: str, *, patience: float = 30.0, every: float = 0.05
) -> None:
    """Wait until ``condition`` holds; fail and say ``what`` was waited for after ``patience`` s."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(every)


async def until(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Wait until ``condition`` holds while others run."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)
