"""What it costs to see jobs: pages of a list, streams of what becomes of jobs, and memory.

The API runs as it does for users, on an engine in memory in a process of its own: no real engine
makes a thousand changes a second.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import aiohttp

from tests.bench.churn import PROBE, Churn, Churned, run_churn
from tests.bench.followers import Times, run_followers
from tests.bench.report import Findings, Row, at_least, at_most, relate, state
from tests.bench.rig import FILTER, NAMESPACE, run_process
from tests.bench.usage import Memory, read_tree_cpu, read_tree_memory
from tests.support.processes import ApiProcess, Process

Result = TypeVar("Result")
_PART: Final = "see"
_FEW: Final = 1000
_MANY: Final = 10_000
_MOST: Final = 100_000
_LISTS: Final = 300
_LIST_MS: Final = 15.0
_LIST_GROWTH: Final = 1.25
_STREAMS: Final = 200
_RATE: Final = 1000
_SECONDS: Final = 20.0
_KEPT_UP: Final = 0.98
_LAST_SECONDS: Final = 2.0
_MEGABYTES: Final = 300.0
_LOOK: Final = 0.25
_PATIENCE: Final = 120.0


async def measure(root: Path | None = None) -> Findings:
    """Measure this checkout's API, or that of the one at ``root``."""
    rows: list[Row] = []
    samples: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="bench-see-") as name:
        folder = Path(name)
        async with _open(folder, _FEW, root) as few, _open(folder, _MANY, root) as many:
            rows += await _measure_lists(few, many, samples)
        async with _open(folder, _MANY, root) as seen:
            rows.append(_describe_memory(_MANY, read_tree_memory(seen.api.pid)))
            rows += await _measure_streams(seen, samples)
        async with _open(folder, _MOST, root) as seen:
            rows.append(_describe_memory(_MOST, read_tree_memory(seen.api.pid)))
    return Findings(rows, samples)


