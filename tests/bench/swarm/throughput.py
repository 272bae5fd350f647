"""Jobs per second on a swarm: ours beside a bare loop of service create and update to 1."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tests.bench.bare import work_off
from tests.bench.load import Contender, Run
from tests.bench.measure import find_peak
from tests.bench.report import Findings, at_least
from tests.bench.rig import Client, run_process
from tests.bench.swarm.rig import SwarmRig, run_controller
from tests.bench.throughput import describe, race

_BARE: Final = "bare loop"
_PATIENCE: Final = 300.0


async def measure(rig: SwarmRig) -> Findings:
    """Race ours against the bare loop, round by round."""
    async with run_process(rig.make_api()) as api, Client(api.url) as client:
        contenders: dict[str, Contender] = {
            "ours": partial(_race_ours, rig, client),
            _BARE: partial(_race_bare, rig),
        }
        runs = await race(contenders, rig.scale)
    return describe(runs, {limit: {_BARE: at_least(0.95)} for limit in runs})


async def _race_ours(rig: SwarmRig, client: Client, count: int, limit: int) -> Run:
    """Post to our API, with a controller of its own that leads already."""
    jobs = rig.make_jobs("ours", count)
    async with run_controller(rig.make_controller(limit)):
        return await _time(rig, count, lambda: client.post_all(jobs, limit))


async def _race_bare(rig: SwarmRig, count: int, limit: int) -> Run:
    """Create, start and wait in a loop, ``limit`` at a time."""

    async def run(name: str) -> None:
        uid = await rig.create(name)
        await rig.start(uid)
        await rig.wait(uid)

    names = rig.make_names("bare", count)
    return await _time(rig, count, lambda: work_off(names, limit, run))


async def _time(rig: SwarmRig, count: int, run: Callable[[], Awaitable[object]]) -> Run:
    """Time a run from its first call to the last ``die`` event of any node."""
    async with rig.record() as record:
        begun = time.time_ns()
        await run()
        await record.wait_for("die", count, _PATIENCE)
    last = max(seen.time for seen in record.find("die"))
    intervals = record.find_intervals()
    await rig.clear()
    return Run(count / (last - begun) * 1e9, find_peak(intervals), intervals)
