"""Sends one client a feed for as long as it listens, however slowly it reads."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from api.engine.wait import wait_until_set
from api.server.watch.feed import Feed, Message
from api.server.watch.log import EventLog
from api.server.watch.wire import spell

BOOKMARK: Final = 15.0
"""Seconds between two bookmarks."""

_CHUNK: Final = 64
"""Messages that are written at once: about 60 kB."""
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
            if await self._write_shared():
                continue
            messages = self.feed.take(_CHUNK)
            if clock() >= due or self.log.is_ending:
                if not self.is_allowed():
                    return REVOKED
                due = clock() + BOOKMARK
                if (mark := self.feed.mark()) is not None:
                    messages.append(mark)
            if messages:
                await self._write(messages)
            if self.log.is_ending:
                return ENDING
            if self.is_left():
                return LEFT
            if self.feed.has_more:
                await asyncio.sleep(0)
            else:
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

    async def _write(self, messages: list[Message]) -> None:
        await self._send(self._spell(messages))

    def _spell(self, messages: list[Message]) -> bytes:
        spell_version = self.log.spell
        return b"".join(
            spell(each, spell_version(each.number), self.media_type) for each in messages
        )

    async def _send(self, data: bytes) -> None:
        await self.sink.write(data)
        self.sent += len(data)
