"""One run of cancels, deadlines and queues under faults."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.arena import CALL_TIMEOUT, Arena, Cast, choose_settings
from tests.chaos.cancel_checker import check_cancels, find_cancels
from tests.chaos.cancel_workload import plan_jobs, write_configs
from tests.chaos.cancellers import Cancellers
from tests.chaos.nemesis import Nemesis
from tests.chaos.observer import Observer
from tests.chaos.raw import SilentEngineError
from tests.chaos.report import show_breaches
from tests.chaos.run import OVERRUN, poll
from tests.chaos.schedule import QUIET_SHARE, make_schedule
from tests.chaos.verdict import Say, Verdict, judge

_DRAIN: Final = 150.0
_RATE: Final = 1.2
"""Jobs a second."""


def run_cancels(seconds: float, seed: int, history: Path, say: Say = print) -> Verdict:
    """Run once; ``history`` is written as the run goes on."""
    settings = choose_settings(seed)

    def execute(arena: Arena) -> None:
        _Run(arena, seconds, seed, say).execute()

    return judge(execute, check_cancels, settings, history, say, seed=seed, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Run:
    arena: Arena
    seconds: float
    seed: int
    say: Say

    def execute(self) -> None:
        """Run until all work is done."""
        configs = self.arena.folder / "configs"
        configs.mkdir()
        write_configs(configs, self.arena.folder)
        with self.arena.run_processes(configs) as cast, self._make_clients(cast) as clients:
            began = time.monotonic()
            with self._make_nemesis(cast) as nemesis:
                nemesis.wait(self.seconds + OVERRUN)
            self.say(f"faults over after {time.monotonic() - began:.0f} s")
            for _ in poll(self.seconds * QUIET_SHARE):
                pass
            clients.finish()
            self.say(f"{clients.accepted} jobs, {len(clients.cancelled)} cancelled")
            self._drain(cast.observer)
            self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_clients(self, cast: Cast) -> Cancellers:
        return Cancellers(
            cast.api.process,
            jobs=plan_jobs(self.seed, self.arena.folder),
            rate=_RATE,
            observer=cast.observer,
            recorder=self.arena.recorder,
            seed=self.seed,
        )

    def _make_nemesis(self, cast: Cast) -> Nemesis:
        return Nemesis(
            make_schedule(self.seed, self.seconds, CALL_TIMEOUT),
            seed=self.seed,
            engine=self.arena.engine,
            proxies=cast.proxies,
            api=cast.api,
            controllers=cast.controllers,
            recorder=self.arena.recorder,
        )

    def _drain(self, observer: Observer) -> None:
        """Wait until every job is collected and every mark gone; record what is not."""
        began, jobs, marks = time.monotonic(), ["everything"], ["everything"]
        for _ in poll(_DRAIN):
            with suppress(SilentEngineError):
                rows = observer.look()
                jobs = [
                    name
                    for key, name, _ in rows
                    if name.startswith("chaos-") and observer.explain_wait(key) is None
                ]
                kept = {key for key, name, _ in rows if name.startswith("chaos-")}
                marks = [
                    name
                    for _, name, _ in rows
                    if name.startswith("djd-") and name.rpartition("-")[2] not in kept
                ]
                if not jobs and not marks:
                    break
        seconds = time.monotonic() - began
        self.arena.recorder.record("drained", complete=not jobs, left=jobs, seconds=seconds)
        self.arena.recorder.record("marks", left=marks)


def report_cancels(verdict: Verdict) -> Iterator[str]:
    """Yield what a run has shown."""
    story = verdict.story
    cancels = find_cancels(story)
    lives = {key: story.lives[key] for key in cancels if key in story.lives}
    answered = {key: c.answered for key, c in cancels.items() if c.answered is not None}
    late = [
        life.name
        for key, life in lives.items()
        if key in answered and life.started is not None and life.started > answered[key]
    ]
    never = sum(life.started is None for life in lives.values())
    yield f"{len(story.faults)} faults: {dict(Counter(fault.what for fault in story.faults))}"
    yield f"{len(story.lives)} containers, {len(cancels)} jobs cancelled, {len(answered)} answered"
    yield f"{never} of them never started; starts under way at the answer, then stopped: {late}"
    stops = [e for e in story.of_kind("call") if e["act"] == "stop"]
    yield f"{len(stops)} stops sent, {sum(e['status'] == 204 for e in stops)} answered 204"
    yield f"{len(verdict.breaches)} breaches"
    yield from show_breaches(verdict)
