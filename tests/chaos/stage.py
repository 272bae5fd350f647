"""What the named cases of the catalogue play on: an engine, both processes, a proxy between."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from api.v1.labels import DOCUMENT, FILTER, NAME, NAMESPACE, PATH
from tests.chaos.observer import read_notes
from tests.chaos.raw import RawEngine
from tests.chaos.watch import Watch
from tests.chaos.workload import NOTE, write_filter
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, Reply
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_until

CALL_TIMEOUT = 3.0
HOLD = "until [ -e /notes/go ]; do sleep 0.05; done"
"""The script of a job that runs until :meth:`Stage.release`."""
NOTING = NOTE + "note start; {body}"


class Stage:
    """One namespace of ``engine`` with an API; controllers come and go by :meth:`control`.

    Both reach the engine through ``proxy``; the test itself looks and meddles by ``raw``.
    """

    def __init__(self, engine: PrivateEngine) -> None:
        self.engine = engine
        self.raw = RawEngine(engine.socket)
        self.namespace = f"stage-{uuid.uuid4().hex[:8]}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="stage-"))
        self.folder = Path(folder)
        for name in ("notes", "filters", "locks"):
            (self.folder / name).mkdir()
        (self.folder / "notes/log").touch()
        self.proxy = self._stack.enter_context(FaultProxy(self.engine.host))
        config = write_filter(self.folder / "filters", self.folder)
        self.api = self._stack.enter_context(
            ApiProcess(
                self.proxy.host,
                self.namespace,
                "--from-file",
                str(config),
                "--engine-timeout",
                str(CALL_TIMEOUT),
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def control(
        self,
        limit: int | None = None,
        keep: float | None = None,
        *,
        upkeep: float = 0.5,
        call_timeout: float = CALL_TIMEOUT,
    ) -> Iterator[ControllerProcess]:
        """Run a controller for the length of the block."""
        options = ["-u", str(upkeep), "--lock-dir", str(self.folder / "locks")]
        options += ["--engine-timeout", str(call_timeout)]
        options += [] if limit is None else ["-m", str(limit)]
        options += [] if keep is None else ["-k", str(keep)]
        with ControllerProcess(self.proxy.host, self.namespace, *options) as controller:
            yield controller

    def watch(self, prefix: str) -> Watch:
        """Watch the events of jobs whose names start so; none may be older than this call."""
        # The engine sends its headers a moment before the subscription stands.
        since = int(time.time()) - 1
        return Watch(self.raw.open_events(f"{NAMESPACE}={self.namespace}", since), prefix)

    def make_document(
        self, name: str, script: str = "true", command: list[str] | None = None, **host: Any
    ) -> dict[str, Any]:
        """Return the document of a job that notes its start and runs ``script``."""
        words = command or ["sh", "-c", NOTING.replace("{body}", script)]
        binds = [f"{self.folder}/notes:/notes"]
        return {"id": name, "command": words, "host": {"Binds": binds, **host}}

    def try_post(self, name: str, script: str = "true", **options: Any) -> Reply:
        """Post such a job and return the answer."""
        return self.api.post(self.make_document(name, script, **options))

    def post(self, name: str, script: str = "true", **options: Any) -> str:
        """Post such a job, which must be accepted, and return its container's id."""
        reply = self.try_post(name, script, **options)
        assert reply.code == 201, reply
        return str(reply.body["uid"])

    def record(self, name: str, **body: Any) -> str:
        """Create a container as the API would, past it, and return its id."""
        labels = dict.fromkeys((DOCUMENT, FILTER, PATH), "")
        labels |= {NAMESPACE: self.namespace, NAME: name, **body.pop("Labels", {})}
        content = {"Image": IMAGE, "Cmd": ["true"], **body, "Labels": labels}
        return self.make(name, content)

    def make(self, name: str, content: dict[str, Any]) -> str:
        """Create a container of any kind and return its id."""
        # filling a volume takes some engines long
        status, made = self.raw.call("POST", "containers/create", content, timeout=60, name=name)
        assert status == 201, made
        return str(made["Id"])

    def release(self) -> None:
        """Let jobs end whose script is ``HOLD``."""
        (self.folder / "notes/go").touch()

    def state(self, ref: str) -> dict[str, Any]:
        """Return the State of a container; empty if it is gone."""
        facts = self.raw.inspect(ref)
        return dict(facts["State"]) if facts is not None else {}

    def status(self, ref: str) -> str:
        """Return the status of a container, ``gone`` if it is not there."""
        return str(self.state(ref).get("Status", "gone"))

    def count_runs(self, name: str) -> int:
        """Return how often a job noted a start."""
        notes = read_notes(self.folder / "notes/log")
        return sum(1 for note in notes if (note["name"], note["mark"]) == (name, "start"))

    def wait_for(self, status: str, *refs: str, patience: float = 30) -> None:
        """Wait until containers have a status."""
        try:
            wait_until(
                lambda: all(self.status(ref) == status for ref in refs), status, patience=patience
            )
        except AssertionError as error:
            states = "\n".join(f"{ref}: {self.state(ref)}" for ref in refs)
            raise AssertionError(f"{error}\n{states}") from None

    def wait_for_ticks(self, number: int = 2) -> None:
        """Wait until the controller has read the engine anew so many times."""
        seen = self.proxy.count(LIST)
        wait_until(lambda: self.proxy.count(LIST) >= seen + number, f"{number} more lists")

    def count_calls(self, act: str, container_id: str) -> int:
        """Return how often ``start`` or ``remove`` of a container was asked for."""
        pattern = (
            f"^POST .*/{container_id}/start" if act == "start" else f"^DELETE .*/{container_id}"
        )
        return self.proxy.count(pattern)

    def clear(self) -> None:
        """Heal the proxy, see that the API runs, remove every container of the namespace."""
        self.proxy.heal()
        (self.folder / "notes/go").unlink(missing_ok=True)
        if not self.api.is_running:
            self.api.start()
        rows = self.raw.list_labelled(f"{NAMESPACE}={self.namespace}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._remove, [row["Id"] for row in rows]))

    def _remove(self, container_id: str) -> None:
        self.raw.call("DELETE", f"containers/{container_id}", timeout=60, force="1", v="1")

    def read_plan(self, controller: ControllerProcess, name: str) -> str:
        """Return what the plan says of a job."""
        return str(controller.get(f"/plan?job={name}").body)


LIST = r"^GET \S+/containers/json"
START = r"^POST \S+/start"
CREATE = r"^POST \S+/containers/create"
EVENTS = r"^GET \S+/events"
REMOVE = r"^DELETE "
INSPECT = r"^GET \S+/containers/[^/]+/json$"
EVERYTHING = r""
