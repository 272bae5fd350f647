"""Planner and informer against the in-memory engine, at sizes no test host holds.

Times are processor time of this thread: nothing here waits, and other processes do not count.
"""

import asyncio
import builtins
import gc
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from api.engine.errors import EngineUnavailableError
from api.informer.informer import Informer
from api.runtime.memory import relax_collector
from api.v1.job import Job
from api.v1.queue import Queue
from api.v1.spec import JobSpec, digest_document, encode
from api.v1.wishes import NO_WISHES, Wishes
from controller.job_index import JobIndex
from controller.ledger import Ledger
from controller.planner import plan
from controller.policy import Moment, Policy
from tests.bench.measure import fit_growth
from tests.bench.population import make_queues
from tests.bench.report import Findings, Row, at_most, state
from tests.bench.svg import Series, draw_lines
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.fakes.engine.store import Selection

_PART: Final = "simulate"
_NAMESPACE: Final = "bench"
_SLOTS: Final = 4
_WAKES: Final = 300
_PASSES: Final = 9
_PATIENCE: Final = 300.0
_WAKE_GROWTH: Final = 1.5
_PASS_GROWTH: Final = 12.0
_PLAN_MS: Final = 20.0
_HOUR: Final = 3600 * 10**9


class _TimedEngine(MemoryEngine):
    """Counts the seconds its lists take: part of a pass, and of the fake."""

    seconds = 0.0

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        begun = time.thread_time()
        rows = await super()._select(wanted)
        self.seconds += time.thread_time() - begun
        return rows


@dataclass(frozen=True, slots=True)
class Pass:
    """One full pass, in seconds."""

    whole: float
    without_list: float


