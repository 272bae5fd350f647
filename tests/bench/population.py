"""Fills an engine with jobs that wait or have ended, faster than by running them."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import yaml

from api.v1.queue import Queue
from api.v1.spec import JobSpec, digest_document, encode
from api.v1.times import format_time
from api.v1.wishes import DEFAULT_QUEUE, Wishes
from tests.bench.bare import BareEngine, work_off
from tests.bench.rig import NAMESPACE
from tests.support.private_engine import PrivateEngine

_WIDTH: Final = 8


async def fill(
    bare: BareEngine, prefix: str, numbers: Iterable[int], queues: Sequence[Queue] = ()
) -> list[str]:
    """Create jobs that wait, named ``prefix-number``, labelled as the API does; return ids.

    They are of ``queues`` by turns, if there are any.
    """
    names = [queue.name for queue in queues] or [DEFAULT_QUEUE]
    wishes = {f"{prefix}-{number}": Wishes(names[number % len(names)]) for number in numbers}

    async def create(name: str) -> str:
        return await bare.create(name, labels=make_labels(name, wishes[name]))

    return await work_off(wishes, _WIDTH, create)


def make_labels(name: str, wishes: Wishes) -> dict[str, str]:
    """Return the labels that the API stamps on a job."""
    digest = digest_document("/job", {"name": name})
    spec = JobSpec("/job", "default", digest, wishes=wishes)
    return encode(spec, namespace=NAMESPACE, job_id=name, labels={})


def make_queues(count: int, cap: int) -> list[Queue]:
    """Return queues with a cap and a weight each."""
    return [Queue(f"queue-{number}", cap, 1 + number % 5) for number in range(count)]


def write_queues(queues: Iterable[Queue], path: Path) -> None:
    """Write queues as an operator does."""
    documents = (
        {
            "apiVersion": "docker-job-dispatcher/v1",
            "kind": "Queue",
            "metadata": {"name": queue.name},
            "spec": {"maxConcurrent": queue.max_concurrent, "weight": queue.weight},
        }
        for queue in queues
    )
    path.write_text(yaml.safe_dump_all(documents))


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
