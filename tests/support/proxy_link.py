"""One connection through the fault proxy: requests are parsed, replies passed on as they come."""

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

_CHUNK = 65_536


class Act(Enum):
    """What a rule does to a request or its reply."""

    BLOCK = auto()
    DELAY = auto()
    CUT = auto()
    RESET = auto()
    LOSE = auto()
    TRUNCATE = auto()
    STALL = auto()
    HALF_CLOSE = auto()
    ANSWER = auto()
    SILENCE = auto()


@dataclass(slots=True)
class Rule:
    """One rule of the proxy; ``times`` is how often it may still count."""

    act: Act
    pattern: str
    times: int | None = None
    seconds: float = 0.0
    size: int = 0
    status: int = 0
    body: str = ""

    def fits(self, line: str) -> bool:
        """Tell whether it is about such a request."""
        return re.search(self.pattern, line) is not None

    def takes(self, line: str) -> bool:
        """Tell whether it counts for this request, and count it off."""
        if self.times == 0 or not self.fits(line):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Owner(Protocol):
    """The proxy, as a link needs it."""

    upstream: str

    def note(self, line: str) -> Rule | None:
        """Count a request and return the rule for it."""

    async def wait_until_healed(self) -> None:
        """Wait until all rules are dropped."""


class Link:
    """A client's connection and its own one to the engine.

    Without pipelining, whatever the engine sends belongs to the latest request: replies need no
    parsing. After an upgrade (attach) bytes pass both ways as they are.
    """

    def __init__(
        self, owner: Owner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._owner = owner
        self._reader = reader
        self._writer = writer
        self._passed = 0
        self._head_passed = False
        self._replies: asyncio.Task[None] | None = None
        self.line = ""
        self.rule: Rule | None = None

    async def run(self) -> None:
        """Pass requests and replies until either side ends, or the link is reset."""
        try:
            source, engine = await asyncio.open_unix_connection(self._owner.upstream)
        except OSError:
            self.reset()
            return
        self._replies = asyncio.create_task(self._pass_replies(source))
        requests = asyncio.create_task(self._pass_requests(engine))
        await asyncio.wait({self._replies})
        requests.cancel()
        await asyncio.wait({requests})
        engine.close()
        self._writer.close()

    def reset(self) -> None:
        """End the client's connection, by RST where the transport knows it."""
        raw = self._writer.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        if self._replies is not None:
            self._replies.cancel()

    async def _pass_requests(self, engine: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                self.line = head.split(b"\r\n", 1)[0].decode("latin-1").rpartition(" ")[0]
                self._passed, self._head_passed = 0, False
                self.rule = self._owner.note(self.line)
                body = await self._read_body(head)
                await self._prepare()
                engine.write(head + body)
                await engine.drain()
                if b"\r\nupgrade:" in head.lower():
                    await self._pass_raw(engine)
        except (asyncio.IncompleteReadError, OSError):
            with contextlib.suppress(OSError, RuntimeError):
                engine.write_eof()

    async def _read_body(self, head: bytes) -> bytes:
        headers = head.lower()
        if length := re.search(rb"\r\ncontent-length: *(\d+)", headers):
            return await self._reader.readexactly(int(length[1]))
        body = b""
        if b"\r\ntransfer-encoding: chunked" in headers:
            size = 1
            while size:
                line = await self._reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                body += line + await self._reader.readexactly(size + 2)
        return body

    async def _prepare(self) -> None:
        """Do what the rule asks before the engine gets the request; raise if it never does."""
        rule = self.rule
        match rule.act if rule else None:
            case Act.BLOCK:
                await self._owner.wait_until_healed()
                self.rule = None
                if self._reader.at_eof():
                    raise ConnectionResetError
            case Act.DELAY:
                assert rule is not None
                await asyncio.sleep(rule.seconds)
            case Act.RESET:
                self.reset()
                raise ConnectionResetError
            case Act.HALF_CLOSE:
                self._writer.write_eof()
                await self._reader.read()
                raise ConnectionResetError
            case Act.ANSWER:
                assert rule is not None
                await self._answer(rule.status, rule.body.encode())
                raise ConnectionResetError

    async def _answer(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()

    async def _pass_raw(self, engine: asyncio.StreamWriter) -> None:
        while data := await self._reader.read(_CHUNK):
            engine.write(data)
            await engine.drain()
        raise ConnectionResetError

    async def _pass_replies(self, source: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                rule = self.rule
                match rule.act if rule else None:
                    case Act.LOSE:
                        continue
                    case Act.CUT:
                        self.reset()
                        return
                    case Act.TRUNCATE | Act.STALL:
                        assert rule is not None
                        data = data[: rule.size - self._passed]
                        self._writer.write(data)
                        await self._writer.drain()
                        self._passed += len(data)
                        if self._passed >= rule.size and rule.act is Act.TRUNCATE:
                            return
                        continue
                    case Act.SILENCE:
                        if self._head_passed:
                            continue
                        end = data.find(b"\r\n\r\n")
                        data = data if end < 0 else data[: end + 4]
                self._head_passed = self._head_passed or b"\r\n\r\n" in data
                self._writer.write(data)
                await self._writer.drain()
