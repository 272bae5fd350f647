"""One run of the suite: workload and faults put together, and the verdict."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tests.chaos.arena import CALL_TIMEOUT, NAMESPACE, Arena, choose_settings
from tests.chaos.checker import check
from tests.chaos.clients import Clients, Vandal
from tests.chaos.foreign import Strangers
from tests.chaos.history import Entry, Recorder
from tests.chaos.nemesis import Nemesis
from tests.chaos.observer import GHOST, LEFTOVERS, Observer
from tests.chaos.raw import RawEngine, SilentEngineError
from tests.chaos.schedule import QUIET_SHARE, make_schedule
from tests.chaos.scraper import Scraper
from tests.chaos.story import RUNNING
from tests.chaos.supervisor import Supervised
from tests.chaos.verdict import Say, Verdict, judge
from tests.chaos.workload import wish_jobs

OVERRUN = 240.0
_DRAIN = 120.0


def run_chaos(seconds: float, seed: int, history: Path, say: Say = print) -> Verdict:
    """Run the suite once; ``history`` is written as the run goes on."""
    settings = choose_settings(seed)

    def execute(arena: Arena) -> None:
        _Run(arena, seconds, seed, say).execute()

    return judge(execute, check, settings, history, say, seed=seed, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Run:
    arena: Arena
    seconds: float
    seed: int
    say: Say

    def execute(self) -> None:
        """Run until all work is done."""
        arena, recorder = self.arena, self.arena.recorder
        strangers = Strangers(arena.engine, arena.raw, NAMESPACE, recorder)
        strangers.make()
        with ExitStack() as stack:
            cast = stack.enter_context(arena.run_processes())
            observer, api = cast.observer, cast.api
            scraper = stack.enter_context(Scraper(api, cast.proxies[0], recorder))
            schedule = make_schedule(self.seed, self.seconds, CALL_TIMEOUT)
            clients = stack.enter_context(self._make_clients(api, observer, schedule.jobs))
            vandal = stack.enter_context(
                Vandal(arena.raw, observer, recorder, seed=self.seed, period=self.seconds / 12)
            )
            nemesis = stack.enter_context(
                Nemesis(
                    schedule,
                    seed=self.seed,
                    engine=arena.engine,
                    proxies=cast.proxies,
                    api=api,
                    controllers=cast.controllers,
                    recorder=recorder,
                )
            )
            began = time.monotonic()
            nemesis.wait(self.seconds + OVERRUN)
            self.say(f"faults over after {time.monotonic() - began:.0f} s")
            for _ in poll(OVERRUN):
                late = time.monotonic() - began > self.seconds * (1 - QUIET_SHARE)
                if late and len(clients.accepted) >= schedule.jobs:
                    break
            vandal.stop()
            clients.finish()
            took = time.monotonic() - began
            self.say(f"{len(clients.accepted)} jobs accepted after {took:.0f} s")
            drain(observer, recorder)
            _explain(clients, observer, cast.controllers, recorder)
            _cure(clients, observer, arena.raw, recorder)
            strangers.record("after")
            scraper.settle()
            self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_clients(self, api: Supervised, observer: Observer, jobs: int) -> Clients:
        return Clients(
            api.process,
            wishes=wish_jobs(self.seed, self.arena.folder),
            rate=jobs * 1.3 / (self.seconds * (1 - QUIET_SHARE)),
            sources=self.arena.folder / "sources",
            observer=observer,
            recorder=self.arena.recorder,
            seed=self.seed,
        )


def drain(observer: Observer, recorder: Recorder) -> None:
    """Wait until all that can run has run and is collected; record what has not."""
    began = time.monotonic()
    left: list[str] = ["everything"]
    for _ in poll(_DRAIN):
        with suppress(SilentEngineError):
            observer.look()
            left = _find_left(observer, recorder.read())
            if not left:
                break
    recorder.record("drained", complete=not left, left=left, seconds=time.monotonic() - began)
    for container_id, name, state in observer.rows:
        if state in RUNNING and observer.explain_wait(container_id) == GHOST:
            recorder.record("ghost", id=container_id, name=name)


def _find_left(observer: Observer, entries: list[Entry]) -> list[str]:
    orders = {e["name"]: e["starts"] for e in entries if e.kind == "order"}
    return [
        name
        for container_id, name, state in observer.rows
        if name in orders
        and not (state == "created" and orders[name] == "never")
        and observer.explain_wait(container_id) is None
    ]


def _explain(
    clients: Clients,
    observer: Observer,
    controllers: tuple[Supervised, ...],
    recorder: Recorder,
) -> None:
    """Record what the product says of each job that still waits."""
    names = {name for _, name, state in observer.rows if state == "created"}
    for name in names & set(clients.accepted):
        told = clients.read(name)
        text = told.get("message") if told.get("reason") == "StartError" else None
        for controller in controllers:
            text = text or _read_plan(controller, name)
        recorder.record("explained", name=name, text=text)


def _cure(clients: Clients, observer: Observer, raw: RawEngine, recorder: Recorder) -> None:
    """Do with the jobs that the engine never starts what their ``StartError`` advises."""
    stuck = {
        name: container_id
        for container_id, name, state in observer.rows
        if state == "created"
        and name in clients.accepted
        and observer.explain_wait(container_id) == LEFTOVERS[0]
    }
    for name, container_id in stuck.items():
        raw.call("DELETE", f"containers/{container_id}", v="1")
        recorder.record("stranger", id=container_id, name=name)
        recorder.record("cure", id=container_id, name=name, status=clients.post_again(name))
    waiting = stuck.keys() - clients.hopeless
    for _ in poll(_DRAIN if waiting else 0):
        waiting -= {name for _, name, state in observer.look() if state != "created"}
        if not waiting:
            break


def _read_plan(controller: Supervised, name: str) -> str | None:
    with suppress(OSError, HTTPException, ValueError):
        lines = str(controller.process.get(f"/plan?job={name}").body).splitlines()
        return next((line for line in lines if name in line and "StartError" in line), None)
    return None


def poll(patience: float, period: float = 0.5) -> Iterator[None]:
    """Yield now and then until the patience is over."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        yield
        time.sleep(period)
