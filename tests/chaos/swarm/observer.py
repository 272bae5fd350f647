"""Watches a swarm with eyes of its own: its containers, services and leader, and what APIs show."""

import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from typing import Any, Final, Self

from api.engine.swarm.labels import END, STOP
from api.v1.labels import NAME, NAMESPACE
from tests.chaos.history import Entry, Recorder
from tests.chaos.raw import EventStream, RawEngine, SilentEngineError
from tests.chaos.supervisor import Supervised
from tests.support.private_swarm import Node

_PERIOD: Final = 0.5
_CALL: Final = 3.0
_OVER: Final = frozenset({"Succeeded", "Failed", "Cancelled"})


class SwarmObserver:
    """Records what becomes of the jobs of one namespace until stopped; ``with`` runs it."""

    def __init__(
        self, nodes: Sequence[Node], apis: Sequence[Supervised], namespace: str, recorder: Recorder
    ) -> None:
        self._nodes = nodes
        self._label = f"{NAMESPACE}={namespace}"
        self._recorder = recorder
        self._ended = threading.Event()
        self._streams: dict[str, EventStream] = {}
        self._shown: dict[tuple[str, str], dict[str, Any]] = {}
        self._leader: str | None = ""
        self._threads = [
            threading.Thread(target=self._follow, args=(node,), daemon=True) for node in nodes
        ]
        self._threads += [
            threading.Thread(target=self._repeat, args=(work,), daemon=True)
            for work in (
                self.look,
                self._look_for_leader,
                *(partial(self.ask, api) for api in apis),
            )
        ]
        self.rows: list[list[str]] = []
        self.answered = 0
        """When an API was asked last that answered (ns)."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for stream in self._streams.values():
            with suppress(OSError):
                stream.close()
        for thread in self._threads:
            thread.join(15)

    def _follow(self, node: Node) -> None:
        """Record starts and ends of containers on one node, as its engine tells of them."""
        raw, since, seen = RawEngine(node.engine.socket), int(time.time()) - 1, set()
        while not self._ended.is_set():
            try:
                stream = self._streams[node.name] = raw.open_events(self._label, since)
            except SilentEngineError:
                self._ended.wait(0.1)
                continue
            for event in stream:
                since = max(since, int(event["time"]) - 1)
                key = (event["Actor"]["ID"], event["Action"], event["timeNano"])
                # a new subscription repeats the last second
                if event["Action"] in {"start", "die"} and key not in seen:
                    seen.add(key)
                    self._take(node, event)

    def _take(self, node: Node, event: dict[str, Any]) -> None:
        attributes = event["Actor"]["Attributes"]
        facts = {
            "id": event["Actor"]["ID"],
            "name": attributes.get(NAME, ""),
            "action": event["Action"],
            "code": attributes.get("exitCode"),
            "node": node.name,
        }
        self._recorder.add(Entry(event["timeNano"], "event", facts))

    def _repeat(self, work: Any) -> None:
        while not self._ended.is_set():
            with suppress(SilentEngineError, OSError, HTTPException, ValueError):
                work()
            self._ended.wait(_PERIOD)

    def look(self) -> None:
        """List and record all services once: ``created`` where nobody has ordered a start."""
        sent = time.time_ns()
        filters = json.dumps({"label": [self._label]})
        rows = []
        for service in self._ask_managers("services", filters=filters):
            labels, mode = service["Spec"]["Labels"], service["Spec"]["Mode"]
            waits = not mode["Replicated"]["Replicas"] and STOP not in labels
            state = "exited" if END in labels else "created" if waits else "ordered"
            rows.append([service["ID"], labels[NAME], state])
        self._recorder.record("look", sent=sent, rows=rows)
        self.rows = rows

    def _look_for_leader(self) -> None:
        found = None
        with suppress(SilentEngineError):
            nodes = self._ask_managers("nodes")
            leaders = [n for n in nodes if (n.get("ManagerStatus") or {}).get("Leader")]
            found = leaders[0]["Description"]["Hostname"] if leaders else None
        if found != self._leader:
            self._leader = found
            self._recorder.record("leader", node=found)

    def _ask_managers(self, path: str, **params: str) -> list[dict[str, Any]]:
        """Ask any node that can be reached; one without the others knows only what was."""
        for node in self._nodes:
            if node.is_reachable:
                with suppress(SilentEngineError):
                    raw = RawEngine(node.engine.socket)
                    status, answer = raw.call("GET", path, timeout=_CALL, **params)
                    if status == 200:
                        return list(answer)
        raise SilentEngineError(path)

    def ask(self, api: Supervised) -> None:
        """Record what one API shows of jobs, where it is new, and how many wait and run."""
        sent, name = time.time_ns(), f"{api.name}-{api.lifetime}"
        reply = api.process.get("/job?limit=1000")
        if reply.code != 200:
            return
        items: list[dict[str, Any]] = reply.body["items"]
        for job in items:
            told = {key: job.get(key) for key in ("phase", "reason", "exitCode", "message")}
            told |= {"name": job["id"], "uid": job["uid"]}
            if self._shown.get((name, job["uid"])) != told:
                self._shown[name, job["uid"]] = told
                self._recorder.record("shown", process=name, sent=sent, **told)
        reasons = [(job["phase"], job["reason"]) for job in items]
        self._recorder.record(
            "shares",
            process=name,
            sent=sent,
            active=sum(p == "Running" or r == "Scheduling" for p, r in reasons),
            queued=reasons.count(("Pending", "Queued")),
        )
        self.answered = max(self.answered, sent)

    def find_unfinished(self, names: Sequence[str]) -> list[str]:
        """Return the jobs of these names that no API has shown to be over."""
        over = {told["name"] for told in self._shown.values() if told["phase"] in _OVER}
        return [name for name in names if name not in over]
