"""Watches the engine with eyes of its own: every event, and the whole state twice a second."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from api.v1.labels import NAMESPACE
from api.v1.times import parse_time
from tests.chaos.history import Entry, Recorder
from tests.chaos.raw import EventStream, RawEngine, SilentEngineError

_PERIOD = 0.5
LEFTOVERS = ("already exists", "id already in use")
"""What a task or a runtime's state that was left behind has the engine say.

The engine was killed between making a task and starting it, and refuses every later start."""
GHOST = "ghost"
"""The engine missed the end of a job and shows it running for ever, without a process."""
_FINAL = {"exited", "dead"}
_TELLING = {"create", "start", "die", "destroy", "oom", "kill", "stop", "restart", "rename"}


class Observer:
    """Records the containers of one namespace until stopped; ``with`` runs it."""

    def __init__(self, engine: RawEngine, namespace: str, recorder: Recorder) -> None:
        self._engine = engine
        self._label = f"{NAMESPACE}={namespace}"
        self._recorder = recorder
        self._ended = threading.Event()
        self._stream: EventStream | None = None
        self._seen: set[tuple[str, str, int]] = set()
        self._inspected: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._follow, self._watch)
        ]
        self.rows: list[list[str]] = []
        self.ids: dict[str, str] = {}
        """The newest container of each name, as events tell of it."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with suppress(OSError):
            if self._stream is not None:
                self._stream.close()
        for thread in self._threads:
            thread.join(15)

    def _follow(self) -> None:
        since = int(time.time()) - 1
        while not self._ended.is_set():
            try:
                self._stream = self._engine.open_events(self._label, since)
            except SilentEngineError:
                self._ended.wait(0.05)
                continue
            self._recorder.record("stream", moment="up")
            for event in self._stream:
                since = max(since, int(event["time"]) - 1)
                self._take(event)
            if not self._ended.is_set():
                self._recorder.record("stream", moment="down")

    def _take(self, event: dict[str, Any]) -> None:
        container_id, action, moment = event["Actor"]["ID"], event["Action"], event["timeNano"]
        # A new subscription repeats the last second.
        if action not in _TELLING or (container_id, action, moment) in self._seen:
            return
        self._seen.add((container_id, action, moment))
        attributes = event["Actor"]["Attributes"]
        facts = {"id": container_id, "name": attributes.get("name", ""), "action": action}
        if action == "create":
            self.ids[facts["name"]] = container_id
        self._recorder.add(Entry(moment, "event", facts | {"code": attributes.get("exitCode")}))
        if action == "die":
            # Before anyone can remove it: only an inspect tells when it really ended.
            with suppress(SilentEngineError):
                self._inspect(container_id, action)

    def _watch(self) -> None:
        while not self._ended.is_set():
            with suppress(SilentEngineError):
                self.look()
            self._ended.wait(_PERIOD)

    def look(self) -> list[list[str]]:
        """List and record everything once, and inspect what is new in its state."""
        sent = time.time_ns()
        found = self._engine.list_labelled(self._label, timeout=5)
        rows = [[row["Id"], row["Names"][0].lstrip("/"), row["State"]] for row in found]
        self._recorder.record("look", sent=sent, rows=rows)
        self.rows = rows
        for container_id, name, state in rows:
            # an engine that is killed may never tell of a creation
            self.ids.setdefault(name, container_id)
            if self._inspected.get(container_id) not in _FINAL:
                with suppress(SilentEngineError):
                    self._inspect(container_id, state)
        return rows

    def explain_wait(self, container_id: str) -> str | None:
        """Return why the engine itself will never let a job go on, ``None`` if it may yet."""
        facts = self._engine.inspect(container_id, timeout=5)
        if facts is None:
            return None
        state = facts["State"]
        if state["Status"] == "created" and any(text in state["Error"] for text in LEFTOVERS):
            return LEFTOVERS[0]
        if state["Running"] and not Path(f"/proc/{state['Pid']}").exists():
            return GHOST
        return None

    def _inspect(self, container_id: str, state: str) -> None:
        if self._inspected.get(container_id) == state:
            return
        facts = self._engine.inspect(container_id, timeout=2)
        if facts is None:
            return
        self._inspected[container_id] = facts["State"]["Status"]
        self._recorder.record("inspect", **summarise(facts))


def summarise(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the history keeps of an inspect; times in nanoseconds, ``None`` for not yet."""
    state = facts["State"]
    return {
        "id": facts["Id"],
        "name": facts["Name"].lstrip("/"),
        "status": state["Status"],
        "created": parse_time(facts["Created"]),
        "started": parse_time(state["StartedAt"]),
        "finished": parse_time(state["FinishedAt"]),
        "exit_code": state["ExitCode"],
        "error": state["Error"],
        "oom_killed": state["OOMKilled"],
        "restart_count": facts["RestartCount"],
    }


def read_notes(path: Path) -> list[Entry]:
    """Read what the jobs noted themselves; a line that was cut by a kill is left out.

    They note the machine's uptime, which a shell can read without starting another process.
    """
    booted = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    entries = []
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) not in {4, 5}:
            continue
        mark, name, short, uptime, *node = words
        with suppress(ValueError):
            at = booted + int(float(uptime) * 1_000_000_000)
            facts = {"name": name, "short": short, "mark": mark}
            entries.append(Entry(at, "note", facts | ({"node": node[0]} if node else {})))
    return entries
