"""POST and GET beside the engine's own create and inspect, with few and many containers."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tests.bench.bare import create_all
from tests.bench.forwarder import run_forwarder
from tests.bench.population import fill
from tests.bench.report import Findings, Row, at_least, at_most, relate, subtract
from tests.bench.rig import Client, Rig, run_process

_PART: Final = "requests"
_POST_GOALS: Final = {1: 0.9, 4: 0.75, 8: 0.75}
_MORE: Final = 3  # times the rounds where there is a goal: rates of one vary by a third
_GET_MORE_MS: Final = 3.0
_GET_GROWTH: Final = 1.25

Contender = tuple[list[float], Callable[[], Awaitable[object]]]
"""Where a contender's rates go, and what runs it."""


async def measure(rig: Rig) -> Findings:
    """Measure with growing numbers of containers present; all of them are jobs of ours."""
    rows: list[Row] = []
    samples: dict[str, object] = {}
    async with (
        run_process(rig.make_api()) as api,
        Client(api.url) as client,
        run_forwarder(rig) as forwarder,
    ):
        await client.post_all(rig.make_jobs("warm", 16), 8)
        await rig.bare.remove_all()
        present = 0
        gets: dict[int, list[float]] = {}
        for population in rig.scale.populations:
            await fill(rig.bare, "present", range(present, population))
            present = population
            rows += await _measure_posts(
                rig,
                client,
                f"{population} containers",
                samples,
                forwarder=forwarder if population == 0 else None,
            )
            gets[population], inspects = await _measure_gets(rig, client)
            rows.append(_compare_gets(population, gets[population], inspects))
            samples |= {f"get_ms.{population}": gets[population]}
            samples |= {f"inspect_ms.{population}": inspects}
        rows.append(_compare_sizes(gets))
        await rig.bare.remove_all()
        async with run_process(rig.make_controller(0)):
            rows += await _measure_posts(rig, client, "controller at work", samples)
        await rig.bare.remove_all()
    return Findings(rows, samples)


async def _measure_posts(
    rig: Rig,
    client: Client,
    circumstance: str,
    samples: dict[str, object],
    *,
    forwarder: Client | None = None,
) -> list[Row]:
    """Measure beside bare creates and, with a ``forwarder``, beside the emptiest of services."""
    rows = []
    for width, bound in _POST_GOALS.items():
        ours: list[float] = []
        bare: list[float] = []
        empty: list[float] = []
        for turn in range(rig.scale.rounds * (1 if forwarder is None else _MORE)):
            jobs = rig.make_jobs("post", rig.scale.posts)
            others = rig.make_jobs("create", rig.scale.posts)
            post = partial(client.post_all, jobs, width)
            create = partial(create_all, rig.bare, others, width)
            contenders: list[Contender] = [(ours, post), (bare, create)]
            names = [*jobs, *others]
            if forwarder is not None:
                more = rig.make_jobs("forward", rig.scale.posts)
                contenders.append((empty, partial(forwarder.post_all, more, width)))
                names += more
            for rates, run in contenders if turn % 2 else reversed(contenders):
                rates.append(rig.scale.posts / await _time(run))
            await rig.bare.remove(names)
        key = f"{width} at a time, {circumstance}"
        samples |= {f"posts_per_second.{key}": ours, f"creates_per_second.{key}": bare}
        goal = at_least(bound) if circumstance.startswith("0 ") else None
        rows.append(relate(_PART, f"POST/s, {key}", ours, bare, unit="/s", goal=goal))
        if empty:
            samples |= {f"forwards_per_second.{key}": empty}
            title = f"POST/s, {key}, beside an empty handler"
            rows.append(relate(_PART, title, ours, empty, unit="/s"))
    return rows


async def _measure_gets(rig: Rig, client: Client) -> tuple[list[float], list[float]]:
    """Return the times of GETs and of bare inspects by turns, in ms."""
    name = rig.make_names("get", 1)[0]
    await client.post(name)
    gets, inspects = [], []
    for _ in range(rig.scale.gets):
        gets.append(await _time(lambda: client.get(name)) * 1e3)
        inspects.append(await _time(lambda: rig.bare.inspect(name)) * 1e3)
    await rig.bare.remove([name])
    return gets, inspects


def _compare_gets(population: int, gets: list[float], inspects: list[float]) -> Row:
    title = f"GET, {population} containers, beside inspect"
    return subtract(_PART, title, gets, inspects, unit="ms", goal=at_most(_GET_MORE_MS))


def _compare_sizes(gets: dict[int, list[float]]) -> Row:
    least, most = min(gets), max(gets)
    title = f"GET, {most} containers, beside {least}"
    return relate(_PART, title, gets[most], gets[least], unit="ms", goal=at_most(_GET_GROWTH))


async def _time(run: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await run()
    return time.perf_counter() - begun
