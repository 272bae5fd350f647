"""What every run plays on: a private engine, the API, two controllers, and who watches them."""

import contextlib
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.history import Recorder
from tests.chaos.observer import Observer, read_notes
from tests.chaos.raw import RawEngine
from tests.chaos.story import Rules
from tests.chaos.supervisor import Supervised, Supervisor
from tests.chaos.wire import WatchedProxy
from tests.chaos.workload import write_filter
from tests.support.engine_versions import read_engine_version
from tests.support.private_engine import PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess

NAMESPACE = "chaos"
CALL_TIMEOUT = 4.0
CONVERGE = 20.0
_UPKEEP = 1.0
_ENGINE_TIMEOUT = ("--engine-timeout", str(CALL_TIMEOUT))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the seed chooses: ``daemon.json``, max-concurrent, keep-exited-for in seconds."""

    engine: dict[str, object]
    limit: int
    keep: float


def choose_settings(seed: int) -> Settings:
    """Return what the seed chooses."""
    source = random.Random(f"settings-{seed}")
    engine: dict[str, object] = {
        "live-restore": source.random() < 0.5,
        "shutdown-timeout": source.randint(2, 5),
        "log-driver": source.choice(["json-file", "local"]),
    }
    return Settings(engine, limit=source.randint(3, 6), keep=float(source.randint(5, 12)))


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: both proxies are before the engine, one for the API, one for controllers."""

    observer: Observer
    proxies: tuple[WatchedProxy, WatchedProxy]
    api: Supervised
    controllers: tuple[Supervised, ...]


@dataclass(frozen=True, slots=True)
class Arena:
    """An engine, a folder for what jobs and processes leave behind, and the history."""

    engine: PrivateEngine
    raw: RawEngine
    folder: Path
    settings: Settings
    recorder: Recorder

    @contextmanager
    def run_processes(self, configs: Path | None = None) -> Iterator[Cast]:
        """Watch the engine, and run the processes, for the length of the block.

        They take the jobs of the workload or, with ``configs``, those of its filters and queues.
        """
        with ExitStack() as stack:
            observer = stack.enter_context(Observer(self.raw, NAMESPACE, self.recorder))
            proxies = (
                stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "api")),
                stack.enter_context(WatchedProxy(self.engine.host, self.recorder, "controller")),
            )
            api = Supervised("api", self._make_api(proxies[0], configs), self.recorder)
            controllers = tuple(
                Supervised(
                    f"controller-{number}",
                    self._make_controller(proxies[1], configs),
                    self.recorder,
                )
                for number in (1, 2)
            )
            stack.enter_context(Supervisor(api, *controllers))
            yield Cast(observer, proxies, api, controllers)

    def _make_api(self, proxy: WatchedProxy, configs: Path | None) -> ApiProcess:
        filters = configs or write_filter(self.folder / "filters", self.folder)
        return ApiProcess(proxy.host, NAMESPACE, "--from-file", str(filters), *_ENGINE_TIMEOUT)

    def _make_controller(self, proxy: WatchedProxy, configs: Path | None) -> ControllerProcess:
        return ControllerProcess(
            proxy.host,
            NAMESPACE,
            *("-m", str(self.settings.limit)),
            *("-k", str(self.settings.keep)),
            *("-u", str(_UPKEEP)),
            *("--lock-dir", str(self.folder / "locks")),
            *(() if configs is None else ("--queues", str(configs))),
            *_ENGINE_TIMEOUT,
        )


@contextmanager
def open_arena(settings: Settings, history: Path, **facts: object) -> Iterator[Arena]:
    """Run an engine for the length of the block; ``history`` is written as it goes on.

    It begins with the rules and ``facts``; what the jobs have noted comes last.
    """
    recorder = Recorder(history)
    with contextlib.closing(recorder), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        for name in ("notes", "sources", "filters", "locks"):
            (folder / name).mkdir()
        version, _ = read_engine_version()
        rules = Rules(settings.limit, settings.keep, CALL_TIMEOUT, CONVERGE, version)
        recorder.record("rules", **facts, **asdict(rules))
        engine = stack.enter_context(PrivateEngine(settings.engine))
        yield Arena(engine, RawEngine(engine.socket), folder, settings, recorder)
        recorder.add(*read_notes(folder / "notes/log"))
