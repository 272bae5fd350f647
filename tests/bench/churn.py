"""An engine in memory in a process of its own, whose jobs change as often as it is told.

``python -m tests.bench.churn SOCKET COUNT`` prints ``ready`` once it serves ``COUNT`` jobs, every
other one of which has ended. Each line ``SECONDS RATE`` that it reads has it make so many changes
a second, and print what it did as JSON; it ends by its end of input.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from api.v1.spec import JobSpec, digest_document, encode
from tests.bench.child import Child, run_child
from tests.bench.rig import NAMESPACE
from tests.fakes.engine.host import IMAGE
from tests.fakes.engine.served import ServedHost

PROBE: Final = "probe"
"""What the jobs are called by whose end it is measured how soon a change is told."""
_TICK: Final = 0.01
_APART: Final = 1.0
"""Seconds between two probes."""
_AGES: Final = (100, 300, 800)
"""Jobs that wait, wait or run, and are there at all, of those that come and go."""


@dataclass(frozen=True, slots=True)
class Churned:
    """Changes made, in how many seconds, and when each probe ended by the monotonic clock."""

    changes: int
    seconds: float
    ended: Mapping[str, float]


class Churn:
    """The engine of a child: ``seconds`` long it makes ``rate`` changes a second."""

    def __init__(self, child: Child, socket: Path) -> None:
        self._child = child
        self.host = f"unix://{socket}"

    async def make(self, seconds: float, rate: int) -> Churned:
        """Make changes, and return once all are made."""
        return Churned(**json.loads(await self._child.ask(f"{seconds} {rate}")))


@asynccontextmanager
async def run_churn(folder: Path, jobs: int) -> AsyncIterator[Churn]:
    """Run an engine of so many jobs for the length of the block; its socket is in ``folder``."""
    socket = folder / f"engine-{jobs}.sock"
    async with run_child("tests.bench.churn", str(socket), str(jobs)) as child:
        yield Churn(child, socket)


class Jobs:
    """The jobs of a host: those that stay, and those that come and go."""

    def __init__(self, host: ServedHost) -> None:
        self._host = host
        self._lives = self._live()
        self._probes = count()

    def fill(self, number: int) -> None:
        """Add jobs, every other one of which has ended."""
        for each in range(number):
            uid = self._create(f"job-{each}")
            if each % 2:
                self._host.run(uid)
                self._host.finish(uid)

    def change(self) -> None:
        """Make one change."""
        next(self._lives)

    def probe(self) -> str:
        """Let a job begin and end, in three changes; return its name."""
        name = f"{PROBE}-{next(self._probes)}"
        uid = self._create(name)
        self._host.run(uid)
        self._host.finish(uid)
        return name

    def _create(self, name: str) -> str:
        spec = JobSpec("/job", "default", digest_document("/job", name))
        labels = encode(spec, namespace=NAMESPACE, job_id=name, labels={"team": "bench"})
        return self._host.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})

    def _live(self) -> Iterator[None]:
        """Let jobs be created, started, ended and removed, a change at each step."""
        uids: dict[int, str] = {}
        begins, ends, goes = _AGES
        for number in count():
            uids[number] = self._create(f"passing-{number}")
            yield
            if number >= begins:
                self._host.run(uids[number - begins])
                yield
            if number >= ends:
                self._host.finish(uids[number - ends])
                yield
            if number >= goes:
                self._host.destroy(uids.pop(number - goes))
                yield


async def _churn(jobs: Jobs, seconds: float, rate: int) -> Churned:
    """Make changes at an even pace; a probe is the last of them, and one a second before it."""
    begun, made, ended = time.monotonic(), 0, dict[str, float]()
    while (passed := time.monotonic() - begun) < seconds:
        for _ in range(int(passed * rate) - made):
            jobs.change()
            made += 1
        if passed >= _APART * (len(ended) + 1):
            ended[jobs.probe()] = time.monotonic()
            made += 3
        await asyncio.sleep(_TICK)
    ended[jobs.probe()] = time.monotonic()
    return Churned(made + 3, time.monotonic() - begun, ended)


async def _run(socket: Path, number: int) -> None:
    host = ServedHost(NAMESPACE)
    jobs = Jobs(host)
    jobs.fill(number)
    async with host.serve(socket):
        _say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            seconds, rate = line.split()
            _say(json.dumps(_describe(await _churn(jobs, float(seconds), int(rate)))))


def _describe(churned: Churned) -> dict[str, Any]:
    return asdict(churned)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2])))
