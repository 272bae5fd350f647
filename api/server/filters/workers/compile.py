"""Have a worker of its own compile a generation, so that nothing compiles in this process."""

import socket
from collections.abc import Sequence

from api.server.filters.workers import protocol
from api.server.filters.workers.process import launch
from api.server.filters.workers.protocol import CompileFault, WorkerSpec

_TIMEOUT = 30.0


class VerifyError(Exception):
    """The worker did not answer: it crashed or took too long."""


def compile_specs(specs: Sequence[WorkerSpec]) -> list[CompileFault]:
    """Return what does not compile; blocks for about 50 ms and at most some seconds.

    Raises ``VerifyError`` if the worker is lost, for instance over a program that takes all
    of its memory to compile.
    """
    process, channel = launch()
    try:
        with channel:
            channel.settimeout(_TIMEOUT)
            channel.sendall(protocol.pack_specs(specs))
            size, _ = protocol.HEADER.unpack(_read(channel, protocol.HEADER.size))
            return protocol.unpack_faults(_read(channel, size))
    except (OSError, EOFError) as error:
        raise VerifyError(f"the filters could not be compiled: {error}") from error
    finally:
        process.kill()
        process.wait()


def _read(channel: socket.socket, size: int) -> bytes:
    if size > protocol.MAX_FRAME:
        raise EOFError("its answer is too long")
    data = bytearray()
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            raise EOFError("the compiling process ended")
        data += part
    return bytes(data)
