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
    bytes: int = 0

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

    async def _write(self, messages: list[Message]) -> None:
        spelt = (spell(each, self.log.spell(each.number), self.media_type) for each in messages)
        data = b"".join(spelt)
        await self.sink.write(data)
        self.bytes += len(data)