class Loop:
    """A controller without its executor: folds what the informer tells, and plans."""

    def __init__(self, queues: Sequence[Queue]) -> None:
        self.engine = _TimedEngine(namespace=_NAMESPACE)
        self.informer = Informer(self.engine, self, interval=_PATIENCE, wants_finish=True)
        named = {queue.name: queue for queue in queues}
        self.policy = Policy(max_concurrent=_SLOTS, keep_exited_for=_HOUR, queues=named)
        self.index = JobIndex(self.policy)
        self.ledger = Ledger()
        self.changed = asyncio.Event()
        self.looked = asyncio.Event()

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Keep the index."""
        self.index.put(old, new, self.now())
        self.changed.set()

    def on_resync(self) -> None:
        """Note that everything was compared."""
        if self.informer.engine_status.is_up:
            self.looked.set()

    def plan(self) -> None:
        """Plan as the controller does at each wake-up."""
        plan(self.index, self.policy, self.ledger, self.now())

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(time.time_ns(), time.monotonic())

    async def note_change(self) -> None:
        """Wait for the next change."""
        await self.changed.wait()
        self.changed.clear()

    async def settle(self, jobs: int) -> None:
        """Wait until every job is known, the finished ones with the time of their end."""
        async with asyncio.timeout(_PATIENCE):
            while self._count_known() < jobs:
                await asyncio.sleep(0.1)

    def _count_known(self) -> int:
        ended = sum(1 for _ in self.index.expiring)
        return self.index.pending + len(self.index.active) + ended


async def simulate(largest: int, queues: int = 1) -> Findings:
    """Measure at a tenth and at all of ``largest`` jobs, half of them exited, half pending.

    They are spread over so many ``queues``, of which each has a cap and a weight, if not one alone.
    """
    lines = make_queues(queues, _SLOTS) if queues > 1 else []
    relax_collector()  # as both processes do
    sizes = [largest // 10, largest // 3, largest]
    wakes, passes, plans = {}, {}, {}
    for size in sizes:
        async with _open_loop(size, lines) as loop:
            wakes[size] = [await _time_wake(loop) for _ in range(_WAKES)]
            passes[size] = [await _time_pass(loop) for _ in range(_PASSES)]
            plans[size] = [_time_plan(loop) for _ in range(_PASSES)]
    slowest = max(plans[largest]) * 1e3
    alone = state(_PART, f"a plan at {largest:,} jobs", slowest, "ms", at_most(_PLAN_MS))
    findings = _describe(wakes, passes)
    return replace(findings, rows=[*findings.rows, alone])


@asynccontextmanager
async def _open_loop(size: int, queues: Sequence[Queue]) -> AsyncIterator[Loop]:
    loop = Loop(queues)
    for number in range(size):
        name = f"job-{number}"
        wishes = Wishes(queues[number % len(queues)].name) if queues else NO_WISHES
        spec = JobSpec("/job", "default", digest_document("/job", name), wishes=wishes)
        labels = encode(spec, namespace=_NAMESPACE, job_id=name, labels={})
        loop.engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
        if number < size // 2:
            loop.engine.run(name)
            loop.engine.finish(name)
    for number in range(size // 2, size // 2 + _SLOTS):
        loop.engine.run(f"job-{number}")
    # The fake's containers are not ours to look through: a real engine has its own memory.
    gc.collect()
    gc.freeze()
    running = asyncio.create_task(loop.informer.run())
    try:
        await loop.settle(size)
        yield loop
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        gc.unfreeze()
        gc.collect()


async def _time_wake(loop: Loop) -> float:
    """Return the seconds from one job's end to the plan made once it was read how it ended.

    The next job starts before the next sample, so that the plan always has a slot to fill.
    """
    ended = next(iter(loop.index.active))
    following = next(loop.index.untried).uid
    loop.changed.clear()
    begun = time.thread_time()
    loop.engine.finish(ended)
    while not loop.index.jobs[ended].is_finished:
        await loop.note_change()
        loop.plan()
    seconds = time.thread_time() - begun
    loop.engine.run(following)
    while following not in loop.index.active:
        await loop.note_change()
    return seconds


async def _time_pass(loop: Loop) -> Pass:
    """Time a pass: list everything, compare it with what is known, and plan."""
    loop.looked.clear()
    listing, begun = loop.engine.seconds, time.thread_time()
    loop.informer.mark_down(EngineUnavailableError("a pass over everything is asked for"))
    await loop.looked.wait()
    loop.plan()
    whole = time.thread_time() - begun
    return Pass(whole, whole - (loop.engine.seconds - listing))


def _time_plan(loop: Loop) -> float:
    """Return the seconds that one plan takes."""
    begun = time.thread_time()
    loop.plan()
    return time.thread_time() - begun


def _describe(wakes: dict[int, list[float]], passes: dict[int, list[Pass]]) -> Findings:
    measured = (
        ("a wake-up", wakes, at_most(_WAKE_GROWTH)),
        ("a full pass", _pick(passes, attrgetter("whole")), at_most(_PASS_GROWTH)),
        ("of it, without the fake's list", _pick(passes, attrgetter("without_list")), None),
    )
    rows: list[Row] = []
    pictured = []
    samples: dict[str, object] = {}
    for name, by_size, goal in measured:
        medians = {size: statistics.median(values) for size, values in by_size.items()}
        first, last = min(medians), max(medians)
        rows += [
            state(_PART, f"{name} at {size:,} jobs, median", median * 1e3, "ms")
            for size, median in medians.items()
        ]
        title = f"{name}: growth from {first:,} to {last:,} jobs"
        rows.append(state(_PART, title, medians[last] / medians[first], "times", goal))
        exponent = fit_growth(list(medians), list(medians.values()))
        rows.append(state(_PART, f"{name}: exponent of growth", exponent, "(0 flat, 1 linear)"))
        points = [(float(size), median / medians[first]) for size, median in medians.items()]
        pictured.append(Series(name, points))
        samples |= {f"{name}, seconds at {size}": values for size, values in by_size.items()}
    store = draw_lines("Growth with the number of jobs", "jobs", "times the first", pictured)
    return Findings(rows, samples, {"growth.svg": store})


def _pick(passes: dict[int, list[Pass]], read: Callable[[Pass], float]) -> dict[int, list[float]]:
    return {size: [read(one) for one in found] for size, found in passes.items()}
