"""What the processes cost, idle and loaded: processor time, memory, and calls to the engine."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tests.bench.measure import find_peak
from tests.bench.population import fill, finish, make_queues, write_queues
from tests.bench.report import Findings, Row, at_most, state
from tests.bench.rig import Client, Rig, Scale, open_rig, run_process
from tests.bench.usage import Memory, read_cpu, read_tree_cpu, read_tree_memory
from tests.support.private_engine import PrivateEngine
from tests.support.processes import Process
from tests.support.proxy import FaultProxy, name_kind

_PART: Final = "footprint"
_PERCENT: Final = 2.0
_MEGABYTES: Final = 250.0
_ENGINE_PERCENT: Final = 1.5
_LIST_SHARE: Final = 0.005
"""Of the time, that lists of everything may take."""
_LEAST_LISTS: Final = 0.1
"""A minute, in any case."""
_SLOTS: Final = 4
_QUEUES: Final = 50
LIST_ALL: Final = "GET /containers/json (all)"
INSPECT: Final = "GET /containers/{id}/json"
_KEEP: Final = "86400"
_SETTLED_SECONDS: Final = 3.0
_SETTLE_PATIENCE: Final = 300.0
_PATIENCE: Final = 600.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment: what had been used until then, in seconds of processor time, and called."""

    time: float
    api: float
    controller: float
    engine: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in ``seconds``: processor time in percent of one core, memory at the end."""

    seconds: float
    api: float
    controller: float
    engine: float
    api_memory: Memory
    controller_memory: Memory
    calls: Counter[str]


@dataclass(frozen=True, slots=True)
class Watched:
    """Both processes, with a proxy between them and their engine."""

    engine: PrivateEngine
    proxy: FaultProxy
    api: Process
    controller: Process

    def mark(self) -> Mark:
        """Return the present moment."""
        return Mark(
            time.monotonic(),
            read_tree_cpu(self.api.pid),
            read_tree_cpu(self.controller.pid),
            _read_engine(self.engine),
        )

    def sum_up(self, since: Mark) -> Usage:
        """Return what was used since a moment."""
        now = self.mark()
        seconds = now.time - since.time
        return Usage(
            seconds,
            (now.api - since.api) / seconds * 100,
            (now.controller - since.controller) / seconds * 100,
            (now.engine - since.engine) / seconds * 100,
            read_tree_memory(self.api.pid),
            read_tree_memory(self.controller.pid),
            Counter(
                name_call(request.line)
                for request in list(self.proxy.requests)
                if since.time <= request.time < now.time
            ),
        )

    async def settle(self) -> None:
        """Wait until nothing is inspected any more: what had ended is known."""
        async with asyncio.timeout(_SETTLE_PATIENCE):
            seen = -1
            while seen != (seen := self.proxy.count(r"^GET \S+/containers/[^/]+/json")):
                await asyncio.sleep(_SETTLED_SECONDS)


@asynccontextmanager
async def _watch(rig: Rig, limit: int, *options: str) -> AsyncIterator[Watched]:
    with FaultProxy(rig.engine.host) as proxy, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "queues.yaml")
        write_queues(make_queues(_QUEUES, _SLOTS), path)
        queues = ("--queues", str(path))
        async with (
            run_process(rig.make_api(proxy.host, *queues)) as api,
            run_process(
                rig.make_controller(limit, *queues, *options, host=proxy.host)
            ) as controller,
        ):
            watched = Watched(rig.engine, proxy, api, controller)
            await watched.settle()
            yield watched


async def measure(scale: Scale) -> Findings:
    """Measure on an engine of its own for each population."""
    rows: list[Row] = []
    samples: dict[str, object] = {}
    for population in scale.populations:
        async with open_rig(scale) as rig:
            await _populate(rig, population)
            alone = await _measure_engine(rig.engine, scale.idle_seconds)
            list_cost = await _time_list(rig)
            async with _watch(rig, 0, "-k", _KEEP) as watched:
                begun = watched.mark()
                # on a big host lists are rare: of each process two are to fall into the time
                await asyncio.sleep(max(scale.idle_seconds, 2 * list_cost / _LIST_SHARE))
                usage = watched.sum_up(begun)
        rows += _describe_idle(population, usage, alone, list_cost)
        samples[f"idle_calls_per_minute.{population}"] = _count_per_minute(usage)
    async with open_rig(scale) as rig:
        rows += await _measure_loaded(rig, samples)
    return Findings(rows, samples)


async def _populate(rig: Rig, population: int) -> None:
    if population:
        queues = make_queues(_QUEUES, _SLOTS)
        exited = await fill(rig.bare, "exited", range(population), queues)
        await finish(rig.engine, exited)
        await fill(rig.bare, "pending", range(population), queues)


async def _measure_engine(engine: PrivateEngine, seconds: float) -> float:
    """Return what the engine uses with nobody asking, in percent of one core."""
    before = _read_engine(engine)
    await asyncio.sleep(seconds)
    return (_read_engine(engine) - before) / seconds * 100


async def _time_list(rig: Rig) -> float:
    """Return the seconds that the engine takes to list everything."""
    begun = time.monotonic()
    await rig.bare.list_ids()
    return time.monotonic() - begun


def name_call(line: str) -> str:
    """Return a request's kind; lists of all, active, and new containers and later pages differ."""
    kind = name_kind(line)
    if kind != "GET /containers/json":
        return kind
    filters = unquote(line.partition("?")[2])
    if '"before"' in filters:
        return f"{kind} (next page)"
    if '"since"' in filters:
        return f"{kind} (new)"
    return f"{kind} (active)" if '"status"' in filters else LIST_ALL


