"""Clients that follow events by the hundred, in a process of their own.

``python -m tests.bench.followers PORT COUNT`` prints ``ready`` once each client is told that it
knows all that there is. For each name that it reads it prints as JSON when every client was told
that the job of this name is over, and of every other job that it was asked to look for.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from tests.bench.child import Child, run_child

_PATIENCE: Final = 60.0
_HEAD: Final = b'"id": "'
_OVER: Final = b'"finished": true'
_SYNCED: Final = b'{"type": "synced"'

Times = Mapping[str, Sequence[float]]
"""By name of a job, when each client was told of its end, by the monotonic clock."""


class Followers:
    """The clients of a child."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def wait_for(self, name: str) -> Times:
        """Return once every client knows that job ``name`` is over, or has had a minute."""
        times: Times = json.loads(await self._child.ask(name))
        return times


@asynccontextmanager
async def run_followers(port: int, number: int, prefix: str) -> AsyncIterator[Followers]:
    """Run clients for the length of the block; they look for jobs called ``prefix-…``."""
    words = (str(port), str(number), prefix)
    async with run_child("tests.bench.followers", *words) as child:
        yield Followers(child)


class _Follower(asyncio.Protocol):
    """One client: it notes when it is told of the end of jobs whose id begins with ``prefix``.

    It makes no JSON of what it reads: two hundred that did would need more than the machine has.
    """

    def __init__(self, prefix: bytes, news: asyncio.Event) -> None:
        self._sought = _HEAD + prefix
        self._news = news
        self._rest = b""
        self.is_synced = False
        self.seen: dict[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return
        # of the framing of the chunks nothing stands within a line
        text, self._rest = self._rest + data[:end], data[end:]
        if not self.is_synced and _SYNCED in text:
            self.is_synced = True
            self._news.set()
        place = text.find(self._sought)
        while place >= 0:
            end = text.find(b"\n", place)
            self._note(text[place:end])
            place = text.find(self._sought, end)

    def _note(self, line: bytes) -> None:
        if _OVER in line:
            name = line[len(_HEAD) : line.index(b'"', len(_HEAD))].decode()
            self.seen.setdefault(name, time.monotonic())
            self._news.set()


class _Crowd:
    """All clients of this process."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.members: list[_Follower] = []

    async def gather(self, port: int, number: int, prefix: bytes) -> None:
        """Have so many clients follow, and wait until each knows all that there is."""
        loop = asyncio.get_running_loop()
        for _ in range(number):
            _, follower = await loop.create_connection(
                lambda: _Follower(prefix, self.news), "127.0.0.1", port
            )
            self.members.append(follower)
        async with asyncio.timeout(_PATIENCE):
            while not all(member.is_synced for member in self.members):
                await self._wait()

    async def wait_for(self, name: str) -> Times:
        """Return when who was told of which job, once all were told of ``name``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not all(name in member.seen for member in self.members):
                    await self._wait()
        names = {name for member in self.members for name in member.seen}
        return {
            each: [member.seen[each] for member in self.members if each in member.seen]
            for each in sorted(names)
        }

    async def _wait(self) -> None:
        self.news.clear()
        await self.news.wait()


async def _run(port: int, number: int, prefix: str) -> None:
    crowd = _Crowd()
    await crowd.gather(port, number, prefix.encode() + b"-")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(json.dumps(await crowd.wait_for(line.strip())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
