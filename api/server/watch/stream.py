"""Sends one client a feed for as long as it listens, however slowly it reads."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from api.engine.wait import wait_until_set
from api.server.jobs.query import Key
from api.server.watch.feed import Feed, Message
from api.server.watch.log import EventLog
from api.server.watch.wire import spell

BOOKMARK: Final = 15.0
"""Seconds between two bookmarks."""

_CHUNK: Final = 32
"""Messages that are written at once: about 30 kB, which takes 0.7 ms to make."""
_SHARED: Final = 256
"""Changes that are spelt once for all streams of one filter: some 200 kB."""
_FAR: Final = 2000
"""Changes that a client is behind from which on it is better told the last one of each job."""
_LOOK: Final = 1.0
"""Seconds after which it is seen that a client has left."""
ENDING: Final = "the service ends"
LEFT: Final = "the client left"
REVOKED: Final = "the token allows it no more"


class Sink(Protocol):
    """Where a stream is written to: waits while the client does not read."""

    async def write(self, data: bytes) -> None:
        """Write; raises ``ConnectionError`` where the client has left."""


@dataclass(slots=True)
class EventStream:
    """A feed on its way to ``sink``. ``is_allowed`` is asked at every bookmark."""

    feed: Feed
    log: EventLog
    sink: Sink
    media_type: str
    is_left: Callable[[], bool] = lambda: False
    is_allowed: Callable[[], bool] = lambda: True
    sent: int = 0

    async def run(self) -> str:
        """Write until the client leaves, may not read any more, or service ends; return which."""
        try:
            async with asyncio.timeout(None) as patience:
                with self.log.follow(patience) as news:
                    return await self._run(news)
        except TimeoutError:
            return ENDING
        except ConnectionError:
            return LEFT

    async def _run(self, news: asyncio.Event) -> str:
        clock = asyncio.get_running_loop().time
        due = clock() + BOOKMARK
        while True:
            news.clear()
            # a client that reads no faster than jobs change is never through with what is new
            is_due = clock() >= due or self.log.is_ending
            is_shared = await self._write_shared()
            if is_shared and not is_due:
                continue
            data = b"" if is_shared else await self._take()
            if is_due:
                if not self.is_allowed():
                    return REVOKED
                due = clock() + BOOKMARK
                if (mark := self.feed.mark()) is not None:
                    data += self._spell([mark])
            if data:
                await self._send(data)
            if self.log.is_ending:
                return ENDING
            if self.is_left():
                return LEFT
            if not self.feed.has_more:
                await wait_until_set(news, min(_LOOK, due - clock()))

    async def _write_shared(self) -> bool:
        """Write what is new as other streams of this filter do, unless the client is far behind."""
        cursor, head = self.feed.cursor, self.log.head
        if cursor is None or not 0 < head - cursor <= _FAR:
            return False
        last = min(head, cursor + _SHARED)
        is_first = False

        def make() -> tuple[bytes, int]:
            nonlocal is_first
            is_first = True
            messages, coalesced = self.feed.take_changes(last)
            return self._spell(messages), coalesced

        data, coalesced = self.log.share((self.feed.wanted, self.media_type, cursor, last), make)
        if not is_first:
            self.feed.skip(last, coalesced)
        if data:
            await self._send(data)
        return True

    async def _take(self) -> bytes:
        """Return what is to be told next: of a snapshot what other streams of this filter tell."""
        if self.feed.has_more:
            await self.log.turns.take()
        if not self.feed.is_only_showing:
            return self._spell(self.feed.take(_CHUNK))
        is_first = False

        def make() -> tuple[bytes, Key | None]:
            nonlocal is_first
            is_first = True
            messages, shown = self.feed.show(_CHUNK)
            return self._spell(messages), shown

        # what is shown of a job says how long it has run
        second = int(asyncio.get_running_loop().time())
        key = (self.feed.wanted, self.media_type, self.feed.shown, second)
        data, shown = self.log.share(key, make)
        if not is_first:
            self.feed.skip_shown(shown)
        return data if self.feed.has_more else data + self._spell(self.feed.take(_CHUNK))

    def _spell(self, messages: list[Message]) -> bytes:
        spell_version = self.log.spell
        return b"".join(
            spell(each, spell_version(each.number), self.media_type) for each in messages
        )

    async def _send(self, data: bytes) -> None:
        await self.sink.write(data)
        self.sent += len(data)
