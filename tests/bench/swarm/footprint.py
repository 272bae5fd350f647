"""What both processes cost at rest on a swarm with many services: their time, and a manager's."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from api.engine.docker.connection import OLDEST_API
from api.engine.swarm.labels import END, End, encode_end
from api.engine.swarm.service import make_service, name_service
from api.v1.wishes import Wishes
from tests.bench.bare import work_off
from tests.bench.population import make_labels
from tests.bench.report import Findings, Row, at_most, state
from tests.bench.rig import NAMESPACE, Scale, run_process
from tests.bench.swarm.rig import SwarmRig, open_swarm_rig, run_controller
from tests.bench.usage import read_cpu, read_tree_cpu, read_tree_memory
from tests.support.private_engine import IMAGE
from tests.support.processes import Process
from tests.support.proxy import FaultProxy, name_kind

_PART: Final = "footprint"
_PERCENT: Final = 2.0
_JUDGED: Final = 2000
"""Services: so many must cost little; what more cost is told."""
_WIDTH: Final = 8
_SETTLE: Final = 10.0  # seconds in which is read what is there
_KEEP: Final = "86400"
_ID: Final = re.compile(r"\b[0-9a-z]{25}\b")
"""Of a service, a config, a task."""


@dataclass(frozen=True, slots=True)
class _Use:
    """Percent of a core: each process of ours, the manager that they ask, the other two nodes."""

    api: float
    controller: float
    manager: float
    others: float

    @property
    def ours(self) -> float:
        """What both processes of ours use."""
        return self.api + self.controller


async def measure(scale: Scale) -> Findings:
    """Measure on a swarm of its own for each number of services, half of them over."""
    rows: list[Row] = []
    samples: dict[str, object] = {}
    for count in scale.populations:
        async with open_swarm_rig(scale) as rig:
            await _fill(rig, count)
            alone = await _measure_use(rig)
            with FaultProxy(rig.engine.host) as proxy:
                async with (
                    run_process(rig.make_api(proxy.host)) as api,
                    run_controller(
                        rig.make_controller(0, "-k", _KEEP, host=proxy.host)
                    ) as controller,
                ):
                    await asyncio.sleep(_SETTLE)
                    begun = time.monotonic()
                    use = await _measure_use(rig, api, controller)
                    asked = [r for r in list(proxy.requests) if r.time >= begun]
                    memory = read_tree_memory(api.pid).pss + read_tree_memory(controller.pid).pss
        minutes = scale.idle_seconds / 60
        kinds = Counter(_ID.sub("{id}", name_kind(request.line)) for request in asked)
        calls = {kind: number / minutes for kind, number in sorted(kinds.items())}
        rows += _describe(count, use, alone, memory)
        rows += [
            state(_PART, f"{kind}, {_say(count)}", number, "a minute")
            for kind, number in calls.items()
        ]
        samples[f"idle_calls_per_minute.{count}"] = calls
    return Findings(rows, samples)


async def _fill(rig: SwarmRig, count: int) -> None:
    """Record jobs as the API does: every second one waits, the others are over."""
    now = time.time_ns()
    end = encode_end(End(0, now - 10**9, now, rig.swarm.nodes[0].name))

    async def create(name: str) -> None:
        labels = make_labels(name, Wishes())
        if name.startswith("over"):
            labels[END] = end
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": labels}
        uid = name_service(NAMESPACE, name)
        spec = make_service(uid, body, api_version=OLDEST_API, platform=None)
        await rig.bare.call("POST", "/services/create", spec)

    names = [f"{('over', 'waits')[number % 2]}-{number}" for number in range(count)]
    await work_off(names, _WIDTH, create)


async def _measure_use(rig: SwarmRig, *processes: Process) -> _Use:
    """Return what processes, if there are any, and engines use within the idle seconds."""

    def read() -> list[float]:
        ours = [read_tree_cpu(process.pid) for process in processes] or [0.0, 0.0]
        engines = [node.engine for node in rig.swarm.nodes]
        return ours + [read_cpu([engine.pid, engine.containerd_pid]) for engine in engines]

    before = read()
    await asyncio.sleep(rig.scale.idle_seconds)
    used = [
        (now - then) / rig.scale.idle_seconds * 100
        for now, then in zip(read(), before, strict=True)
    ]
    api, controller, manager, *others = used
    return _Use(api, controller, manager, sum(others))


def _describe(count: int, use: _Use, alone: _Use, memory: float) -> list[Row]:
    where, unit = _say(count), "% of a core"
    goal = at_most(_PERCENT) if count <= _JUDGED else None
    return [
        state(_PART, f"API's processor time, {where}", use.api, unit),
        state(_PART, f"controller's processor time, {where}", use.controller, unit),
        state(_PART, f"both, {where}", use.ours, unit, goal),
        state(_PART, f"manager's, {where}, alone", alone.manager, unit),
        state(
            _PART, f"manager's, {where}, caused by both", use.manager - alone.manager, unit, goal
        ),
        state(_PART, f"the other nodes', {where}, caused", use.others - alone.others, unit),
        state(_PART, f"memory of both, {where}", memory, "MB PSS"),
    ]


def _say(count: int) -> str:
    return f"idle, {count} services"
