"""What a worker may ask of the kernel, should a document ever take it over, and of whose memory."""

import ctypes
import os
from collections.abc import Mapping
from typing import Final

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 4, 38, 22
_SECCOMP_MODE_FILTER = 2
# <linux/bpf_common.h>: load a word, jump if equal, return
_LOAD, _JUMP, _RETURN = 0x20, 0x15, 0x06
# struct seccomp_data
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # _REFUSE is EPERM

_CALLS: Final[Mapping[str, tuple[int, int, str]]] = {
    "x86_64": (
        0xC000003E,
        234,
        (
            "read 0 write 1 close 3 fstat 5 poll 7 lseek 8 mmap 9 mprotect 10 munmap 11 "
            "brk 12 rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15 sched_yield 24 "
            "mremap 25 madvise 28 nanosleep 35 getpid 39 sendto 44 recvfrom 45 sendmsg 46 "
            "recvmsg 47 exit 60 gettimeofday 96 getrusage 98 sigaltstack 131 gettid 186 "
            "time 201 futex 202 restart_syscall 219 clock_gettime 228 clock_nanosleep 230 "
            "exit_group 231 getrandom 318"
        ),
    ),
    "aarch64": (
        0xC00000B7,
        131,
        (
            "close 57 lseek 62 read 63 write 64 ppoll 73 fstat 80 exit 93 exit_group 94 "
            "futex 98 nanosleep 101 clock_gettime 113 clock_nanosleep 115 sched_yield 124 "
            "restart_syscall 128 sigaltstack 132 rt_sigaction 134 rt_sigprocmask 135 "
            "rt_sigreturn 139 getrusage 165 gettimeofday 169 getpid 172 gettid 178 "
            "sendto 206 recvfrom 207 sendmsg 211 recvmsg 212 brk 214 munmap 215 mremap 216 "
            "mmap 222 mprotect 226 madvise 233 getrandom 278"
        ),
    ),
}
"""By processor: its code, the number of tgkill, and every other call that an evaluation needs."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def confine() -> bool:
    """Refuse this thread every system call but those that an evaluation needs, for good.

    False where the processor is another or the kernel has no filters: then nothing is refused.
    A signal may be sent to this process alone, which is how it aborts.
    """
    if os.uname().machine not in _CALLS:
        return False
    instructions = _make_filter(*_CALLS[os.uname().machine])
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)
    )


def forbid_reading_memory() -> bool:
    """Keep other processes of this user, workers among them, from this one's memory."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def _make_filter(arch: int, tgkill: int, calls: str) -> list[_Instruction]:
    plain = [int(number) for number in calls.split()[1::2]]
    return [
        _Instruction(_LOAD, 0, 0, _ARCH),
        _Instruction(_JUMP, 1, 0, arch),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER),
        # to the last instruction
        *(_Instruction(_JUMP, len(plain) - i + 3, 0, n) for i, n in enumerate(plain)),
        _Instruction(_JUMP, 0, 2, tgkill),
        _Instruction(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _Instruction(_JUMP, 1, 0, os.getpid()),
        _Instruction(_RETURN, 0, 0, _REFUSE),
        _Instruction(_RETURN, 0, 0, _ALLOW),
    ]


def _prctl(option: int, *arguments: object) -> bool:
    filled = [*arguments, *[0] * (4 - len(arguments))]
    longs = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in filled]
    return bool(ctypes.CDLL(None).prctl(option, *longs) == 0)
