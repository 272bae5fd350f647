"""Containers that are not the controller's: they must be afterwards as they were before."""

from typing import Any

from api.v1.labels import NAME, NAMESPACE
from api.v1.times import parse_time
from tests.chaos.history import Recorder
from tests.chaos.raw import RawEngine
from tests.support.private_engine import IMAGE, PrivateEngine

_LABELLED_IMAGE = "busybox:labelled"
_COMMITTED_IMAGE = "busybox:committed"
"""As `docker commit` of a job makes it: it hands the labels of that job on."""
ADOPTED = "made-by-the-original"
"""A container with the namespace label alone, as the original makes its jobs: it is a job."""


class Strangers:
    """Makes foreign containers of every kind beside the jobs of ``namespace``."""

    def __init__(
        self, engine: PrivateEngine, raw: RawEngine, namespace: str, recorder: Recorder
    ) -> None:
        self._engine = engine
        self._raw = raw
        self._namespace = namespace
        self._recorder = recorder
        self._ids: dict[str, str] = {}

    def make(self) -> None:
        """Make them, and one container of the original, and record how they are."""
        mine = {NAMESPACE: self._namespace}
        self._engine.load_image(_LABELLED_IMAGE, {**mine, NAME: "someone-else"})
        self._engine.load_image(_COMMITTED_IMAGE, {**mine, NAME: "chaos-00000"})
        self._create("plain-created", "true")
        self._create("plain-exited", "true", run=True)
        self._create("plain-running", "sleep", "100000", run=True)
        theirs = {NAMESPACE: f"{self._namespace}-2", NAME: "other-job"}
        self._create("other-job", "true", labels=theirs)
        self._create("from-image", "true", image=_LABELLED_IMAGE)
        self._create("misnamed", "true", image=_COMMITTED_IMAGE, run=True)
        self._wait_for_ends()
        self.record("before")
        original = self._make(ADOPTED, ["true"], mine, IMAGE)
        facts = {"name": ADOPTED, "task": "adopted", "retries": 0, "starts": "must"}
        self._recorder.record("order", **facts)
        self._recorder.record("reply", name=ADOPTED, sent=0, status=201, uid=original)

    def record(self, moment: str) -> None:
        """Record the state of each."""
        for name, container_id in self._ids.items():
            facts = self._raw.inspect(container_id)
            state: dict[str, Any] = facts["State"] if facts else {}
            self._recorder.record(
                "foreign",
                id=container_id,
                name=name,
                moment=moment,
                status=state.get("Status", "gone"),
                started=parse_time(state.get("StartedAt")),
            )

    def _create(
        self,
        name: str,
        *command: str,
        labels: dict[str, str] | None = None,
        image: str = IMAGE,
        run: bool = False,
    ) -> None:
        self._ids[name] = self._make(name, list(command), labels or {}, image)
        if run:
            self._raw.call("POST", f"containers/{self._ids[name]}/start")

    def _make(self, name: str, command: list[str], labels: dict[str, str], image: str) -> str:
        body = {"Image": image, "Cmd": command, "Labels": labels}
        status, made = self._raw.call("POST", "containers/create", body, name=name)
        assert status == 201, made
        return str(made["Id"])

    def _wait_for_ends(self) -> None:
        for name in ("plain-exited", "misnamed"):
            self._raw.call("POST", f"containers/{self._ids[name]}/wait", timeout=30)
