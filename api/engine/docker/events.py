"""Reads the engine's event stream: JSON lines of any length, cut as the network cuts them."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

import aiohttp

from api.engine.docker.error_mapping import translate_errors
from api.engine.docker.event_decode import Inherit, Know, read_event
from api.engine.interface import Event, EventKind, Pause

_MUCH: Final = 32 * 1024
_UNREADABLE: Final = Event(EventKind.UNREADABLE, uid="", time=0)


class EventReader:
    """Iterates over the events of an open response; ``note`` is told of each that is returned.

    For ``inherit`` and ``know`` see :func:`read_event`. An event that cannot be read is an
    ``UNREADABLE`` one: it must not keep others from being heard.

    aiohttp's own line reader raises beyond 512 KiB, and an async generator would break for good
    when the task that waits for its next event is cancelled.

    ``pause`` is awaited before each reading but one after much: aiohttp reads no further than twice
    64 KiB ahead of us, and what the engine cannot get rid of it drops in the end.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        namespace: str,
        inherit: Inherit,
        know: Know,
        note: Callable[[Event], None],
        *,
        pause: Pause | None = None,
    ) -> None:
        self._response = response
        self._namespace = namespace
        self._inherit = inherit
        self._know = know
        self._note = note
        self._pause = pause
        self._is_much = True
        self._parts: list[bytes] = []
        self._ready: deque[Event] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._pause is not None and not self._is_much:
                with self._rest():
                    await self._pause()
            with translate_errors():
                chunk = await self._response.content.readany()
                self._is_much = len(chunk) >= _MUCH
                self._feed(chunk)
            if not chunk:
                raise StopAsyncIteration
        event = self._ready.popleft()
        self._note(event)
        return event

    @contextmanager
    def _rest(self) -> Iterator[None]:
        """Leave what comes in the kernel: each part of it would wake this process."""
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        if transport is not None:
            transport.pause_reading()
        try:
            yield
        finally:
            if transport is not None:
                transport.resume_reading()

    def _feed(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            text = b"".join([*self._parts, line]).strip()
            self._parts.clear()
            if text and (event := self._read(text)):
                self._ready.append(event)
        self._parts.append(rest)

    def _read(self, line: bytes) -> Event | None:
        try:
            return read_event(json.loads(line.decode()), self._namespace, self._inherit, self._know)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return _UNREADABLE
