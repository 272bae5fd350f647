"""Lets many wait for the full list that is due, or for the one that is under way."""

import asyncio
from dataclasses import dataclass, field

from api.engine.errors import EngineError


@dataclass(slots=True)
class _Reading:
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    error: EngineError | None = None


class FullList:
    """Whether a full list is to be asked for, and who waits for it."""

    def __init__(self) -> None:
        self.is_due = True
        """Whether it is to be asked for: at the start, and after each break."""
        self._due = _Reading()
        self._sent: _Reading | None = None

    async def wait(self) -> bool:
        """Wait for a list that is due, or else for one that is under way, if there is any.

        Tell whether it was asked for after this call: what is created before and stands in none of
        its rows is not there. Raises the ``EngineError`` that it failed with.
        """
        is_later = self.is_due
        reading = self._due if is_later else self._sent
        if reading is not None:
            await reading.is_over.wait()
            if reading.error is not None:
                raise reading.error
        return is_later

    def begin(self) -> None:
        """Note that it is asked for now."""
        self._sent, self._due = self._due, _Reading()

    def end(self) -> None:
        """Note that it was read."""
        assert self._sent is not None
        self._sent.is_over.set()
        self._sent = None

    def fail(self, error: EngineError) -> None:
        """Note that the engine could not be read: a list is due, and who waits for one is told."""
        for reading in (self._sent, self._due):
            if reading is not None:
                reading.error = error
                reading.is_over.set()
        self.is_due = True
        self._sent, self._due = None, _Reading()
