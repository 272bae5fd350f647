"""One run on a swarm: workload and faults put together, and the verdict."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checker import Breach
from tests.chaos.clients import Clients
from tests.chaos.run import OVERRUN, poll
from tests.chaos.schedule import QUIET_SHARE, make_schedule
from tests.chaos.supervisor import Supervisor
from tests.chaos.swarm.arena import (
    NAMESPACE,
    Front,
    Settings,
    SwarmArena,
    choose_settings,
    open_arena,
)
from tests.chaos.swarm.checker import check
from tests.chaos.swarm.nemesis import LONGEST, NODE_FAULTS, PROCESS_FAULTS, SwarmNemesis
from tests.chaos.swarm.observer import SwarmObserver
from tests.chaos.swarm.story import SwarmStory, tell
from tests.chaos.swarm.workload import wish_jobs
from tests.chaos.verdict import Say

_FULL_JOBS = 220
_DRAIN = 180.0


@dataclass(frozen=True, slots=True)
class SwarmVerdict:
    """The story of a run and its breaches."""

    seed: int
    settings: Settings
    story: SwarmStory
    breaches: list[Breach]
    history: Path


def run_swarm(seconds: float, seed: int, history: Path, say: Say = print) -> SwarmVerdict:
    """Run the suite once on three nodes; ``history`` is written as the run goes on."""
    settings = choose_settings(seed)
    say(f"seed {seed}: {settings}")
    with open_arena(settings, history, seed=seed, seconds=seconds) as arena:
        _execute(arena, seconds, seed, say)
    story = tell(arena.recorder.read())
    return SwarmVerdict(seed, settings, story, check(story), history)


def _execute(arena: SwarmArena, seconds: float, seed: int, say: Say) -> None:
    hosts = arena.make_hosts()
    front = Front([host.api.process for host in hosts], seed)
    schedule = make_schedule(
        seed, seconds, LONGEST, engine=NODE_FAULTS, processes=PROCESS_FAULTS, jobs=_FULL_JOBS
    )
    with ExitStack() as stack:
        nodes = arena.swarm.nodes
        processes = (process for host in hosts for process in (host.api, host.controller))
        stack.enter_context(Supervisor(*processes))
        apis = [host.api for host in hosts]
        observer = SwarmObserver(nodes, apis, NAMESPACE, arena.recorder)
        stack.enter_context(observer)
        clients = stack.enter_context(
            Clients(
                front,
                wishes=wish_jobs(seed, arena.folder),
                rate=schedule.jobs * 1.3 / (seconds * (1 - QUIET_SHARE)),
                sources=arena.folder / "sources",
                observer=observer,
                recorder=arena.recorder,
                seed=seed,
            )
        )
        began = time.monotonic()
        with SwarmNemesis(
            schedule, seed=seed, swarm=arena.swarm, hosts=hosts, recorder=arena.recorder
        ) as nemesis:
            nemesis.wait(seconds + OVERRUN)
        say(f"faults over after {time.monotonic() - began:.0f} s")
        for _ in poll(OVERRUN):
            late = time.monotonic() - began > seconds * (1 - QUIET_SHARE)
            if late and len(clients.accepted) >= schedule.jobs:
                break
        clients.finish()
        took = time.monotonic() - began
        say(f"{len(clients.accepted)} jobs accepted after {took:.0f} s")
        _drain(observer, clients, arena)
        say(f"done after {time.monotonic() - began:.0f} s")


def _drain(observer: SwarmObserver, clients: Clients, arena: SwarmArena) -> None:
    """Wait until all that can run has run; record what has not.

    An answer from after the last fault is waited for, too: it shows whether work goes on.
    """
    began, faults_ended = time.monotonic(), time.time_ns()
    left: list[str] = []
    for _ in poll(_DRAIN):
        accepted = [name for name in clients.accepted if name not in clients.hopeless]
        left = observer.find_unfinished(accepted)
        if not left and observer.answered >= faults_ended:
            break
    seconds = time.monotonic() - began
    arena.recorder.record("drained", complete=not left, left=left, seconds=seconds)
