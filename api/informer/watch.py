"""Keeps one event subscription alive, and replaces one that has fallen silent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import structlog

from api.engine.errors import EngineError
from api.engine.interface import Engine, Event, EventKind, Pause
from api.engine.retry import compute_delay

_log = structlog.get_logger(__name__)
_UNHEARD: Final = 5.0  # seconds after which a change without its event means a silent stream
_QUIET: Final = 60.0  # seconds between two lines about events that cannot be read
_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 2.0


class Watch:
    """The events of ``engine``.

    ``on_begin`` is called when a subscription stands, ``on_end`` when it has ended, ``on_event``
    for every event. For ``pause`` see ``Engine.events``.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        on_begin: Callable[[], None],
        on_event: Callable[[Event], None],
        on_end: Callable[[], None],
        pause: Pause | None = None,
    ) -> None:
        self._engine = engine
        self._pause = pause
        self._on_begin = on_begin
        self._on_event = on_event
        self._on_end = on_end
        self._heard: dict[str, float] = {}
        self._unheard: dict[str, float] = {}
        self._restart = asyncio.Event()
        self._complained = float("-inf")
        self.unreadable = 0
        """Events skipped so far because they cannot be read."""

    async def keep(self) -> None:
        """Subscribe, and again after every end, until cancelled."""
        failures = 0
        while True:
            self._restart.clear()
            began = time.monotonic()
            with contextlib.suppress(EngineError):
                async with self._engine.events(pause=self._pause) as events:
                    self._on_begin()
                    await self._follow(events)
            # One that ends at once, again and again, must not cost a full list each time.
            failures = 1 if time.monotonic() - began > _LAST_DELAY else failures + 1
            self._on_end()
            await asyncio.sleep(compute_delay(failures, initial=_FIRST_DELAY, maximum=_LAST_DELAY))

    def note_unannounced(self, uids: Iterable[str]) -> None:
        """Remember changes that a list showed before any event did.

        One whose event has just come is announced, even if the list was faster than the look.
        """
        now = time.monotonic()
        for uid in uids:
            if uid not in self._heard:
                self._unheard.setdefault(uid, now)

    def check(self) -> None:
        """Subscribe anew when a change stays without its event: a stream may break in silence."""
        now = time.monotonic()
        self._heard = {key: at for key, at in self._heard.items() if now - at <= _UNHEARD}
        if any(now - noticed > _UNHEARD for noticed in self._unheard.values()):
            self._unheard.clear()
            self._restart.set()

    async def _follow(self, events: AsyncIterator[Event]) -> None:
        restart = asyncio.create_task(self._restart.wait())
        following = asyncio.create_task(self._consume(events))
        try:
            await asyncio.wait({restart, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
        finally:
            for task in (restart, following):
                task.cancel()
            await asyncio.gather(restart, following, return_exceptions=True)

    async def _consume(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.kind is EventKind.UNREADABLE:
                self.unreadable += 1
                if time.monotonic() - self._complained >= _QUIET:
                    self._complained = time.monotonic()
                    _log.warning("event skipped: it cannot be read", skipped=self.unreadable)
                continue
            self._heard[event.uid] = time.monotonic()
            self._unheard.pop(event.uid, None)
            self._on_event(event)
