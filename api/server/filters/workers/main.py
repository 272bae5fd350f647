"""The filter worker's process: it compiles one generation, then answers calls until EOF.

Started as ``python -I -m api.server.filters.workers.main PARENT_PID`` with a socket as its standard
input and an empty environment. Once its programs are loaded it can open no file any more.
"""

import ctypes
import os
import resource
import signal
import socket
import sys

from api.server.filters.workers import protocol
from api.server.filters.workers.confinement import confine
from api.server.filters.workers.evaluation import Evaluation

MEMORY = 256 << 20
"""Most bytes of address space; libjq aborts where it gets no more."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the parent whose pid is the first argument."""
    # a terminal's Ctrl-C and a service manager's SIGTERM reach the whole group, but requests
    # in flight still need us; the parent ends us by closing the socket or by SIGKILL
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with(int(sys.argv[1]))
    _limit()
    channel = socket.socket(fileno=0)
    kind, payload = _receive(channel)
    assert kind is protocol.FrameKind.LOAD
    specs = protocol.unpack_specs(payload)
    if any(s.schema is not None for s in specs):
        # read before files are out of reach
        import api.server.filters.workers.schema  # noqa: F401, PLC0415
    _lock()
    evaluations = [Evaluation(i, s) for i, s in enumerate(specs)]
    channel.sendall(protocol.pack_faults([f for e in evaluations for f in e.faults]))
    while True:
        kind, payload = _receive(channel)
        assert kind is protocol.FrameKind.CALL
        _serve(channel, evaluations, protocol.unpack_call(payload))


def _serve(
    channel: socket.socket, evaluations: list[Evaluation], call: protocol.FilterCall
) -> None:
    try:
        answer = evaluations[call.number].evaluate(call)
    except MemoryError:
        # as libjq does where it gets no more
        os.abort()
    if isinstance(answer, protocol.FilterRefusal):
        channel.sendall(protocol.pack_refusal(answer))
    else:
        channel.sendall(protocol.frame(protocol.FrameKind.RESULT, answer))


def _receive(channel: socket.socket) -> tuple[protocol.FrameKind, bytes]:
    size, kind = protocol.HEADER.unpack(_read(channel, protocol.HEADER.size))
    return protocol.FrameKind(kind), _read(channel, size)


def _read(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(size)
        if not part:
            # not sys.exit: nothing here needs an orderly end
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _die_with(parent: int) -> None:
    """Have the kernel kill us when the parent's thread that started us ends, even in a loop."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os._exit(0)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib costs 5 ms
            file.write("1000")
    except OSError:
        return  # no /proc: the kernel then chooses by size alone


def _lock() -> None:
    """Let go of the terminal, of every file that might still be opened, and of most else."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    confine()


if __name__ == "__main__":
    main()
