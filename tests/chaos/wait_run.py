"""One run of waits: many clients wait for short jobs while processes and engine are killed."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from tests.chaos.history import Recorder
from tests.chaos.nemesis import Nemesis
from tests.chaos.observer import Observer, read_notes
from tests.chaos.raw import RawEngine
from tests.chaos.run import (
    CALL_TIMEOUT,
    CONVERGE,
    NAMESPACE,
    OVERRUN,
    Settings,
    Verdict,
    choose_settings,
    drain,
    make_api,
    make_controller,
)
from tests.chaos.schedule import (
    QUIET_SHARE,
    WAITS_ENGINE_FAULTS,
    WAITS_PROCESS_FAULTS,
    make_schedule,
)
from tests.chaos.story import Rules, tell
from tests.chaos.supervisor import Supervised, Supervisor
from tests.chaos.wait_checker import check_waits
from tests.chaos.waiters import Waiters
from tests.chaos.waits import plan_jobs
from tests.chaos.wire import WatchedProxy
from tests.support.engine_versions import read_engine_version
from tests.support.private_engine import PrivateEngine

_SLOWEST: Final = 5
"""A run may take so many times as long as it is meant to, on a machine that is busy otherwise."""
_SERVED_FOR: Final = 6.0
_LIMIT: Final = 8
"""What runs at once: more do not end sooner on a small machine."""


def run_waits(
    waits: int, seconds: float, seed: int, history: Path, say: Callable[[str], None] = print
) -> Verdict:
    """Run ``waits`` waits once, about ``seconds`` long; ``history`` is written as it goes on."""
    settings = replace(choose_settings(seed), limit=_LIMIT, keep=0.0)
    say(f"seed {seed}: {settings}")
    recorder = Recorder(history)
    with contextlib.closing(recorder), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        version, _ = read_engine_version()
        rules = Rules(settings.limit, settings.keep, CALL_TIMEOUT, CONVERGE, version)
        recorder.record("rules", seed=seed, seconds=seconds, waits=waits, **asdict(rules))
        engine = stack.enter_context(PrivateEngine(settings.engine))
        _Run(engine, folder, settings, waits, seconds, seed, recorder, say).execute(stack)
        recorder.add(*read_notes(folder / "notes/log"))
    story = tell(recorder.read())
    return Verdict(seed, settings, story, check_waits(story), history)


@dataclass(frozen=True, slots=True)
class _Run:
    engine: PrivateEngine
    folder: Path
    settings: Settings
    waits: int
    seconds: float
    seed: int
    recorder: Recorder
    say: Callable[[str], None]

    def execute(self, stack: ExitStack) -> None:
        """Run until every wait is answered and all is done; ``stack`` ends what was started."""
        for name in ("notes", "filters", "locks"):
            (self.folder / name).mkdir()
        raw = RawEngine(self.engine.socket)
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
        waiters = stack.enter_context(self._make_waiters(api, observer))
        began = time.monotonic()
        with self._make_nemesis(api, controllers, proxies) as nemesis:
            # a long wait that every fault cuts off would never be over
            waiters.await_begun(self.seconds * _SLOWEST)
        nemesis.wait(OVERRUN)
        waiters.finish(self.seconds * _SLOWEST)
        self.say(f"waits over after {time.monotonic() - began:.0f} s")
        drain(observer, self.recorder)
        self.say(f"done after {time.monotonic() - began:.0f} s")

    def _make_nemesis(
        self,
        api: Supervised,
        controllers: tuple[Supervised, ...],
        proxies: tuple[WatchedProxy, WatchedProxy],
    ) -> Nemesis:
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
            engine=self.engine,
            proxies=proxies,
            api=api,
            controllers=controllers,
            recorder=self.recorder,
            served_for=_SERVED_FOR,
        )

    def _make_waiters(self, api: Supervised, observer: Observer) -> Waiters:
        jobs = list(plan_jobs(self.seed, self.waits, self.folder))
        return Waiters(
            api.process.url,
            jobs=jobs,
            rate=len(jobs) / (self.seconds * (1 - QUIET_SHARE)),
            observer=observer,
            recorder=self.recorder,
        )
