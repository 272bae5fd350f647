"""The contenders: each runs the same number of short jobs with the same number of slots."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.bench.bare import run_jobs
from tests.bench.measure import Interval, find_peak
from tests.bench.rig import Client, Rig, run_process
from tests.support.private_engine import IMAGE

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Run:
    """One contender's run: how fast it was, and what the engine's events and times say of it.

    ``peak`` is the most containers that ran at once; ``intervals`` is empty where the contender
    removes its containers.
    """

    jobs_per_second: float
    peak: int
    intervals: Sequence[Interval]


Contender = Callable[[int, int], Awaitable[Run]]
"""Runs ``(count, limit)`` jobs and leaves no container behind."""


async def race_bare(rig: Rig, count: int, limit: int) -> Run:
    """Create, start and wait in a loop, ``limit`` at a time."""
    names = rig.make_names("bare", count)
    return await _time(rig, count, lambda: run_jobs(rig.bare, names, limit), names)


def make_ours(rig: Rig, client: Client) -> Contender:
    """Return the contender that posts to our API, with a controller of its own."""

    async def race_ours(count: int, limit: int) -> Run:
        jobs = rig.make_jobs("ours", count)
        async with run_process(rig.make_controller(limit)):
            return await _time(rig, count, lambda: client.post_all(jobs, limit), jobs)

    return race_ours


async def race_xargs(rig: Rig, count: int, limit: int) -> Run:
    """Run ``docker run --rm`` under xargs."""
    command = f"seq {count} | xargs -P {limit} -I{{}} docker run --rm {IMAGE} true"

    async def run() -> None:
        process = await asyncio.create_subprocess_shell(
            command, env=os.environ | {"DOCKER_HOST": rig.engine.host}
        )
        if await process.wait():
            raise RuntimeError(f"xargs ended with {process.returncode}")

    return await _time(rig, count, run, [])


async def race_swarm(rig: Rig, count: int, limit: int) -> Run:
    """Run a replicated job on a Swarm of one node, which lasts for this run only."""
    await asyncio.to_thread(rig.engine.docker, "swarm", "init", "--advertise-addr", "127.0.0.1")
    task = {"ContainerSpec": {"Image": IMAGE, "Command": ["true"]}}
    task |= {"RestartPolicy": {"Condition": "none"}}
    job = {"MaxConcurrent": limit, "TotalCompletions": count}
    body = {"Name": "race", "TaskTemplate": task, "Mode": {"ReplicatedJob": job}}
    try:
        return await _time(rig, count, lambda: rig.bare.call("POST", "/services/create", body), [])
    finally:
        await rig.bare.call("DELETE", "/services/race")
        await asyncio.to_thread(rig.engine.docker, "swarm", "leave", "--force")
        await rig.bare.remove_all()


async def _time(
    rig: Rig, count: int, run: Callable[[], Awaitable[object]], names: Iterable[str]
) -> Run:
    """Time a run from its first call to the engine's last ``die`` event."""
    async with rig.bare.record() as record:
        begun = time.time_ns()
        await run()
        await record.wait_for("die", count, _PATIENCE)
    last = record.find("die")[count - 1]
    intervals = await rig.bare.read_intervals(names)
    await rig.bare.remove_all()
    peak = find_peak(record.find_intervals())
    return Run(count / (last.time - begun) * 1e9, peak, intervals)
