"""What it costs to look: ``docker-job ls`` beside ``docker ps``, from the start of the process.

On an engine in memory with a thousand jobs, all of which both show; by turns.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.bench.churn import run_churn
from tests.bench.report import Findings, Row, at_most, relate, state_percentile
from tests.bench.rig import FILTER, NAMESPACE, run_process
from tests.support.processes import ApiProcess

_PART: Final = "command"
_JOBS: Final = 1000
_ROUNDS: Final = 20
_SECONDS: Final = 0.5
_ON_TERMINAL: Final = "docker-job ls -a on a terminal"
_PATIENCE: Final = 60.0
_COMMAND: Final = Path(sys.prefix, "bin/docker-job")


async def measure() -> Findings:
    """Measure the newest hundred jobs and all, each beside docker's list of all containers."""
    with tempfile.TemporaryDirectory(prefix="bench-command-") as name:
        async with run_churn(Path(name), _JOBS) as engine:
            api = ApiProcess(engine.host, NAMESPACE, "--log-level", "warn", FILTER)
            async with run_process(api):
                await _wait_for_jobs(api)
                env = os.environ | {
                    "DJD_URL": api.url,
                    "DOCKER_HOST": engine.host,
                    # the engine in memory does not negotiate
                    "DOCKER_API_VERSION": "1.41",
                }
                taken = await asyncio.to_thread(_take_turns, env)
    rows = [*_describe(taken)]
    return Findings(rows, {f"command_s.{title}": values for title, values in taken.items()})


async def _wait_for_jobs(api: ApiProcess) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            page = await asyncio.to_thread(api.get, "/job?limit=1")
            if sum(page.body["counts"].values()) >= _JOBS:
                return
            await asyncio.sleep(0.1)


def _take_turns(env: Mapping[str, str]) -> dict[str, list[float]]:
    """Return the seconds of each command line."""
    lines: dict[str, Sequence[str | Path]] = {
        "docker-job ls": (_COMMAND, "ls"),
        "docker-job ls -a": (_COMMAND, "ls", "-a"),
        _ON_TERMINAL: (_COMMAND, "ls", "-a"),
        "docker ps -a": ("docker", "ps", "-a"),
    }
    taken: dict[str, list[float]] = {title: [] for title in lines}
    for number in range(_ROUNDS + 1):
        for title, words in lines.items():
            begun = time.perf_counter()
            shown = _run_on_terminal(words, env) if title == _ON_TERMINAL else _run(words, env)
            seconds = time.perf_counter() - begun
            wanted = 100 if title == "docker-job ls" else _JOBS
            if shown.count(b"\n") < wanted:
                raise RuntimeError(f"{title} shows too little")
            if number:  # the first one fills the page cache
                taken[title].append(seconds)
    return taken


def _run(words: Sequence[str | Path], env: Mapping[str, str]) -> bytes:
    return subprocess.run(words, env=env, check=True, capture_output=True).stdout


def _run_on_terminal(words: Sequence[str | Path], env: Mapping[str, str]) -> bytes:
    """Return what a command writes to a terminal of its own."""
    master, slave = os.openpty()
    process = subprocess.Popen(words, env=env, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    with suppress(OSError):  # what Linux says where the other end is closed
        while data := os.read(master, 1 << 16):
            shown += data
    os.close(master)
    if process.wait():
        raise RuntimeError(f"{words} ended with {process.returncode}")
    return shown


def _describe(taken: Mapping[str, Sequence[float]]) -> Sequence[Row]:
    ps = taken["docker ps -a"]
    return [
        row
        for title in ("docker-job ls", "docker-job ls -a", _ON_TERMINAL)
        for row in (
            relate(_PART, f"{title} / docker ps -a", taken[title], ps, unit="s"),
            state_percentile(
                _PART, f"{title}, p90", taken[title], 0.9, unit="s", goal=at_most(_SECONDS)
            ),
        )
    ]
