"""Jobs per second: ours beside the bare loop, ``docker run`` under xargs, and Swarm."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from tests.bench.load import Contender, Run, make_ours, race_bare, race_swarm, race_xargs
from tests.bench.report import Findings, Goal, Row, at_least, at_most, relate, state
from tests.bench.rig import Client, Rig, Scale, run_process
from tests.bench.svg import Series, draw_bars

_PART: Final = "throughput"
_OURS: Final = "ours"
_BARE_GOALS: Final = {1: 1.05, 4: 0.95, 8: 0.95}

Rates = Mapping[int, Mapping[str, Sequence[Run]]]


async def measure(rig: Rig) -> Findings:
    """Race ours against what else runs short jobs."""
    async with (
        run_process(rig.make_api()) as api,
        Client(api.url) as client,
    ):
        contenders: dict[str, Contender] = {
            _OURS: make_ours(rig, client),
            "bare loop": partial(race_bare, rig),
            "xargs docker run": partial(race_xargs, rig),
            "Swarm job": partial(race_swarm, rig),
        }
        runs = await race(contenders, rig.scale)
    goals = {
        limit: {
            "bare loop": at_least(goal),
            "xargs docker run": at_least(0.95),
            "Swarm job": at_least(1.2),
        }
        for limit, goal in _BARE_GOALS.items()
    }
    return describe(runs, goals)


async def race(contenders: Mapping[str, Contender], scale: Scale) -> Rates:
    """Run all contenders in turn, round by round, so that a slow minute hits all of them."""
    runs: dict[int, dict[str, list[Run]]] = {}
    for turn in range(scale.rounds):
        for limit, count in scale.jobs.items():
            for name, contender in _rotate(contenders, turn).items():
                run = await contender(count, limit)
                runs.setdefault(limit, {}).setdefault(name, []).append(run)
    return runs


def describe(runs: Rates, goals: Mapping[int, Mapping[str, Goal]]) -> Findings:
    """Return what a race has shown; ``goals`` are of each limit, for ours beside the others."""
    rows = [row for limit, found in runs.items() for row in _compare(limit, found, goals[limit])]
    samples = {
        f"jobs_per_second.{limit}.{name}": _rates(found)
        for limit, by_name in runs.items()
        for name, found in by_name.items()
    }
    return Findings(rows, samples, {"jobs-per-second.svg": _draw(runs)})


def _rotate(contenders: Mapping[str, Contender], turn: int) -> dict[str, Contender]:
    """Return the contenders beginning with another one each turn: none is always first."""
    names = list(contenders)
    start = turn % len(names)
    return {name: contenders[name] for name in names[start:] + names[:start]}


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.jobs_per_second for run in runs]


def _compare(limit: int, runs: Mapping[str, Sequence[Run]], goals: Mapping[str, Goal]) -> list[Row]:
    ours = _rates(runs[_OURS])
    rows = [
        relate(
            _PART,
            f"jobs/s at {limit}, beside {name}",
            ours,
            _rates(runs[name]),
            unit="/s",
            goal=goal,
        )
        for name, goal in goals.items()
    ]
    peak = max(run.peak for run in runs[_OURS])
    rows.append(
        state(_PART, f"most running at once at {limit}", peak, "containers", at_most(limit))
    )
    return rows


def _draw(runs: Rates) -> str:
    names = list(next(iter(runs.values())))
    series = [
        Series(
            name,
            [
                (place, statistics.median(_rates(by_name[name])))
                for place, by_name in enumerate(runs.values())
            ],
        )
        for name in sorted(names, key=lambda name: name != _OURS)
    ]
    groups = [f"max-concurrent {limit}" for limit in runs]
    return draw_bars("Jobs per second of /bin/true (medians)", "jobs/s", groups, series)
