"""One run of the suite: engine, processes, workload and faults put together, and the verdict."""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path

from tests.chaos.checker import Breach, check
from tests.chaos.clients import Clients, Vandal
from tests.chaos.foreign import Strangers
from tests.chaos.history import Entry, Recorder
from tests.chaos.nemesis import Nemesis
from tests.chaos.observer import GHOST, LEFTOVERS, Observer, read_notes
from tests.chaos.raw import RawEngine, SilentEngineError
from tests.chaos.schedule import QUIET_SHARE, make_schedule
from tests.chaos.scraper import Scraper
from tests.chaos.story import RUNNING, Rules, Story, tell
from tests.chaos.supervisor import Supervised, Supervisor
from tests.chaos.wire import WatchedProxy
from tests.chaos.workload import wish_jobs, write_filter
from tests.support.engine_versions import read_engine_version
from tests.support.private_engine import PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess

NAMESPACE = "chaos"
CALL_TIMEOUT = 4.0
CONVERGE = 20.0
OVERRUN = 240.0
_DRAIN = 120.0
_UPKEEP = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the seed chooses: ``daemon.json``, max-concurrent, keep-exited-for in seconds."""

    engine: dict[str, object]
    limit: int
    keep: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The story of a run and its breaches."""

    seed: int
    settings: Settings
    story: Story
    breaches: list[Breach]
    history: Path


def choose_settings(seed: int) -> Settings:
    """Return what the seed chooses."""
    source = random.Random(f"settings-{seed}")
    engine: dict[str, object] = {
        "live-restore": source.random() < 0.5,
        "shutdown-timeout": source.randint(2, 5),
        "log-driver": source.choice(["json-file", "local"]),
    }
    return Settings(engine, limit=source.randint(3, 6), keep=float(source.randint(5, 12)))


def run_chaos(
    seconds: float, seed: int, history: Path, say: Callable[[str], None] = print
) -> Verdict:
    """Run the suite once; ``history`` is written as the run goes on."""
    settings = choose_settings(seed)
    say(f"seed {seed}: {settings}")
    recorder = Recorder(history)
    with contextlib.closing(recorder), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        version, _ = read_engine_version()
        rules = Rules(settings.limit, settings.keep, CALL_TIMEOUT, CONVERGE, version)
        recorder.record("rules", seed=seed, seconds=seconds, **asdict(rules))
        engine = stack.enter_context(PrivateEngine(settings.engine))
        _Run(engine, folder, settings, seconds, seed, recorder, say).execute(stack)
        recorder.add(*read_notes(folder / "notes/log"))
    story = tell(recorder.read())
    return Verdict(seed, settings, story, check(story), history)


@dataclass(frozen=True, slots=True)
class _Run:
    engine: PrivateEngine
    folder: Path
    settings: Settings
    seconds: float
    seed: int
    recorder: Recorder
    say: Callable[[str], None]

    def execute(self, stack: ExitStack) -> None:
        """Run until all work is done; ``stack`` ends what was started."""
        for name in ("notes", "sources", "filters", "locks"):
            (self.folder / name).mkdir()
        raw = RawEngine(self.engine.socket)
        strangers = Strangers(self.engine, raw, NAMESPACE, self.recorder)
        strangers.make()
        observer = stack.enter_context(Observer(raw, NAMESPACE, self.recorder))
        proxies = (
            stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "api")),
            stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "controller")),
        )
        api = Supervised("api", make_api(proxies[0], self.folder), self.recorder)
        controllers = tuple(
            Supervised(
                f"controller-{number}",
                make_controller(proxies[1], self.folder, self.settings),
                self.recorder,
            )
            for number in (1, 2)
        )
        stack.enter_context(Supervisor(api, *controllers))
        scraper = stack.enter_context(Scraper(api, proxies[0], self.recorder))
        schedule = make_schedule(self.seed, self.seconds, CALL_TIMEOUT)
        clients = stack.enter_context(self._make_clients(api, observer, schedule.jobs))
        vandal = stack.enter_context(
            Vandal(raw, observer, self.recorder, seed=self.seed, period=self.seconds / 12)
        )
        nemesis = stack.enter_context(
            Nemesis(
                schedule,
                seed=self.seed,
                engine=self.engine,
                proxies=proxies,
                api=api,
                controllers=controllers,
                recorder=self.recorder,
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
        self.say(f"{len(clients.accepted)} jobs accepted after {time.monotonic() - began:.0f} s")
        drain(observer, self.recorder)
        _explain(clients, observer, controllers, self.recorder)
        _cure(clients, observer, raw, self.recorder)
        strangers.record("after")
        scraper.settle()
        self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_clients(self, api: Supervised, observer: Observer, jobs: int) -> Clients:
        return Clients(
            api.process,
            wishes=wish_jobs(self.seed, self.folder),
            rate=jobs * 1.3 / (self.seconds * (1 - QUIET_SHARE)),
            sources=self.folder / "sources",
            observer=observer,
            recorder=self.recorder,
            seed=self.seed,
        )


def make_api(proxy: WatchedProxy, folder: Path) -> ApiProcess:
    """Return the API of a run, which takes the jobs of the workload."""
    filters = write_filter(folder / "filters", folder)
    return ApiProcess(proxy.host, NAMESPACE, "--from-file", str(filters), *_ENGINE_TIMEOUT)


def make_controller(proxy: WatchedProxy, folder: Path, settings: Settings) -> ControllerProcess:
    """Return a controller of a run."""
    return ControllerProcess(
        proxy.host,
        NAMESPACE,
        *("-m", str(settings.limit)),
        *("-k", str(settings.keep)),
        *("-u", str(_UPKEEP)),
        *("--lock-dir", str(folder / "locks")),
        *_ENGINE_TIMEOUT,
    )


_ENGINE_TIMEOUT = ("--engine-timeout", str(CALL_TIMEOUT))


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
