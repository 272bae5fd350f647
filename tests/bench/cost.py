"""Processor time by process of a POST, a GET and a job's life, in units of the bare engine's.

The kernel counts it. Each client asks us and the bare engine by turns, so that what else runs on
the machine slows both alike.
"""

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from tests.bench.bare import BareEngine, Record, work_off
from tests.bench.orphans import Shims, adopt_shims
from tests.bench.report import Findings, Goal, Row, at_most
from tests.bench.rig import FULL, Client, Rig, name_body, open_rig, read_body, run_process
from tests.bench.usage import find_tree, read_own_and_reaped
from tests.support.processes import Process

_PART: Final = "cost"
_WIDTH: Final = 4
_ROUNDS: Final = 3  # with either engine as ours
_COUNTS: Final[Mapping[str, int]] = {"POST": 200, "GET": 400, "life": 80}
_SETTLE: Final = 1.5  # seconds in which is read what was left for later
_GOALS: Final[Mapping[str, Mapping[str, Goal]]] = {
    "POST": {"dockerd": at_most(1.08), "ours": at_most(0.40)},
    "life": {"engine": at_most(1.03), "api_and_controller": at_most(0.06)},
    "GET": {},
}

_NAMES: Final = (
    *("dockerd", "containerd", "engine"),
    *("api", "workers", "controller", "api_and_controller", "ours"),
)