def _read_engine(engine: PrivateEngine) -> float:
    return read_cpu([engine.pid, engine.containerd_pid])


def _describe_idle(population: int, usage: Usage, alone: float, list_cost: float) -> list[Row]:
    where = f"idle, {population} exited + {population} pending in {_QUEUES} queues"
    memory = usage.api_memory.pss + usage.controller_memory.pss
    # What each of both may list, and the one more that falls into a window of any length.
    lists = 2 * (max(_LEAST_LISTS, _LIST_SHARE * 60 / list_cost) + 60 / usage.seconds)
    calls = _count_per_minute(usage)
    bounds = {LIST_ALL: at_most(lists), INSPECT: at_most(0)}
    return [
        state(_PART, f"API's processor time, {where}", usage.api, "% of a core"),
        state(_PART, f"controller's processor time, {where}", usage.controller, "% of a core"),
        state(
            _PART,
            f"both, {where}",
            usage.api + usage.controller,
            "% of a core",
            at_most(_PERCENT),
        ),
        state(
            _PART,
            f"engine's, caused by both, {where}",
            usage.engine - alone,
            "% of a core",
            at_most(_ENGINE_PERCENT),
        ),
        *_describe_memory(where, usage),
        state(_PART, f"memory of both, {where}", memory, "MB PSS", at_most(_MEGABYTES)),
        *(
            state(_PART, f"{kind}, {where}", calls.get(kind, 0.0), "a minute", bounds.get(kind))
            for kind in sorted({*calls, *bounds})
        ),
    ]


def _describe_memory(where: str, usage: Usage) -> list[Row]:
    return [
        state(_PART, f"{name}'s memory, {where}", memory.pss, f"MB PSS ({memory.rss:.0f} RSS)")
        for name, memory in (("API", usage.api_memory), ("controller", usage.controller_memory))
    ]


def _count_per_minute(usage: Usage) -> dict[str, float]:
    return {kind: count / usage.seconds * 60 for kind, count in sorted(usage.calls.items())}


async def _measure_loaded(rig: Rig, samples: dict[str, object]) -> list[Row]:
    """Watch both while they run jobs as fast as the engine can."""
    count = rig.scale.jobs[_SLOTS] * 2
    async with (
        _watch(rig, _SLOTS) as watched,
        Client(watched.api.url) as client,
        rig.bare.record() as record,
    ):
        begun = watched.mark()
        await client.post_all(rig.make_jobs("load", count), _SLOTS)
        await record.wait_for("die", count, _PATIENCE)
        usage = watched.sum_up(begun)
        peak = find_peak(record.find_intervals())
    samples["loaded_calls"] = dict(usage.calls)
    where = f"loaded, max-concurrent {_SLOTS}, {count / usage.seconds:.1f} jobs/s"
    return [
        state(_PART, f"API's processor time, {where}", usage.api, "% of a core"),
        state(_PART, f"controller's processor time, {where}", usage.controller, "% of a core"),
        state(_PART, f"engine's processor time, {where}", usage.engine, "% of a core"),
        state(_PART, f"most running at once, {where}", peak, "containers", at_most(_SLOTS)),
        *_describe_memory(where, usage),
        *(
            state(_PART, f"{kind}, {where}", calls_made / count, "a job")
            for kind, calls_made in sorted(usage.calls.items())
        ),
    ]
