"""This checkout beside another one: the same work by turns, on one engine, in one run."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Final

from tests.bench.latency import run_our_queue, run_seen_queue
from tests.bench.load import make_ours
from tests.bench.report import Findings, Goal, Row, at_least, at_most, relate
from tests.bench.rig import FULL_FILTER, Client, Rig, Scale, open_rig, run_process

_SLOTS: Final = 4
_WIDTHS: Final = (1, 4, 8)
_PATIENCE: Final = 600.0
_RATE: Final = at_least(0.97)
_TIME: Final = at_most(1.03)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two checkouts, with an API of its own and what was measured of it by figure."""

    rig: Rig
    client: Client
    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figure: str, values: Sequence[float]) -> None:
        """Take in samples of a figure."""
        self.found.setdefault(figure, []).extend(values)


Turn = Callable[[Side, Scale], Awaitable[None]]


async def measure(scale: Scale, other: Path, only: Collection[str] | None) -> Findings:
    """Run each part on this checkout and on ``other`` by turns, and relate the medians.

    Which of the two comes first changes with each round, so that a slow minute hits both; of twice
    as many rounds as elsewhere, because at four slots the medians of equals differ by a tenth from
    round to round. Both ask the engine for the same container: a log with a bound costs it a tenth
    of a create more.
    """
    parts = {name: turn for name, turn in _PARTS.items() if not only or name in only}
    async with open_rig(scale) as rig, AsyncExitStack() as stack:
        sides = []
        for root in (rig.root, other):
            each = replace(rig, root=root, filter=FULL_FILTER)
            api = await stack.enter_async_context(run_process(each.make_api()))
            sides.append(Side(each, await stack.enter_async_context(Client(api.url))))
        for side in sides:
            await side.client.post_all(rig.make_jobs("warm", 16), 8)
            await rig.bare.remove_all()
        for number in range(2 * scale.rounds):
            for turn in parts.values():
                for side in sides if number % 2 else reversed(sides):
                    await turn(side, scale)
                    await rig.bare.remove_all()
    ours, others = (side.found for side in sides)
    samples = {f"{figure}.this": values for figure, values in ours.items()}
    samples |= {f"{figure}.other": values for figure, values in others.items()}
    return Findings(_relate(ours, others), samples)


def _relate(
    ours: Mapping[str, Sequence[float]], others: Mapping[str, Sequence[float]]
) -> list[Row]:
    return [
        relate("compare", figure, ours[figure], others[figure], unit=unit, goal=goal)
        for figure in ours
        for unit, goal in [_judge(figure)]
    ]


def _judge(figure: str) -> tuple[str, Goal]:
    """Return a figure's unit and goal: a rate may not fall, nor a time rise, by more than 3 %."""
    return ("/s", _RATE) if "/s" in figure else ("ms", _TIME)


async def _run_jobs(side: Side, scale: Scale) -> None:
    for limit, count in scale.jobs.items():
        run = await make_ours(side.rig, side.client)(count, limit)
        side.add(f"jobs/s at {limit}", [run.jobs_per_second])


async def _start_jobs(side: Side, scale: Scale) -> None:
    rig = side.rig
    async with run_process(rig.make_controller(_SLOTS)), rig.bare.record() as record:
        for number, name in enumerate(rig.make_names("free", scale.starts // scale.rounds + 1)):
            answered = await side.client.post(name)
            await record.wait_for("die", number + 1, _PATIENCE)
            started = (await rig.bare.read_interval(name)).start
            side.add("201 to StartedAt", [(started - answered) / 1e6])


async def _hand_over(side: Side, scale: Scale) -> None:
    rig = side.rig
    for limit, count in scale.queue.items():
        ours = await run_our_queue(rig, side.client, limit, rig.make_jobs("ours", count))
        side.add(f"FinishedAt to next StartedAt at {limit}", ours.find_gaps(limit))
        seen = await run_seen_queue(rig, side.client, limit, rig.make_jobs("seen", count))
        side.add(f"die received to next start call at {limit}", seen.answers)


async def _ask(side: Side, scale: Scale) -> None:
    rig = side.rig
    for width in _WIDTHS:
        jobs = rig.make_jobs("post", scale.posts)
        begun = perf_counter()
        await side.client.post_all(jobs, width)
        side.add(f"POST/s, {width} at a time", [scale.posts / (perf_counter() - begun)])
        await rig.bare.remove_all()
    name = rig.make_names("get", 1)[0]
    await side.client.post(name)
    times = []
    for _ in range(scale.gets // scale.rounds + 1):
        begun = perf_counter()
        await side.client.get(name)
        times.append((perf_counter() - begun) * 1e3)
    side.add("GET", times)


_PARTS: Final[Mapping[str, Turn]] = {
    "throughput": _run_jobs,
    "start": _start_jobs,
    "handover": _hand_over,
    "requests": _ask,
}