Act = Callable[[str], Awaitable[object]]
"""Does one piece of work on what is called so."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time; the last three are zero beside the bare engine."""

    dockerd: float = 0.0
    containerd: float = 0.0
    api: float = 0.0
    workers: float = 0.0
    controller: float = 0.0

    def __sub__(self, other: Self) -> "Usage":
        return Usage(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @property
    def engine(self) -> float:
        """What the engine as a whole has used, shims and the jobs themselves included."""
        return self.dockerd + self.containerd

    @property
    def api_and_controller(self) -> float:
        """What API and controller have used, without what a filter of the operator's costs."""
        return self.api + self.controller

    @property
    def ours(self) -> float:
        """What our processes have used together."""
        return self.api_and_controller + self.workers


@dataclass(frozen=True, slots=True)
class Side:
    """An engine and what is measured on it; without processes of ours it is the bare one."""

    rig: Rig
    shims: Shims
    api: Process | None = None
    controller: Process | None = None

    def read(self) -> Usage:
        """Return what was used so far."""
        engine = self.rig.engine
        workers = find_tree(self.api.pid)[1:] if self.api else []
        return Usage(
            read_own_and_reaped(engine.pid),
            read_own_and_reaped(engine.containerd_pid) + self.shims.read(engine),
            read_own_and_reaped(self.api.pid) if self.api else 0.0,
            sum(map(read_own_and_reaped, workers)),
            read_own_and_reaped(self.controller.pid) if self.controller else 0.0,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """Our side and the bare one, a client of ours, and what either asks the engine for."""

    ours: Side
    bare: Side
    client: Client
    body: Mapping[str, Any]

    async def measure(self, names: Sequence[str], act: Act, act_bare: Act) -> tuple[Usage, Usage]:
        """Return what both sides have used for all names, and for what followed from it."""

        async def act_by_turns(name: str) -> None:
            await act(name)
            await act_bare(name)

        before, before_bare = self.ours.read(), self.bare.read()
        await work_off(names, _WIDTH, act_by_turns)
        await asyncio.sleep(_SETTLE)
        return self.ours.read() - before, self.bare.read() - before_bare

    async def create(self, name: str) -> str:
        """Create on the bare engine what a POST creates on ours."""
        return await self.bare.rig.bare.create_as(name, name_body(self.body, name))

    async def live(self, name: str) -> None:
        """Have the bare engine run a job and remove it."""
        engine: BareEngine = self.bare.rig.bare
        uid = await self.create(name)
        await engine.start(uid)
        await engine.wait(uid)
        await engine.call("DELETE", f"/containers/{uid}?v=1")

    async def clear(self) -> None:
        """Remove everything."""
        for side in (self.ours, self.bare):
            await side.rig.bare.remove_all()


Found = dict[str, list[tuple[Usage, Usage]]]
"""By kind of work what each round of it has used, ours and the bare one."""


async def measure(root: Path | None = None) -> tuple[str, Findings]:
    """Measure on two private engines, either of which is the bare one for half of the rounds.

    Two processes of one engine may differ by a tenth for as long as they run. Returns the engines'
    version and what was found. ``root`` is another checkout to measure.
    """
    found: Found = {kind: [] for kind in _COUNTS}
    async with (
        adopt_shims() as shims,
        open_rig(FULL, root=root) as one,
        open_rig(FULL, root=root) as other,
    ):
        for ours, bare in ((one, other), (other, one)):
            await _measure_rounds(ours, bare, shims, found)
        version = (await one.bare.call("GET", "/version"))["Version"]
    return version, _describe(found)


async def _measure_rounds(ours: Rig, bare: Rig, shims: Shims, found: Found) -> None:
    async with run_process(ours.make_api()) as api, Client(api.url) as client:
        body = await read_body(client)

        @asynccontextmanager
        async def pair(*options: str, limit: int) -> AsyncIterator[Pair]:
            async with run_process(ours.make_controller(limit, *options)) as controller:
                side = Side(ours, shims, api, controller)
                yield Pair(side, Side(bare, shims), client, body)

        async with pair(limit=0) as both:
            for number in range(-1, _ROUNDS):  # one to warm up
                posts, gets = await _measure_posts(both), await _measure_gets(both)
                if number >= 0:
                    found["POST"].append(posts)
                    found["GET"].append(gets)
        async with pair("-k", "0", limit=_WIDTH) as both:
            for number in range(-1, _ROUNDS):
                lives = await _measure_lives(both)
                if number >= 0:
                    found["life"].append(lives)


async def _measure_posts(both: Pair) -> tuple[Usage, Usage]:
    names = both.ours.rig.make_names("post", _COUNTS["POST"])
    used = await both.measure(names, both.client.post, both.create)
    await both.clear()
    return used


async def _measure_gets(both: Pair) -> tuple[Usage, Usage]:
    name = both.ours.rig.make_names("get", 1)[0]
    await both.client.post(name)
    await both.create(name)
    await asyncio.sleep(_SETTLE)
    names = [name] * _COUNTS["GET"]
    used = await both.measure(names, both.client.get, both.bare.rig.bare.inspect)
    await both.clear()
    return used


async def _measure_lives(both: Pair) -> tuple[Usage, Usage]:
    names = both.ours.rig.make_names("life", _COUNTS["life"])
    async with both.ours.rig.bare.record() as record, both.bare.rig.bare.record():
        return await both.measure(names, lambda name: _live(both, record, name), both.live)


async def _live(both: Pair, record: Record, name: str) -> None:
    """Post a job and wait until it is collected."""
    uid = await both.client.post_for_uid(name)
    await record.wait_for_one("destroy", uid)


def _describe(found: Found) -> Findings:
    rows: list[Row] = []
    samples: dict[str, object] = {}
    for kind, rounds in found.items():
        each = 1e3 / _COUNTS[kind]
        # a create and an inspect are dockerd's alone
        part = "engine" if kind == "life" else "dockerd"
        unit = [getattr(usage, part) * each for _, usage in rounds]
        for name in _NAMES:
            used = [getattr(usage, name) * each for usage, _ in rounds]
            beside = [getattr(usage, name) * each for _, usage in rounds]
            title = f"{name.replace('_', ' ')}, a {kind}"
            rows.append(_relate(title, _GOALS[kind].get(name), used, beside, unit))
            samples |= {f"{kind}.{name}.ms": used, f"{kind}.{name}.bare_ms": beside}
    return Findings(rows, samples)


def _relate(
    title: str,
    goal: Goal | None,
    used: Sequence[float],
    beside: Sequence[float],
    unit: Sequence[float],
) -> Row:
    """Return milliseconds in units of what the engine needs where nobody stands before it.

    That is the median of the rounds: within one both sides meet the same machine.
    """
    each, other = statistics.mean(used), statistics.mean(beside)
    share = statistics.median(mine / bare for mine, bare in zip(used, unit, strict=True))
    return Row(_PART, title, share, "of the bare engine's", each, other, "ms", goal)
