"""What it takes to cancel: from DELETE to the stop signal, and many waiting jobs by one call."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp

from api.v1.spec import JobSpec, digest_document, encode
from api.v1.wishes import Wishes
from tests.bench.bare import Record, work_off
from tests.bench.report import Findings, Row, at_least, at_most, state, subtract
from tests.bench.rig import NAMESPACE, Client, Rig, run_process

_PART: Final = "steer"
_SLEEP: Final = ("sleep", "600")
_GRACE: Final = 60
_MORE_MS: Final = 20.0
_MANY_SECONDS: Final = 60.0
_PATIENCE: Final = 60.0
_WIDTH: Final = 8
_PILE: Final = "pile"
_MOVING: Final = 200


async def measure(rig: Rig) -> Findings:
    """Time both; the pile of waiting jobs is as large as the largest population."""
    rows, samples = await _measure_stops(rig)
    rows += await _measure_pile(rig, rig.scale.populations[-1])
    return Findings(rows, samples)


async def _measure_stops(rig: Rig) -> tuple[list[Row], dict[str, object]]:
    """Time by turns how long a running container waits for its stop signal."""
    taken: dict[str, list[float]] = {"DELETE": [], "docker stop": [], "stop call": []}
    async with (
        run_process(rig.make_api()) as api,
        run_process(rig.make_controller(4)),
        Client(api.url) as client,
        aiohttp.ClientSession(api.url) as session,
        rig.bare.record() as record,
    ):

        async def cancel(name: str) -> None:
            async with session.delete(f"/job/{name}?grace={_GRACE}") as response:
                await response.read()
                response.raise_for_status()

        async def stop(name: str) -> None:
            words = ("stop", "--time", str(_GRACE), name)
            await asyncio.to_thread(rig.engine.docker, *words, check=False, timeout=2 * _GRACE)

        async def call(name: str) -> None:
            await rig.bare.call("POST", f"/containers/{name}/stop?t={_GRACE}")

        acts = {"DELETE": cancel, "docker stop": stop, "stop call": call}
        for name in rig.make_names("stop", rig.scale.starts):
            for way, act in acts.items():
                own = f"{name}-{way.replace(' ', '-')}"
                await client.post(own, _SLEEP)
                uid = (await rig.bare.inspect(own))["Id"]
                await record.wait_for_one("start", uid, _PATIENCE)
                await rig.bare.inspect(uid)  # answered when the start is over: all else waits, too
                taken[way].append(await _time_signal(rig, record, own, uid, act))
    await rig.bare.remove_all()
    rows = [
        subtract(
            _PART,
            f"DELETE to the stop signal, beside {way}",
            taken["DELETE"],
            taken[way],
            unit="ms",
            goal=at_most(_MORE_MS) if way == "docker stop" else None,
        )
        for way in ("docker stop", "stop call")
    ]
    return rows, {f"signal_ms.{way}": values for way, values in taken.items()}


async def _time_signal(
    rig: Rig, record: Record, name: str, uid: str, act: Callable[[str], Awaitable[None]]
) -> float:
    """Return the milliseconds from ``act`` to the signal that the engine tells of."""
    sent = time.time_ns()
    acting = asyncio.ensure_future(act(name))
    await record.wait_for_one("kill", uid, _PATIENCE)
    told = next(seen.time for seen in record.find("kill") if seen.id == uid)
    await rig.bare.call("POST", f"/containers/{uid}/kill")
    await record.wait_for_one("die", uid, _PATIENCE)
    await acting
    return (told - sent) / 1e6


async def _measure_pile(rig: Rig, size: int) -> list[Row]:
    """Cancel ``size`` waiting jobs by one call, while others are started before them."""
    await _add(rig, _PILE, size, priority=-1)
    async with (
        run_process(rig.make_api()) as api,
        aiohttp.ClientSession(api.url, timeout=aiohttp.ClientTimeout(total=None)) as session,
        rig.bare.record() as record,
    ):
        await _add(rig, "moving", _MOVING, priority=0)
        async with run_process(rig.make_controller(1)):
            await record.wait_for("start", 3, _PATIENCE)
            before, begun = len(record.find("start")), time.monotonic()
            async with session.delete(f"/job?label={_PILE}=yes") as response:
                answer = await response.json()
                response.raise_for_status()
            taken = time.monotonic() - begun
            moved = len(record.find("start")) - before
    await rig.bare.remove_all()
    return [
        state(_PART, "waiting jobs cancelled by one call", answer["cancelled"], "jobs"),
        state(_PART, f"cancel of {size:,} waiting jobs", taken, "s", at_most(_MANY_SECONDS)),
        state(_PART, "jobs started meanwhile", moved, "jobs", at_least(1)),
    ]


async def _add(rig: Rig, prefix: str, count: int, *, priority: int) -> None:
    """Create jobs that wait, labelled as the API does."""

    async def create(name: str) -> str:
        digest = digest_document("/job", {"name": name})
        spec = JobSpec("/job", "default", digest, wishes=Wishes(priority=priority))
        labels = encode(spec, namespace=NAMESPACE, job_id=name, labels={prefix: "yes"})
        return await rig.bare.create(name, labels=labels)

    await work_off(rig.make_names(prefix, count), _WIDTH, create)
