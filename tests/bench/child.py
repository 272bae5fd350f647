"""Processes of the benchmark's own, asked and answering line by line."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_READY: Final = "ready"
_PATIENCE: Final = 120.0
_LONGEST: Final = 1 << 24  # bytes of an answer


class ChildFailedError(Exception):
    """A process ended, or did not answer in time."""


class Child:
    """A module that runs as a process, says ``ready``, and answers each line by one line."""

    def __init__(self, module: str, process: Process) -> None:
        self._module = module
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return await self.read()

    async def read(self) -> str:
        """Return the next line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ChildFailedError(f"{self._module} has ended")
        return line.decode().rstrip("\n")


@asynccontextmanager
async def run_child(module: str, *words: str) -> AsyncIterator[Child]:
    """Run ``module`` for the length of the block, from when it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words), stdin=PIPE, stdout=PIPE, limit=_LONGEST
    )
    child = Child(module, process)
    try:
        if (line := await child.read()) != _READY:
            raise ChildFailedError(f"{module} said {line!r}")
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
