"""Clients of the API, which post until they are answered, and a vandal who removes jobs."""

import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, Self

from tests.chaos.history import Recorder
from tests.chaos.observer import Observer
from tests.chaos.raw import RawEngine, SilentEngineError
from tests.chaos.workload import Task, Wish
from tests.support.processes import Reply

_TRY_AGAIN = {0, 429, 500, 502, 503, 504}
_POSTING_THREADS = 3
_LONGEST_QUEUE = 25


class Asked(Protocol):
    """An API, or several that clients may ask alike."""

    def get(self, path: str, /) -> Reply:
        """Answer of a GET."""

    def post(self, document: object, /) -> Reply:
        """Answer of a POST of ``document`` as JSON."""


class Seen(Protocol):
    """Who watches the engine: ``rows`` are the uid, the name and the state of each job."""

    @property
    def rows(self) -> list[list[str]]:
        """What was seen last."""


class Clients:
    """Posts ``wishes`` at ``rate`` a second until :meth:`finish`; ``accepted`` are their names."""

    def __init__(
        self,
        api: Asked,
        *,
        wishes: Iterator[Wish],
        rate: float,
        sources: Path,
        observer: Seen,
        recorder: Recorder,
        seed: int,
    ) -> None:
        self._api = api
        self._wishes = wishes
        self._rate = rate
        self._sources = sources
        self._observer = observer
        self._recorder = recorder
        self._random = random.Random(f"clients-{seed}")
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._stopped = threading.Event()
        self._next = time.monotonic()
        self._healers: list[threading.Thread] = []
        self.accepted: list[str] = []
        self._posted: dict[str, Wish] = {}
        self.hopeless: set[str] = set()
        self._posters = [
            threading.Thread(target=self._post_all, daemon=True) for _ in range(_POSTING_THREADS)
        ]
        self._reader = threading.Thread(target=self._read_all, daemon=True)

    def __enter__(self) -> Self:
        for thread in (*self._posters, self._reader):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._stopped.set()
        for thread in (*self._posters, self._reader, *self._healers):
            thread.join(60)

    def finish(self) -> None:
        """Take no new wish, and wait until every wish taken is answered."""
        self._finished.set()
        for thread in (*self._posters, *self._healers):
            thread.join(120)

    def _post_all(self) -> None:
        while not self._finished.is_set():
            with self._lock:
                now = time.monotonic()
                pause = self._next - now
                waiting = sum(
                    state == "created" and name not in self.hopeless
                    for _, name, state in self._observer.rows
                )
                if pause <= 0 and waiting < _LONGEST_QUEUE:
                    self._next += 1 / self._rate
                    wish = next(self._wishes)
                    away = self._random.uniform(0.5, 4)
                else:
                    wish, away = None, 0.0
            if wish is None:
                self._finished.wait(min(max(pause, 0.05), 0.5))
            else:
                self._post(wish, away)

    def _post(self, wish: Wish, away: float) -> None:
        if wish.task is Task.VANISHING:
            (self._sources / wish.name).mkdir(parents=True, exist_ok=True)
        if not wish.must_start:
            self.hopeless.add(wish.name)
        self._recorder.record(
            "order",
            name=wish.name,
            task=wish.task,
            retries=wish.retries,
            starts="must" if wish.must_start else "never",
            rerun=wish.rerun,
        )
        status = self._try_post(wish)
        while status in _TRY_AGAIN and not self._stopped.wait(0.3):
            status = self._try_post(wish)
        if status in {200, 201}:
            with self._lock:
                self.accepted.append(wish.name)
                self._posted[wish.name] = wish
        if wish.task is Task.VANISHING:
            shutil.rmtree(self._sources / wish.name, ignore_errors=True)
            healer = threading.Thread(target=self._bring_back, args=(wish, away), daemon=True)
            healer.start()
            self._healers.append(healer)

    def _bring_back(self, wish: Wish, away: float) -> None:
        self._stopped.wait(away)
        (self._sources / wish.name).mkdir(parents=True, exist_ok=True)

    def post_again(self, name: str) -> int:
        """Post an accepted job's document once more; return the status, 0 for no answer."""
        return self._try_post(self._posted[name])

    def _try_post(self, wish: Wish) -> int:
        sent = time.time_ns()
        reply = self._exchange(lambda: self._api.post(wish.document))
        status = reply.code if reply is not None else 0
        body = reply.body if reply is not None and isinstance(reply.body, dict) else {}
        facts = {"name": wish.name, "sent": sent, "status": status, "uid": body.get("uid")}
        if status not in {0, 200, 201}:
            facts["error"] = body.get("error")
        self._recorder.record("reply", **facts)
        return status

    def _read_all(self) -> None:
        while not self._stopped.wait(0.25):
            with self._lock:
                names = self.accepted[-60:]
                name = self._random.choice(names) if names else None
            if name is not None:
                self.read(name)

    def read(self, name: str) -> dict[str, Any]:
        """Ask the API for one job and return what it says, empty if nothing."""
        sent = time.time_ns()
        reply = self._exchange(lambda: self._api.get(f"/job/{name}"))
        body = reply.body if reply is not None and isinstance(reply.body, dict) else {}
        status = reply.code if reply is not None else 0
        told = {key: body.get(key) for key in ("phase", "reason", "message")}
        self._recorder.record("answer", name=name, sent=sent, status=status, **told)
        return body if status == 200 else {}

    def _exchange(self, send: Any) -> Reply | None:
        with suppress(OSError, HTTPException, ValueError):
            reply: Reply = send()
            return reply
        return None


class Vandal:
    """Someone who removes pending jobs behind everyone's back, now and then."""

    def __init__(
        self, engine: RawEngine, observer: Observer, recorder: Recorder, seed: int, period: float
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._recorder = recorder
        self._random = random.Random(f"vandal-{seed}")
        self._period = period
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove nothing more."""
        self._stopped.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopped.wait(self._period * self._random.uniform(0.5, 1.5)):
            pending = [
                row
                for row in self._observer.rows
                if row[2] == "created" and row[1].startswith("chaos-")
            ]
            if pending:
                self._remove(*self._random.choice(pending)[:2])

    def _remove(self, container_id: str, name: str) -> None:
        try:
            status, _ = self._engine.call("DELETE", f"containers/{container_id}", timeout=20, v="1")
        except SilentEngineError:
            status = 0
        # Without an answer it may have happened.
        if status in {0, 204}:
            self._recorder.record("stranger", id=container_id, name=name)
