"""How long a freed slot stays empty on a swarm, beside what a bare start takes there."""

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.bare import work_off
from tests.bench.measure import Interval, find_gaps, find_peak
from tests.bench.report import Findings, Row, at_most, state, state_percentile, subtract
from tests.bench.rig import Client, run_process
from tests.bench.svg import draw_lines, make_distribution
from tests.bench.swarm.rig import SwarmRig, run_controller

_PART: Final = "handover"
_AT_ONCE: Final = 8
_PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Bare:
    """A queue worked off by bare calls, in ms.

    ``starts``: from each update to StartedAt; ``gaps``: from FinishedAt to the next StartedAt;
    ``shown``: from FinishedAt until the manager showed it.
    """

    starts: Sequence[float]
    gaps: Sequence[float]
    shown: Sequence[float]


async def measure(rig: SwarmRig) -> Findings:
    """Work off full queues by turns, ours and by bare calls."""
    found: list[Findings] = []
    async with run_process(rig.make_api()) as api, Client(api.url) as client:
        for limit, count in rig.scale.queue.items():
            found.append(await _measure(rig, client, limit, count))
    return Findings(
        [row for one in found for row in one.rows],
        {name: values for one in found for name, values in one.samples.items()},
        {name: picture for one in found for name, picture in one.pictures.items()},
    )


async def _measure(rig: SwarmRig, client: Client, limit: int, count: int) -> Findings:
    gaps: list[float] = []
    starts: list[float] = []
    others: list[float] = []
    shown: list[float] = []
    peak = 0
    for _ in range(rig.scale.rounds):
        bare = await _run_bare_queue(rig, limit, count)
        starts += bare.starts
        others += bare.gaps
        shown += bare.shown
        runs = await _run_our_queue(rig, client, limit, count)
        gaps += _find_gaps(runs, limit)
        peak = max(peak, find_peak(runs))
    name = f"FinishedAt to next StartedAt at {limit}"
    # managers gather for a tenth of a second what nodes report: nobody can know of an end before
    unseen = statistics.median(shown)
    rows: list[Row] = [
        subtract(
            _PART,
            f"end shown by the manager to next StartedAt at {limit}, beside a bare update",
            [gap - unseen for gap in gaps],
            starts,
            unit="ms",
            goal=at_most(50),
        ),
        subtract(_PART, f"{name}, beside a bare update to StartedAt", gaps, starts, unit="ms"),
        subtract(_PART, f"{name}, beside a bare loop", gaps, others, unit="ms", goal=at_most(50)),
        state_percentile(
            _PART, f"FinishedAt to its being shown by the manager at {limit}", shown, 0.5, unit="ms"
        ),
        state_percentile(_PART, f"{name}, 99 %", gaps, 0.99, unit="ms"),
        state(_PART, f"most running at once at {limit}", peak, "containers", at_most(limit)),
    ]
    samples = {
        f"gap_ms.ours.{limit}": gaps,
        f"gap_ms.bare.{limit}": others,
        f"update_to_started_ms.bare.{limit}": starts,
        f"finished_to_shown_ms.bare.{limit}": shown,
    }
    series = [
        make_distribution("ours", gaps),
        make_distribution("bare loop", others),
        make_distribution("bare: update to StartedAt", starts),
    ]
    title = f"From FinishedAt to the next StartedAt on a swarm, full queue, max-concurrent {limit}"
    picture = draw_lines(title, "ms", "% of the jobs", series)
    return Findings(rows, samples, {f"handover-{limit}.svg": picture})


def _find_gaps(runs: Iterable[Interval], limit: int) -> list[float]:
    """Return from each FinishedAt to the StartedAt that took its slot, in ms."""
    runs = list(runs)
    return find_gaps([run.end / 1e6 for run in runs], [run.start / 1e6 for run in runs], limit)


async def _run_bare_queue(rig: SwarmRig, limit: int, count: int) -> _Bare:
    uids = await work_off(rig.make_names("bare", count), _AT_ONCE, rig.create)
    sent: dict[str, int] = {}
    seen: dict[str, int] = {}

    async def run(uid: str) -> None:
        sent[uid] = time.time_ns()
        await rig.start(uid)
        await rig.wait(uid)
        seen[uid] = time.time_ns()

    await work_off(uids, limit, run)
    runs = await rig.read_runs()
    await rig.clear()
    return _Bare(
        starts=[(run.start - sent[uid]) / 1e6 for uid, run in runs.items()],
        gaps=_find_gaps(runs.values(), limit),
        shown=[(seen[uid] - run.end) / 1e6 for uid, run in runs.items()],
    )


async def _run_our_queue(
    rig: SwarmRig, client: Client, limit: int, count: int
) -> Sequence[Interval]:
    """Let a controller find a full queue and work it off; return when each job ran."""
    await client.post_all(rig.make_jobs("ours", count), _AT_ONCE)
    async with rig.record() as record, run_controller(rig.make_controller(limit)):
        await record.wait_for("die", count, _PATIENCE)
    runs = await rig.read_runs()
    await rig.clear()
    return list(runs.values())
