"""Clients that mean no good, on bare sockets: malformed, slow, huge, and many at once.

``python -m tests.support.hostile KIND PORT COUNT TOKEN`` is such a crowd in a process of its own,
so that it takes no time from whoever measures; it prints ``ready`` and ends by its end of input.
A kind that is a request, such as ``GET /events``, is one that is held for as long as it goes.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PATIENCE = 20.0
Client = Callable[[int, int, asyncio.Semaphore, str], Coroutine[Any, Any, None]]
_HEADER = b"POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class RawReply:
    """What came back before the server closed or fell silent; ``code`` is 0 for nothing."""

    code: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def error(self) -> dict[str, Any]:
        """The error that the body, which must be JSON, describes."""
        assert self.headers["content-type"].startswith("application/json")
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert error["code"] == self.code
        return error


async def send(port: int, *parts: bytes, pause: float = 0, linger: float = 0) -> RawReply:
    """Send ``parts``, ``pause`` seconds apart, and return the first answer.

    A connection that is still open ``linger`` seconds after the answer counts as not closed.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headless = parts[0].startswith(b"HEAD ")
    # at once: bytes sent after the server has closed would take the answer away
    reading = asyncio.create_task(read_reply(reader, linger, headless=headless))
    try:
        for part in parts:
            with suppress(ConnectionError):
                writer.write(part)
                await writer.drain()
            if pause:
                await asyncio.wait({reading}, timeout=pause)
            if reading.done():
                break
        return await asyncio.wait_for(reading, _PATIENCE)
    finally:
        reading.cancel()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_reply(
    reader: asyncio.StreamReader, linger: float = 0, *, headless: bool = False
) -> RawReply:
    """Return the next answer on a connection; ``headless``: to a HEAD, without a body."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return RawReply(0, {}, b"", closed=True)
    status, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    body = await reader.readexactly(0 if headless else int(headers.get("content-length", "0")))
    closed = True
    with suppress(ConnectionError):
        try:
            closed = not await asyncio.wait_for(reader.read(1), linger)
        except TimeoutError:
            closed = False
    return RawReply(int(status.split()[1]), headers, body, closed)


@contextmanager
def crowd(kind: str, port: int, count: int, token: str = "") -> Iterator[None]:
    """Run ``count`` clients of a kind in a process of their own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hostile", kind, str(port), str(count), token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.communicate()


async def _trickle(port: int, index: int, started: asyncio.Semaphore, token: str) -> None:
    """Send a header, or a header and then a body, a byte a second; come back when closed."""
    header = _HEADER + _authorize(token)
    text = header + b"X-Padding: " + b"x" * 500
    while True:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if index % 2:
                writer.write(header + b"Content-Length: 500\r\n\r\n")
            started.release()
            for byte in text:
                writer.write(bytes([byte]))
                await writer.drain()
                with suppress(TimeoutError):
                    if not await asyncio.wait_for(reader.read(1000), 1):
                        break
            writer.close()
        await asyncio.sleep(1)


async def _pour(port: int, index: int, started: asyncio.Semaphore, token: str) -> None:
    """Send a body without end, announced or in chunks, as fast as it is taken; then again."""
    header = _HEADER + _authorize(token)
    chunk = b"x" * 65536
    while True:
        with suppress(ConnectionError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            if index % 2:
                writer.write(header + b"Content-Length: 1000000000\r\n\r\n")
                part = chunk
            else:
                writer.write(header + b"Transfer-Encoding: chunked\r\n\r\n")
                part = b"%x\r\n%s\r\n" % (len(chunk), chunk)
            started.release()
            for _ in range(15000):
                writer.write(part)
                await writer.drain()
        await asyncio.sleep(1)


async def _rest(port: int, _index: int, started: asyncio.Semaphore, _token: str) -> None:
    """Connect and send nothing; come back when closed."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started.release()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()


def _authorize(token: str) -> bytes:
    return b"Authorization: Bearer %s\r\n" % token.encode() if token else b""


async def _read_on(reader: asyncio.StreamReader) -> bool:
    """Read an answer; tell whether the connection may be used again."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or b"0")
        await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return False
    return b"connection: close" not in head


def _insist(line: bytes, *bodies: bytes) -> Client:
    """Return a client that sends the same requests again as soon as they are answered."""

    async def ask(port: int, index: int, started: asyncio.Semaphore, token: str) -> None:
        head = b"%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % line
        head += _authorize(token)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in count(index):
            body = bodies[number % len(bodies)] if bodies else b""
            with suppress(ConnectionError):
                writer.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                started.release()
                if await _read_on(reader):
                    continue
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

    return ask


def _hold(line: bytes) -> Client:
    """Return a client that sends a request and reads on; when it is answered, it comes back."""

    async def ask(port: int, _index: int, started: asyncio.Semaphore, token: str) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with suppress(ConnectionError):
                writer.write(line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
                writer.write(_authorize(token) + b"\r\n")
                started.release()
                while await reader.read(1 << 16):
                    pass
            writer.close()
            await asyncio.sleep(1)

    return ask


_CLIENTS = {
    "idle": _rest,
    "slow": _trickle,
    "huge": _pour,
    "loops": _insist(b"POST /job?dryRun=true", *(b'{"k": "%s"}' % k for k in (b"loop", b"memory"))),
    "works": _insist(b"POST /job?dryRun=true", b'{"k": "work"}'),
    "large": _insist(b"POST /job?dryRun=true", b'{"name": "x", "a": [%s0]}' % (b"0, " * 300000)),
    "posts": _insist(b"POST /job", *(b'{"name": "%012x"}' % n for n in range(1 << 12))),
    "ready": _insist(b"GET /health/ready"),
    "ids": _insist(b"GET /job/0123456789ab"),
    "strangers": _insist(b"GET /job/x"),
}


async def _gather(kind: str, port: int, number: int, token: str) -> None:
    started = asyncio.Semaphore(0)
    client = _CLIENTS.get(kind) or _hold(kind.encode())
    tasks = [asyncio.create_task(client(port, i, started, token)) for i in range(number)]
    for _ in range(number):
        await started.acquire()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_gather(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
