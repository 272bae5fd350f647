"""The last changes of all jobs, numbered: the one thing that every event stream reads."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, Final, TypeVar

from api.server.jobs.index import Change
from api.server.watch.turns import Turns

KEPT: Final = 10_000
"""Changes that are kept: a stream may be resumed behind any of them."""

_EPOCH_BYTES: Final = 4
_GATHER: Final = 0.05
"""Seconds at least between two times that streams are woken: what comes between is one writing."""
_EACH: Final = 0.0003
"""Seconds that each further stream adds to it."""
_SHARED: Final = 32
_LAST: Final = 1.0
"""Seconds that a stream has for its last message when service ends."""
_VERSION: Final = re.compile(r"([0-9a-f]{4,32})-([0-9]{1,18})")

Made = TypeVar("Made")
Render = Callable[[Change], bytes]
"""Makes the JSON of the job that a change is about."""


class Entry:
    """One change with its number; ``body``, its job in JSON, is made once for all streams."""

    __slots__ = ("_body", "_render", "change", "number")

    def __init__(self, number: int, change: Change, render: Render) -> None:
        self.number = number
        self.change = change
        self._render = render
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The job in JSON, as it was known when the first stream asked."""
        if self._body is None:
            self._body = self._render(self.change)
        return self._body


class EventLog:
    """Changes by number, the first of which is 1; ``epoch`` tells one process's from another's.

    Number 0 stands for no place at all: of what is sent before a snapshot is whole.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._entries: dict[int, Entry] = {}
        self._readers: dict[asyncio.Event, asyncio.Timeout] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._woken_at = 0.0
        self._shared: dict[object, Any] = {}
        self.turns = Turns()
        """In which streams tell what is more than the changes of a moment."""
        self.epoch = token_hex(_EPOCH_BYTES)
        self.head = 1
        """The number of the newest change; 1 where there was none yet."""
        self.is_ending = False
        """Whether service ends, and all streams with it."""

    @property
    def has_readers(self) -> bool:
        """Whether anybody follows."""
        return bool(self._readers)

    def add(self, change: Change) -> None:
        """Append a change."""
        self.head += 1
        self._entries[self.head] = Entry(self.head, change, self._render)
        self._entries.pop(self.head - KEPT, None)
        if self._readers and self._timer is None:
            loop = asyncio.get_running_loop()
            due = self._woken_at + _GATHER + _EACH * len(self._readers)
            self._timer = loop.call_at(max(due, loop.time()), self._wake)

    def holds(self, number: int) -> bool:
        """Tell whether everything behind ``number`` is kept."""
        return max(1, self.head - KEPT) <= number <= self.head

    def read(self, number: int, last: int | None = None) -> Iterator[Entry]:
        """Yield what follows ``number``, up to ``last``, the oldest first."""
        end = (self.head if last is None else last) + 1
        return (self._entries[each] for each in range(number + 1, end))

    def spell(self, number: int) -> str:
        """Return the version that stands for ``number``."""
        return f"{self.epoch}-{number}"

    def parse(self, version: str) -> int | None:
        """Return the number of a version, 0 for one of another process; None for none at all."""
        match = _VERSION.fullmatch(version)
        if match is None:
            return None
        number = int(match[2])
        if match[1] != self.epoch:
            return 0
        return number if number <= self.head else None

    def share(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what ``make`` makes of what ``key`` names: bytes, and what a feed is to know.

        It is kept for a while: streams alike ask for the same at the same moment.
        """
        found: Made | None = self._shared.get(key)
        if found is None:
            if len(self._shared) >= _SHARED:
                del self._shared[next(iter(self._shared))]
            found = self._shared[key] = make()
        return found

    @contextmanager
    def follow(self, patience: asyncio.Timeout) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever there is news.

        When service ends, ``patience`` is set: a client may have stopped to read.
        """
        news = asyncio.Event()
        self._readers[news] = patience
        try:
            yield news
        finally:
            del self._readers[news]

    async def end(self, *_: object) -> None:
        """Have all streams end: service does."""
        self.is_ending = True
        moment = asyncio.get_running_loop().time() + _LAST
        for patience in self._readers.values():
            patience.reschedule(moment)
        self._wake()

    def _wake(self) -> None:
        self._timer = None
        self._woken_at = asyncio.get_running_loop().time()
        for news in self._readers:
            news.set()
