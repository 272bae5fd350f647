"""Clients that mean no good, on bare sockets: malformed, slow, huge, and many at once.

``python -m tests.support.hostile slow|huge PORT COUNT`` is such a crowd in a process of its own,
so that it takes no time from whoever measures; it prints ``ready`` and ends by its end of input.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PATIENCE = 20.0
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
def crowd(kind: str, port: int, count: int) -> Iterator[None]:
    """Run ``count`` ``slow`` or ``huge`` clients in a process of their own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hostile", kind, str(port), str(count)],
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


async def _trickle(port: int, index: int, started: asyncio.Semaphore) -> None:
    """Send a header, or a header and then a body, a byte a second; come back when closed."""
    text = _HEADER + b"X-Padding: " + b"x" * 500
    while True:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if index % 2:
                writer.write(_HEADER + b"Content-Length: 500\r\n\r\n")
            started.release()
            for byte in text:
                writer.write(bytes([byte]))
                await writer.drain()
                with suppress(TimeoutError):
                    if not await asyncio.wait_for(reader.read(1000), 1):
                        break
            writer.close()
        await asyncio.sleep(1)


async def _pour(port: int, index: int, started: asyncio.Semaphore) -> None:
    """Send a body without end, announced or in chunks, as fast as it is taken; then again."""
    chunk = b"x" * 65536
    while True:
        with suppress(ConnectionError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            if index % 2:
                writer.write(_HEADER + b"Content-Length: 1000000000\r\n\r\n")
                part = chunk
            else:
                writer.write(_HEADER + b"Transfer-Encoding: chunked\r\n\r\n")
                part = b"%x\r\n%s\r\n" % (len(chunk), chunk)
            started.release()
            for _ in range(15000):
                writer.write(part)
                await writer.drain()
        await asyncio.sleep(1)


async def _gather(kind: str, port: int, count: int) -> None:
    started = asyncio.Semaphore(0)
    client = {"slow": _trickle, "huge": _pour}[kind]
    tasks = [asyncio.create_task(client(port, i, started)) for i in range(count)]
    for _ in range(count):
        await started.acquire()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_gather(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
