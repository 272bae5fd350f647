"""``python -m tests.chaos.cancel_run``: one run of cancels, deadlines and queues under faults."""

import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from tests.chaos.cancel_checker import check_cancels, find_cancels
from tests.chaos.cancel_workload import plan_jobs, write_configs
from tests.chaos.cancellers import Cancellers
from tests.chaos.checker import Breach
from tests.chaos.history import Recorder
from tests.chaos.nemesis import Nemesis
from tests.chaos.observer import Observer, read_notes
from tests.chaos.raw import RawEngine, SilentEngineError
from tests.chaos.run import NAMESPACE, Settings, choose_settings
from tests.chaos.schedule import QUIET_SHARE, make_schedule
from tests.chaos.story import Rules, Story, tell
from tests.chaos.supervisor import Supervised, Supervisor
from tests.chaos.wire import WatchedProxy
from tests.support.engine_versions import read_engine_version
from tests.support.private_engine import PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess

_CALL_TIMEOUT: Final = 4.0
_CONVERGE: Final = 20.0
_OVERRUN: Final = 240.0
_DRAIN: Final = 150.0
_RATE: Final = 1.2
"""Jobs a second."""


def run_cancels(
    seconds: float, seed: int, history: Path, say: Callable[[str], None] = print
) -> tuple[Story, list[Breach]]:
    """Run once; ``history`` is written as the run goes on."""
    settings = choose_settings(seed)
    say(f"seed {seed}: {settings}")
    recorder = Recorder(history)
    with contextlib.closing(recorder), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        version, _ = read_engine_version()
        rules = Rules(settings.limit, settings.keep, _CALL_TIMEOUT, _CONVERGE, version)
        recorder.record("rules", seed=seed, seconds=seconds, **asdict(rules))
        engine = stack.enter_context(PrivateEngine(settings.engine))
        _Run(engine, folder, settings, seconds, seed, recorder, say).execute(stack)
        with suppress(FileNotFoundError):
            recorder.add(*read_notes(folder / "notes/log"))
    story = tell(recorder.read())
    return story, check_cancels(story)


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
        for name in ("notes", "configs", "locks"):
            (self.folder / name).mkdir()
        write_configs(self.folder / "configs", self.folder)
        observer = stack.enter_context(
            Observer(RawEngine(self.engine.socket), NAMESPACE, self.recorder)
        )
        proxies = (
            stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "api")),
            stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "controller")),
        )
        api = Supervised("api", self._make_api(proxies[0]), self.recorder)
        controllers = tuple(
            Supervised(f"controller-{n}", self._make_controller(proxies[1]), self.recorder)
            for n in (1, 2)
        )
        stack.enter_context(Supervisor(api, *controllers))
        clients = stack.enter_context(
            Cancellers(
                api.process,
                jobs=plan_jobs(self.seed, self.folder),
                rate=_RATE,
                observer=observer,
                recorder=self.recorder,
                seed=self.seed,
            )
        )
        nemesis = stack.enter_context(
            Nemesis(
                make_schedule(self.seed, self.seconds, _CALL_TIMEOUT),
                seed=self.seed,
                engine=self.engine,
                proxies=proxies,
                api=api,
                controllers=controllers,
                recorder=self.recorder,
            )
        )
        began = time.monotonic()
        nemesis.wait(self.seconds + _OVERRUN)
        self.say(f"faults over after {time.monotonic() - began:.0f} s")
        for _ in _poll(self.seconds * QUIET_SHARE):
            pass
        clients.finish()
        self.say(f"{clients.accepted} jobs, {len(clients.cancelled)} cancelled")
        self._drain(observer)
        self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_api(self, proxy: WatchedProxy) -> ApiProcess:
        return ApiProcess(
            proxy.host,
            NAMESPACE,
            *("--from-file", str(self.folder / "configs")),
            *("--engine-timeout", str(_CALL_TIMEOUT)),
        )

    def _make_controller(self, proxy: WatchedProxy) -> ControllerProcess:
        return ControllerProcess(
            proxy.host,
            NAMESPACE,
            *("-m", str(self.settings.limit)),
            *("-k", str(self.settings.keep)),
            *("-u", "1"),
            *("--queues", str(self.folder / "configs")),
            *("--lock-dir", str(self.folder / "locks")),
            *("--engine-timeout", str(_CALL_TIMEOUT)),
        )

    def _drain(self, observer: Observer) -> None:
        """Wait until every job is collected and every mark gone; record what is not."""
        began, jobs, marks = time.monotonic(), ["everything"], ["everything"]
        for _ in _poll(_DRAIN):
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
        self.recorder.record("drained", complete=not jobs, left=jobs, seconds=seconds)
        self.recorder.record("marks", left=marks)


def report(story: Story, breaches: list[Breach]) -> Iterator[str]:
    """Yield what a run has shown."""
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
    for breach in breaches:
        yield f"{breach.invariant}: {breach.text} {breach.subjects}"
    yield f"{len(breaches)} breaches"


def _poll(patience: float, period: float = 0.5) -> Iterator[None]:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        yield
        time.sleep(period)


@click.command(context_settings={"show_default": True})
@click.option("--seconds", type=click.FloatRange(min=10), default=60.0, help="How long, about.")
@click.option("--seed", type=int, default=None, show_default="random", help="What is random.")
@click.option("--history", type=click.Path(path_type=Path, dir_okay=False), default=None)
def main(seconds: float, seed: int | None, history: Path | None) -> None:
    """Run once on an engine of its own."""
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    path = history or Path(tempfile.mkdtemp(prefix="chaos-history-")) / f"{chosen}.jsonl"
    story, breaches = run_cancels(seconds, chosen, path, click.echo)
    for line in report(story, breaches):
        click.echo(line)
    click.echo(f"history: {path}")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
