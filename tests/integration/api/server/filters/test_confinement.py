"""A worker that a document took over reads no memory, opens nothing, and ends nobody else."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.__main__ import main
from api.server.filters.service import from_options
from api.server.filters.workers import process, protocol
from api.server.filters.workers.compile import VerifyError, compile_specs
from tests.integration.api.server.filters.test_isolation import find_workers

TAKEN_OVER = """
import ctypes, os, socket, sys
from api.server.filters.workers.confinement import confine
libc = ctypes.CDLL(None, use_errno=True)
parent, address = int(sys.argv[1]), ctypes.create_string_buffer(8)
numbers = {"process_vm_readv": 310, "ptrace": 101, "pidfd_open": 434, "execve": 59, "socket": 41,
           "openat": 257, "open": 2, "kill": 62, "prctl": 157, "clone": 56, "unshare": 272,
           "io_uring_setup": 425, "setrlimit": 160, "openat with x32": 0x40000000 + 257}
assert confine()
refused = []
for name, number in numbers.items():
    if libc.syscall(number, parent, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == 1:
        refused.append(name)
if libc.syscall(234, parent, parent, 0) == -1 and ctypes.get_errno() == 1:
    refused.append("tgkill of another")
os.write(1, repr(sorted(refused) == sorted([*numbers, "tgkill of another"])).encode())
os.abort()
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are that processor's")
def test_a_confined_process_is_refused_everything_but_its_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_OVER, str(os.getpid())], check=False, capture_output=True
    )
    assert (done.stdout, done.returncode) == (b"True", -6), done.stderr


async def test_workers_are_confined_and_answer() -> None:
    filters = from_options(filter_source=".", from_file=None, filter_env=(), environ={})
    await filters.start()
    try:
        for pid in find_workers(os.getpid()):
            status = Path(f"/proc/{pid}/status").read_text()
            assert "Seccomp:\t2" in status
            assert "NoNewPrivs:\t1" in status
        now = from_options(
            filter_source="[now, (now | todate), (now | localtime | mktime), cuid2]",
            from_file=None,
            filter_env=(),
            environ={},
        )
        await now.start()
        rendered = await now.render("/job", {})
        await now.close()
        assert isinstance(rendered.manifest, list)
    finally:
        await filters.close()


OWNER = """
import ctypes, os, sys
from api.server.filters.workers.confinement import forbid_reading_memory
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
# a change of user forbids it, too: back to what a service has that was started as nobody
assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0
if sys.argv[1] == "forbid":
    assert forbid_reading_memory()
if os.fork():
    os.wait()
    os.close(os.open("/proc/self/stat", os.O_RDONLY))
    os.listdir("/proc/self/fd")
else:
    try:
        os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)
        print("read")
    except PermissionError:
        print("refused")
"""


@pytest.mark.parametrize(("how", "seen"), [("forbid", "refused"), ("leave", "read")])
def test_a_process_of_the_same_user_cannot_read_the_apis_memory(how: str, seen: str) -> None:
    """Root may read whatever it likes; the service is nobody."""
    done = subprocess.run(
        [sys.executable, "-c", OWNER, how], check=False, capture_output=True, text=True
    )
    assert (done.stdout.split(), done.returncode) == ([seen], 0), done.stderr


def test_the_api_forbids_it_as_soon_as_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    monkeypatch.setattr("api.__main__.forbid_reading_memory", lambda: called.append(True))
    with pytest.raises(SystemExit):
        main(["--from-file", "/nonexistent"])
    assert called == [True]


ENDLESS = (
    "import socket, struct; s = socket.socket(fileno=0);"
    "s.sendall(struct.pack('>IB', 1 << 31, 4));"
    "[s.sendall(b'x' * 65536) for _ in iter(int, 1)]"
)
"""Stands in for a worker's program: its answer has no end."""


async def test_a_frame_beyond_two_mebibytes_ends_its_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
        return real([command[0], "-c", ENDLESS], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", popen)
    worker = await process.start()
    async with asyncio.timeout(60):
        assert await worker.ended == -9
    assert len(worker._buffer) < protocol.MAX_FRAME
    with pytest.raises(VerifyError, match="too long"):
        await asyncio.to_thread(compile_specs, [])
