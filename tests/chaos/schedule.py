"""Which faults a run injects, how many and in which order: a pure function of seed and seconds."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FULL_SECONDS: Final = 600.0
FULL_JOBS: Final = 500
QUIET_SHARE: Final = 0.15
"""The last part of a run, without faults."""

# How often in a run of 600 s; a shorter one has its share, and one of the first six at least.
ENGINE_FAULTS: Final[Mapping[str, int]] = {
    "kill-engine": 6,
    "restart-engine": 5,
    "freeze-containerd": 4,
    "freeze-engine": 4,
    "cut-streams": 12,
    "cut-starts": 4,
    "lose-starts": 3,
    "cut-creates": 4,
    "lose-creates": 2,
    "silence-streams": 3,
    "truncate-lists": 2,
    "delay-calls": 2,
    "refuse-connections": 2,
    "freeze-shim": 3,
}
PROCESS_FAULTS: Final[Mapping[str, int]] = {
    "kill-api": 22,
    "kill-controller": 22,
    "freeze-controller": 3,
}
WAITS_ENGINE_FAULTS: Final[Mapping[str, int]] = {"kill-engine": 6, "restart-engine": 6}
WAITS_PROCESS_FAULTS: Final[Mapping[str, int]] = {"kill-api": 16, "kill-controller": 16}
"""The faults of a run of waits, which asks for no others."""
_ALWAYS: Final = frozenset(
    {"kill-engine", "freeze-containerd", "freeze-engine", "cut-streams", "cut-starts"}
    | {"kill-api", "kill-controller", "kill-leader", "unplug-node", "hand-over"}
)
"""What a short run has, too, of those that it may have at all."""
_TYPICAL: Final[Mapping[str, float]] = {
    "kill-engine": 14.0,
    "restart-engine": 9.0,
    "refuse-connections": 4.0,
    "kill-node": 20.0,
    "kill-leader": 30.0,
    "unplug-node": 17.0,
    "unplug-leader": 25.0,
    "hand-over": 12.0,
    "restart-node": 12.0,
    "drain-node": 14.0,
    "freeze-node": 14.0,
    "lose-quorum": 35.0,
}
"""Seconds that a fault takes, until the next may come."""
_SHORT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """One fault: wait ``pause`` seconds after the one before, then hold it for ``seconds``."""

    what: str
    pause: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Two sequences that run at the same time, and the least number of jobs."""

    engine: tuple[Step, ...]
    processes: tuple[Step, ...]
    jobs: int


def make_schedule(
    seed: int,
    seconds: float,
    call_timeout: float,
    *,
    engine: Mapping[str, int] = ENGINE_FAULTS,
    processes: Mapping[str, int] = PROCESS_FAULTS,
    jobs: int = FULL_JOBS,
) -> Schedule:
    """Return what a run of ``seconds`` does; some freezes outlast ``call_timeout``.

    ``engine`` and ``processes`` say how often each fault comes in a full run, which has at least
    ``jobs``.
    """
    source = random.Random(f"faults-{seed}")
    share = seconds / FULL_SECONDS
    time = seconds * (1 - QUIET_SHARE)
    return Schedule(
        engine=_order(source, _count(engine, share, source), time, call_timeout),
        processes=_order(source, _count(processes, share, source), time, call_timeout),
        jobs=max(12, math.ceil(jobs * 1.05 * share)),
    )


def _count(faults: Mapping[str, int], share: float, source: random.Random) -> list[str]:
    """Return the faults of a run. What has less than one as its share comes by chance."""
    chosen = []
    for what, full in faults.items():
        exact = full * share
        number = math.ceil(exact) if exact >= 1 or what in _ALWAYS else 0
        chosen += [what] * (number or int(source.random() < exact))
    return chosen


def _order(
    source: random.Random, faults: list[str], time: float, call_timeout: float
) -> tuple[Step, ...]:
    source.shuffle(faults)
    busy = sum(_TYPICAL.get(what, _SHORT) for what in faults)
    pause = max(0.5, (time - busy) / max(len(faults), 1))
    longest = min(call_timeout * 1.6, max(2.0, time / 8))
    return tuple(
        Step(what, pause * source.uniform(0.5, 1.2), source.uniform(0.5, longest))
        for what in faults
    )
