"""The engine's own account of what happened: ``docker events``, read while a test runs."""

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Self

from tests.support.private_engine import PrivateEngine


@dataclass(frozen=True, slots=True)
class Happening:
    """One container event; ``time`` in nanoseconds of the engine's clock."""

    action: str
    id: str
    name: str
    time: int
    exit_code: str | None


class EventLog:
    """Subscribes on entering; ``read`` returns what came so far for one namespace."""

    def __init__(self, engine: PrivateEngine, namespace: str) -> None:
        self._engine = engine
        self._namespace = namespace
        self._path = engine.folder / f"events-{namespace}-{time.monotonic_ns()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._path.open("wb") as file:
            self._process = subprocess.Popen(
                [
                    *("docker", "--host", self._engine.host, "events", "--format", "{{json .}}"),
                    *("--filter", "type=container"),
                    *("--filter", f"label=docker-job-dispatcher.namespace={self._namespace}"),
                    # the subscription may stand a moment later than this process
                    *("--since", str(int(time.time()) - 1)),
                ],
                stdout=file,
                stdin=subprocess.DEVNULL,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._path.unlink()

    def read(self, *actions: str) -> list[Happening]:
        """Return the events so far, in their order, those of ``actions`` alone if any."""
        found = []
        *lines, _unfinished = self._path.read_text().split("\n")
        for line in lines:
            data: dict[str, Any] = json.loads(line)
            attributes = data["Actor"]["Attributes"]
            event = Happening(
                data["Action"],
                data["Actor"]["ID"],
                attributes["name"],
                data["timeNano"],
                attributes.get("exitCode"),
            )
            if not actions or event.action in actions:
                found.append(event)
        return found

    def count_most_running(self) -> int:
        """Return the largest number of containers that ran at once."""
        running = most = 0
        for event in sorted(self.read("start", "die"), key=lambda event: event.time):
            running += 1 if event.action == "start" else -1
            most = max(most, running)
        return most
