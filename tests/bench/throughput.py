"""Jobs per second: ours beside the bare loop, ``docker run`` under xargs, and Swarm."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.load import Contender, Run, make_ours, race_bare, race_swarm, race_xargs
from tests.bench.report import Findings, Row, at_least, at_most, relate, state
from tests.bench.rig import Client, Rig, run_process
from tests.bench.svg import Series, draw_bars

_PART: Final = "throughput"
_BARE_GOALS: Final = {1: 1.05, 4: 0.95, 8: 0.95}

Rates = Mapping[int, Mapping[str, Sequence[Run]]]


async def measure(rig: Rig) -> Findings:
    """Run all contenders in turn, round by round, so that a slow minute hits all of them."""
    runs: dict[int, dict[str, list[Run]]] = {}
    async with (
        run_process(rig.make_api()) as api,
        Client(api.url) as client,
    ):
        contenders: dict[str, Contender] = {
            "ours": make_ours(client),
            "bare loop": race_bare,
            "xargs docker run": race_xargs,
            "Swarm job": race_swarm,
        }
        for turn in range(rig.scale.rounds):
            for limit, count in rig.scale.jobs.items():
                for name, contender in _rotate(contenders, turn).items():
                    run = await contender(rig, count, limit)
                    runs.setdefault(limit, {}).setdefault(name, []).append(run)
    rows = [row for limit, by_name in runs.items() for row in _compare(limit, by_name)]
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


def _compare(limit: int, runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    ours = _rates(runs["ours"])
    goals = {
        "bare loop": at_least(_BARE_GOALS[limit]),
        "xargs docker run": at_least(0.95),
        "Swarm job": at_least(1.2),
    }
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
    peak = max(run.peak for run in runs["ours"])
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
        for name in sorted(names, key=lambda name: name != "ours")
    ]
    groups = [f"max-concurrent {limit}" for limit in runs]
    return draw_bars("Jobs per second of /bin/true (medians)", "jobs/s", groups, series)
