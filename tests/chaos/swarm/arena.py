"""What a run on a swarm plays on: three nodes, and on two of them an API and a controller."""

import contextlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.history import Recorder
from tests.chaos.observer import read_notes
from tests.chaos.supervisor import Supervised
from tests.chaos.swarm.story import Rules
from tests.chaos.workload import write_filter
from tests.support.private_swarm import Node, PrivateSwarm
from tests.support.processes import ApiProcess, ControllerProcess, Process, Reply

NAMESPACE = "chaos"
CALL_TIMEOUT = 5.0
CONVERGE = 60.0
_UPKEEP = 1.0
_HOSTS = 2
_SHARED = ("--engine", "swarm", "--engine-timeout", str(CALL_TIMEOUT))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the seed chooses: max-concurrent, and keep-exited-for in seconds."""

    limit: int
    keep: float


def choose_settings(seed: int) -> Settings:
    """Return what the seed chooses."""
    source = random.Random(f"settings-{seed}")
    return Settings(limit=source.randint(3, 6), keep=float(source.randint(20, 40)))


@dataclass(frozen=True, slots=True)
class Host:
    """A node with an API and a controller, which ask it alone."""

    node: Node
    api: Supervised
    controller: Supervised


class Front:
    """The APIs of all hosts, as clients see them that ask now this one and now that one."""

    def __init__(self, apis: Sequence[Process], seed: int) -> None:
        self._apis = apis
        self._random = random.Random(f"front-{seed}")

    def get(self, path: str) -> Reply:
        """Answer of a GET."""
        return self._random.choice(self._apis).get(path)

    def post(self, document: object) -> Reply:
        """Answer of a POST of ``document`` as JSON."""
        return self._random.choice(self._apis).post(document)


@dataclass(frozen=True, slots=True)
class SwarmArena:
    """The nodes, a folder for what jobs and processes leave behind, and the history."""

    swarm: PrivateSwarm
    folder: Path
    settings: Settings
    recorder: Recorder

    def make_hosts(self) -> tuple[Host, ...]:
        """Return the hosts; their processes do not run yet."""
        filters = write_filter(self.folder / "filters", self.folder)
        return tuple(
            Host(
                node,
                Supervised(f"api-{number}", self._make_api(node, filters), self.recorder),
                Supervised(f"controller-{number}", self._make_controller(node), self.recorder),
            )
            for number, node in enumerate(self.swarm.nodes[:_HOSTS], start=1)
        )

    def _make_api(self, node: Node, filters: Path) -> ApiProcess:
        return ApiProcess(node.host, NAMESPACE, "--from-file", str(filters), *_SHARED)

    def _make_controller(self, node: Node) -> ControllerProcess:
        return ControllerProcess(
            node.host,
            NAMESPACE,
            *("-m", str(self.settings.limit)),
            *("-k", str(self.settings.keep)),
            *("-u", str(_UPKEEP)),
            *_SHARED,
        )


@contextmanager
def open_arena(settings: Settings, history: Path, **facts: object) -> Iterator[SwarmArena]:
    """Run a swarm for the length of the block; ``history`` is written as it goes on.

    It begins with the rules and ``facts``; what the jobs have noted comes last.
    """
    recorder = Recorder(history)
    with contextlib.closing(recorder), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        for name in ("notes", "sources", "filters"):
            (folder / name).mkdir()
        (folder / "notes/log").touch()
        recorder.record("rules", **facts, **asdict(Rules(settings.limit, settings.keep, CONVERGE)))
        swarm = stack.enter_context(PrivateSwarm(options={"shutdown-timeout": 3}))
        for node in swarm.nodes:
            tag = node.engine.folder.name.removeprefix("private-engine-")
            recorder.record("node", name=node.name, tag=tag)
        yield SwarmArena(swarm, folder, settings, recorder)
        recorder.add(*read_notes(folder / "notes/log"))
