"""The shims of private engines: adopted by this process, so that their time is not lost."""

import asyncio
import contextlib
import ctypes
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.bench.usage import read_children, read_own_and_reaped
from tests.support.private_engine import PrivateEngine

_PR_SET_CHILD_SUBREAPER: Final = 36
_NAME: Final = "containerd-shim"
_PAUSE: Final = 0.02  # seconds: a shim lives longer


class Shims:
    """The time of shims by the folder of their engine; a shim that ended does not tell its own."""

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}
        self._ended: defaultdict[str, float] = defaultdict(float)

    def read(self, engine: PrivateEngine) -> float:
        """Return the seconds that the shims of ``engine`` have used, and the jobs in them."""
        self._look()
        folder = str(engine.folder)
        alive = (pid for pid, known in self._folders.items() if known == folder)
        return self._ended[folder] + sum(map(read_own_and_reaped, alive))

    async def watch(self) -> None:
        """Look whose each new shim is until cancelled, and reap those that have ended."""
        while True:
            self._look()
            await asyncio.sleep(_PAUSE)

    def _look(self) -> None:
        for pid in read_children(os.getpid()):
            name, state = _read_stat(pid)
            if not name.startswith(_NAME):
                continue
            if state == "Z":
                _, _, used = os.wait4(pid, 0)
                self._ended[self._folders.pop(pid, "")] += used.ru_utime + used.ru_stime
            elif pid not in self._folders:
                with contextlib.suppress(OSError, ValueError):  # it is about to begin or to end
                    self._folders[pid] = _read_folder(pid)


@asynccontextmanager
async def adopt_shims() -> AsyncIterator[Shims]:
    """Have orphans of this process's descendants become its children; a shim is one.

    Else the kernel gives them, and the time that they have used, to process 1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    shims = Shims()
    task = asyncio.create_task(shims.watch())
    try:
        yield shims
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _read_folder(pid: int) -> str:
    """Return the folder of the engine in whose folder a shim's containerd listens."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("-address") + 1].partition("/exec/")[0]


def _read_stat(pid: int) -> tuple[str, str]:
    """Return a process's name, which the kernel cuts at 15 characters, and its state."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return "", ""
    return head.partition("(")[2], rest.split()[0]