class _Seen:
    """An API that knows all jobs of an engine."""

    def __init__(self, api: Process, engine: Churn, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.engine = engine
        self._session = session

    async def list(self, limit: int) -> dict[str, int]:
        """Read a page, and return how many jobs there are by phase."""
        async with self._session.get(f"{self.api.url}/job?limit={limit}") as response:
            payload = await response.read()
        counts: dict[str, int] = json.loads(payload)["counts"]
        return counts

    async def time_list(self, limit: int) -> float:
        """Return the milliseconds that a page takes, unread."""
        begun = time.perf_counter()
        async with self._session.get(f"{self.api.url}/job?limit={limit}") as response:
            await response.read()
        return (time.perf_counter() - begun) * 1e3


@asynccontextmanager
async def _open(folder: Path, jobs: int, root: Path | None) -> AsyncIterator[_Seen]:
    """Run an API on an engine of so many jobs for the length of the block; it knows them all."""
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(run_churn(folder, jobs))
        words = ("--log-level", "warn", FILTER)
        api = ApiProcess(engine.host, NAMESPACE, *words, root=root)
        await stack.enter_async_context(run_process(api))
        seen = _Seen(api, engine, await stack.enter_async_context(aiohttp.ClientSession()))
        async with asyncio.timeout(_PATIENCE):
            while sum((await seen.list(1)).values()) < jobs:
                await asyncio.sleep(0.1)
        yield seen


async def _measure_lists(few: _Seen, many: _Seen, samples: dict[str, object]) -> list[Row]:
    """Time pages by turns; the first one reads the exact times of the jobs that it shows."""
    taken: dict[int, list[float]] = {_FEW: [], _MANY: []}
    firsts = [await seen.time_list(100) for seen in (few, many)]
    for _ in range(_LISTS):
        taken[_FEW].append(await few.time_list(100))
        taken[_MANY].append(await many.time_list(100))
    samples |= {f"list_ms.{jobs}": values for jobs, values in taken.items()}
    title = "GET /job?limit=100"
    return [
        state(_PART, f"{title}, {_MANY:,} jobs, the first", firsts[1], "ms"),
        *(
            state(
                _PART,
                f"{title}, {jobs:,} jobs, median",
                statistics.median(values),
                "ms",
                at_most(_LIST_MS),
            )
            for jobs, values in taken.items()
        ),
        relate(
            _PART,
            f"{title}, {_MANY:,} jobs beside {_FEW:,}",
            taken[_MANY],
            taken[_FEW],
            unit="ms",
            goal=at_most(_LIST_GROWTH),
        ),
    ]


async def _measure_streams(seen: _Seen, samples: dict[str, object]) -> list[Row]:
    """Have streams idle, then changes told: how soon, and at what cost in time and memory."""
    pid, peaks = seen.api.pid, list[Memory]()
    watching = asyncio.create_task(_watch_memory(pid, peaks))
    begun, among = time.monotonic(), list[float]()
    asking = asyncio.create_task(_keep_listing(seen, among))
    async with run_followers(seen.api.port, _STREAMS, PROBE) as followers:
        synced = time.monotonic() - begun
        asking.cancel()
        idle, _ = await _count(pid, asyncio.sleep(_SECONDS / 2))
        used, churned = await _count(pid, seen.engine.make(_SECONDS, _RATE))
        told = await followers.wait_for([*churned.ended][-1])
    watching.cancel()
    samples |= {"ended": dict(churned.ended), "told": dict(told)}
    return [
        state(_PART, f"{_STREAMS} streams: each knows {_MANY:,} jobs after", synced, "s"),
        state(_PART, "GET /job?limit=100 meanwhile, median", statistics.median(among), "ms"),
        state(_PART, f"{_STREAMS} streams, idle: API's processor time", idle, "% of a core"),
        *_describe_churn(used, churned, told, max(peaks, key=lambda peak: peak.pss)),
    ]


async def _keep_listing(seen: _Seen, taken: list[float]) -> None:
    while True:
        taken.append(await seen.time_list(100))
        await asyncio.sleep(_LOOK / 10)


async def _watch_memory(pid: int, found: list[Memory]) -> None:
    while True:
        found.append(await asyncio.to_thread(read_tree_memory, pid))
        await asyncio.sleep(_LOOK)


async def _count(pid: int, work: Awaitable[Result]) -> tuple[float, Result]:
    """Return a process's processor time during ``work``, in percent, and what that returns."""
    begun, before = time.monotonic(), read_tree_cpu(pid)
    result = await work
    return (read_tree_cpu(pid) - before) / (time.monotonic() - begun) * 100, result


def _describe_churn(used: float, churned: Churned, told: Times, peak: Memory) -> list[Row]:
    where = f"{_STREAMS} streams, {_RATE:,} changes a second"
    rate = churned.changes / churned.seconds
    last = [*churned.ended][-1]
    delays = {
        name: max(times) - churned.ended[name]
        for name, times in told.items()
        if len(times) == _STREAMS
    }
    return [
        state(_PART, f"{where}: made", rate, "a second", at_least(_RATE * _KEPT_UP)),
        state(
            _PART,
            f"{where}: clients that were told the last one",
            len(told.get(last, ())),
            "clients",
            at_least(_STREAMS),
        ),
        state(
            _PART,
            f"{where}: from the last one until all were told",
            delays.get(last, float("inf")),
            "s",
            at_most(_LAST_SECONDS),
        ),
        *_describe_delays(where, [*delays.values()]),
        state(_PART, f"{where}: API's processor time", used, "% of a core"),
        state(
            _PART,
            f"{where}: API's memory, the most",
            peak.pss,
            f"MB PSS ({peak.rss:.0f} RSS)",
            at_most(_MEGABYTES),
        ),
    ]


def _describe_delays(where: str, delays: Sequence[float]) -> list[Row]:
    """Tell of all changes that were looked for: one is made each second."""
    if not delays:
        return []
    return [
        state(_PART, f"{where}: until all were told, median", statistics.median(delays), "s"),
        state(_PART, f"{where}: until all were told, longest", max(delays), "s"),
    ]


def _describe_memory(jobs: int, memory: Memory) -> Row:
    unit = f"MB PSS ({memory.rss:.0f} RSS)"
    return state(_PART, f"API's memory, idle, {jobs:,} jobs", memory.pss, unit)
