"""Fills an engine with jobs that wait or have ended, faster than by running them."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Final

from api.v1.spec import JobSpec, digest_document, encode
from api.v1.times import format_time
from tests.bench.bare import BareEngine, work_off
from tests.bench.rig import NAMESPACE
from tests.support.private_engine import PrivateEngine

_WIDTH: Final = 8


async def fill(bare: BareEngine, prefix: str, numbers: Iterable[int]) -> list[str]:
    """Create jobs that wait, named ``prefix-number``, labelled as the API does; return ids."""

    async def create(name: str) -> str:
        spec = JobSpec("/job", "default", digest_document("/job", {"name": name}))
        labels = encode(spec, namespace=NAMESPACE, job_id=name, labels={})
        return await bare.create(name, labels=labels)

    return await work_off([f"{prefix}-{number}" for number in numbers], _WIDTH, create)


async def finish(engine: PrivateEngine, ids: Iterable[str]) -> None:
    """Make created containers exited ones, with exit code 0, as if they had just run.

    A start takes the engine 0.2 s, so 5,000 of them take a quarter of an hour. A stopped engine's
    state is a file per container instead; it reads them all when it starts again.
    """
    await asyncio.to_thread(_finish, engine, ids)


def _finish(engine: PrivateEngine, ids: Iterable[str]) -> None:
    engine.stop()
    now = time.time_ns()
    for container_id in ids:
        path = engine.folder / "data/containers" / container_id / "config.v2.json"
        config = json.loads(path.read_text())
        config["State"] |= {
            "StartedAt": format_time(now - 10**9),
            "FinishedAt": format_time(now),
            "ExitCode": 0,
        }
        path.write_text(json.dumps(config))
    engine.start()
