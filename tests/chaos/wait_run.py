"""One run of waits: many clients wait for short jobs while processes and engine are killed."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.chaos.arena import CALL_TIMEOUT, Arena, Cast, choose_settings
from tests.chaos.nemesis import Nemesis
from tests.chaos.run import OVERRUN, drain
from tests.chaos.schedule import (
    QUIET_SHARE,
    WAITS_ENGINE_FAULTS,
    WAITS_PROCESS_FAULTS,
    make_schedule,
)
from tests.chaos.verdict import Say, Verdict, judge
from tests.chaos.wait_checker import check_waits
from tests.chaos.waiters import Waiters
from tests.chaos.waits import plan_jobs

_SLOWEST: Final = 5
"""A run may take so many times as long as it is meant to, on a machine that is busy otherwise."""
_SERVED_FOR: Final = 6.0
_LIMIT: Final = 8
"""What runs at once: more do not end sooner on a small machine."""


def run_waits(waits: int, seconds: float, seed: int, history: Path, say: Say = print) -> Verdict:
    """Run ``waits`` waits once, about ``seconds`` long; ``history`` is written as it goes on."""
    settings = replace(choose_settings(seed), limit=_LIMIT, keep=0.0)

    def execute(arena: Arena) -> None:
        _Run(arena, waits, seconds, seed, say).execute()

    return judge(
        execute, check_waits, settings, history, say, seed=seed, seconds=seconds, waits=waits
    )


@dataclass(frozen=True, slots=True)
class _Run:
    arena: Arena
    waits: int
    seconds: float
    seed: int
    say: Say

    def execute(self) -> None:
        """Run until every wait is answered and all is done."""
        with self.arena.run_processes() as cast, self._make_waiters(cast) as waiters:
            began = time.monotonic()
            with self._make_nemesis(cast) as nemesis:
                # a long wait that every fault cuts off would never be over
                waiters.await_begun(self.seconds * _SLOWEST)
            nemesis.wait(OVERRUN)
            waiters.finish(self.seconds * _SLOWEST)
            self.say(f"waits over after {time.monotonic() - began:.0f} s")
            drain(cast.observer, self.arena.recorder)
            self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_nemesis(self, cast: Cast) -> Nemesis:
        """Return faults without end: they come until the last wait has begun."""
        schedule = make_schedule(
            self.seed,
            self.seconds * _SLOWEST,
            CALL_TIMEOUT,
            engine=WAITS_ENGINE_FAULTS,
            processes=WAITS_PROCESS_FAULTS,
        )
        return Nemesis(
            schedule,
            seed=self.seed,
            engine=self.arena.engine,
            proxies=cast.proxies,
            api=cast.api,
            controllers=cast.controllers,
            recorder=self.arena.recorder,
            served_for=_SERVED_FOR,
        )

    def _make_waiters(self, cast: Cast) -> Waiters:
        jobs = list(plan_jobs(self.seed, self.waits, self.arena.folder))
        return Waiters(
            cast.api.process.url,
            jobs=jobs,
            rate=len(jobs) / (self.seconds * (1 - QUIET_SHARE)),
            observer=cast.observer,
            recorder=self.arena.recorder,
        )
