"""POST and GET beside the engine's own create and inspect, with few and many containers.

The bare create asks for the container that a POST has the engine create. One that asks for less is
cheaper: without a ``HostConfig``, Docker Engine 20.10 looks at the host's cgroups once, not twice.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

from tests.bench.bare import Jobs, work_off
from tests.bench.forwarder import run_forwarder
from tests.bench.population import fill
from tests.bench.report import Findings, Row, at_least, at_most, relate, subtract
from tests.bench.rig import Client, Rig, name_body, read_body, run_process

_PART: Final = "requests"
_POST_GOALS: Final = {1: 0.9, 4: 0.75, 8: 0.75}
_MORE: Final = 3  # times the rounds where there is a goal: rates of one vary by a third
_GET_MORE_MS: Final = 3.0
_GET_GROWTH: Final = 1.25
_BARE: Final = "a bare create"

Create = Callable[[str, Sequence[str]], Coroutine[Any, Any, object]]
"""Creates a container, or has it created, of this name and with this command."""


async def measure(rig: Rig) -> Findings:
    """Measure with growing numbers of containers present; all of them are jobs of ours."""
    rows: list[Row] = []
    samples: dict[str, object] = {}
    async with run_process(rig.make_api()) as api, Client(api.url) as client:
        await client.post_all(rig.make_jobs("warm", 16), 8)
        await rig.bare.remove_all()
        body = await read_body(client)

        async def create(name: str, command: Sequence[str]) -> str:
            return await rig.bare.create_as(name, name_body(body, name, command))

        async with run_forwarder(rig, body) as forwarder:
            others: dict[str, Create] = {
                _BARE: create,
                "an empty handler": forwarder.post,
                "a create without HostConfig": rig.bare.create,
            }
            rows += await _measure_posts(rig, client, others, "0 containers", samples)
        present = 0
        in_inspects: dict[int, list[float]] = {}
        for population in rig.scale.populations:
            if population:
                await fill(rig.bare, "present", range(present, population))
                present = population
                circumstance = f"{population} containers"
                rows += await _measure_posts(rig, client, {_BARE: create}, circumstance, samples)
            gets, inspects = await _measure_gets(rig, client)
            in_inspects[population] = [
                get / inspect for get, inspect in zip(gets, inspects, strict=True)
            ]
            rows.append(_compare_gets(population, gets, inspects))
            samples |= {f"get_ms.{population}": gets}
            samples |= {f"inspect_ms.{population}": inspects}
        rows.append(_compare_sizes(in_inspects))
        await rig.bare.remove_all()
        async with run_process(rig.make_controller(0)):
            rows += await _measure_posts(
                rig, client, {_BARE: create}, "controller at work", samples
            )
        await rig.bare.remove_all()
    return Findings(rows, samples)


async def _measure_posts(
    rig: Rig,
    client: Client,
    others: Mapping[str, Create],
    circumstance: str,
    samples: dict[str, object],
) -> list[Row]:
    """Measure by turns with ``others``, by their names; there is a goal beside the bare create."""
    rows = []
    has_goal = circumstance.startswith("0 ")
    contenders: dict[str, Create] = {"POST": client.post, **others}
    for width, bound in _POST_GOALS.items():
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(rig.scale.rounds * (_MORE if has_goal else 1)):
            names: list[str] = []
            for name in contenders if turn % 2 else reversed(contenders):
                jobs = rig.make_jobs("post", rig.scale.posts)
                seconds = await _time(partial(_create_all, contenders[name], jobs, width))
                rates[name].append(rig.scale.posts / seconds)
                names += jobs
            await rig.bare.remove(names)
        key = f"{width} at a time, {circumstance}"
        samples |= {f"{name}, per second, {key}": found for name, found in rates.items()}
        for name in others:
            goal = at_least(bound) if has_goal and name == _BARE else None
            title = f"POST/s, {key}, beside {name}"
            rows.append(relate(_PART, title, rates["POST"], rates[name], unit="/s", goal=goal))
    return rows


async def _create_all(create: Create, jobs: Jobs, width: int) -> None:
    await work_off(jobs, width, lambda name: create(name, jobs[name]))


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


def _compare_sizes(in_inspects: Mapping[int, list[float]]) -> Row:
    """Compare GETs in units of the inspects beside them, for minutes lie between the sizes."""
    least, most = min(in_inspects), max(in_inspects)
    title = f"GET in inspects, {most} containers, beside {least}"
    goal = at_most(_GET_GROWTH)
    return relate(_PART, title, in_inspects[most], in_inspects[least], unit="inspects", goal=goal)


async def _time(run: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await run()
    return time.perf_counter() - begun
