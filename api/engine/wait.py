"""Waits for an event or a deadline, whichever comes first."""

import asyncio
import contextlib


async def wait_until_set(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until ``event`` is set, and no longer than ``seconds`` (``None``: without a limit).

    Not by ``asyncio.wait_for``: before Python 3.12 it loses a cancellation that comes at the
    moment of the event.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
