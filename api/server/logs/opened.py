"""One reading of a log on the engine: opened, looked into, and closed by hand."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Self

from api.engine.interface import Engine, LogFrame, LogReading
from api.server.logs.cursor import Overlap

_FIRST: Final = 2.0
"""Seconds to wait for the first entry of a log that had some."""


class OpenLog:
    """A reading; ``overlap`` leaves out of it what was read before."""

    def __init__(self, reading: LogReading, stack: AsyncExitStack, overlap: Overlap | None) -> None:
        self._reading = reading
        self._stack = stack
        self._overlap = overlap
        self._ahead: Sequence[LogFrame] | None = None

    @classmethod
    async def make(
        cls,
        engine: Engine,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
        overlap: Overlap | None = None,
    ) -> Self:
        """Open a log; see ``Engine.logs``."""
        async with AsyncExitStack() as stack:
            log = engine.logs(uid, since=since, until=until, tail=tail, follow=follow)
            reading = await stack.enter_async_context(log)
            return cls(reading, stack.pop_all(), overlap)
        raise AssertionError

    @property
    def is_exact(self) -> bool:
        """Whether what it follows is whole; see ``LogReading``."""
        return self._reading.is_exact

    @property
    def room(self) -> int | None:
        """Bytes that the log holds in any case; see ``LogReading``."""
        return self._reading.room

    @property
    def has_gap(self) -> bool:
        """Whether entries may be missing between those that were known and the new ones."""
        return self._overlap is not None and self._overlap.has_gap

    async def peek(self) -> LogFrame | None:
        """Return the first entry, known or new; None if there is none. Closes it on an error."""
        try:
            async with asyncio.timeout(_FIRST):
                self._ahead = await self._reading.read()
        except TimeoutError:
            return None
        except BaseException:
            await self.close()
            raise
        return self._ahead[0] if self._ahead else None

    async def read(self) -> Sequence[LogFrame] | None:
        """Return the next entries that are new, which may be none; None at the end."""
        frames, self._ahead = self._ahead, None
        if frames is None:
            frames = await self._reading.read()
        if not frames:
            return None
        return frames if self._overlap is None else self._overlap.take_new(frames)

    async def close(self) -> None:
        """End it, on the engine too."""
        await self._stack.aclose()
