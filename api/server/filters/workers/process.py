"""One filter worker as the event loop sees it: started, called, niced, killed, reaped."""

import asyncio
import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from api.server.filters.workers import protocol

# Whatever a document makes a worker do, the engine and this process have the processor first.
_NICE, _NICEST = 10, 19
_CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3), which Python does not have


class WorkerLostError(Exception):
    """The worker's process ended; ``status`` is its exit status, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the worker ended with status {status}")
        self.status = status


Receiver = Callable[[protocol.FrameKind, bytes], None]


class WorkerProcess(asyncio.Protocol):
    """A worker process and the socket to it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.niced = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit status, once the process is reaped."""
        self.receive: Receiver = lambda _kind, _payload: None
        self._paused_since: float | None = None
        self._paused_time = 0.0
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def send(self, frame: bytes) -> None:
        """Send one frame."""
        assert self._transport is not None
        self._transport.write(frame)

    @property
    def usable(self) -> bool:
        """Whether the process may still answer."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def processor_time(self) -> float:
        """Seconds the processor has spent on the process; infinite once it has ended."""
        try:
            return time.clock_gettime((~self.process.pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            return math.inf

    @property
    def paused_time(self) -> float:
        """Seconds for which the process was paused."""
        if self._paused_since is None:
            return self._paused_time
        return self._paused_time + time.monotonic() - self._paused_since

    def be_nice(self) -> None:
        """Let everything else have the processor first; this cannot be taken back."""
        self.niced = True
        _set_niceness(self.process.pid, _NICEST)

    def pause(self) -> None:
        """Stop the process until ``resume``; it can still be killed."""
        self._paused_since = time.monotonic()
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        self._paused_time = self.paused_time
        self._paused_since = None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process now, whatever it does; ``ended`` follows."""
        self.process.kill()
        if self._transport is not None:
            self._transport.abort()

    # what follows is asyncio.Protocol's
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand every whole frame to ``receive``."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= protocol.HEADER.size:
            size, kind = protocol.HEADER.unpack_from(buffer)
            if size > protocol.MAX_FRAME:
                # no worker of ours sends that
                self.kill()
                return
            end = protocol.HEADER.size + size
            if len(buffer) < end:
                return
            payload = bytes(buffer[protocol.HEADER.size : end])
            del buffer[:end]
            self.receive(protocol.FrameKind(kind), payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make sure that the process ends, and wait for it."""
        del exc
        self.process.kill()
        # the process is ending: this takes a moment, but may not take the event loop's
        waiting = asyncio.get_running_loop().run_in_executor(None, self.process.wait)
        waiting.add_done_callback(self._on_reaped)

    def _on_reaped(self, waiting: "asyncio.Future[int]") -> None:
        if not self.ended.done() and not waiting.cancelled():
            self.ended.set_result(waiting.result())


def launch() -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """Start a worker process with nothing of ours but one socket; return it and our end.

    The kernel kills the worker when the calling thread ends: call this from a thread that
    lives as long as the worker may.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", "-m", "api.server.filters.workers.main", str(os.getpid())],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    _set_niceness(process.pid, _NICE)
    return process, ours


def _set_niceness(pid: int, niceness: int) -> None:
    """Set a worker back behind all others.

    Where the kernel groups processes by session (sched(7), autogroup), only the group's own
    niceness counts against other sessions, the engine's among them; a worker has a session of
    its own, so that this is not ours.
    """
    # it may just have ended, and not every kernel has groups
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")


async def start() -> WorkerProcess:
    """Start a worker and connect to it; it waits for its ``LOAD`` frame."""
    process, ours = launch()
    ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
    loop = asyncio.get_running_loop()
    try:
        _, child = await loop.create_connection(lambda: WorkerProcess(process), sock=ours)
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    return child
