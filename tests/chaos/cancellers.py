"""Clients of a run of cancels: they post jobs and cancel most of them, in whatever state."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Final, Self
from urllib.parse import urlencode

from tests.chaos.cancel_workload import SteeredJob
from tests.chaos.history import Recorder
from tests.chaos.observer import Observer
from tests.support.processes import Process, Reply, call

_ANSWERED: Final = frozenset({200, 201, 202, 404})
_MOST_WAITING: Final = 25
_SHARE: Final = 0.6
"""Of the jobs that are cancelled."""


class Cancellers:
    """Posts ``jobs`` at ``rate`` a second until :meth:`finish`, and cancels most of them."""

    def __init__(
        self,
        api: Process,
        *,
        jobs: Iterator[SteeredJob],
        rate: float,
        observer: Observer,
        recorder: Recorder,
        seed: int,
    ) -> None:
        self._api = api
        self._jobs = jobs
        self._rate = rate
        self._observer = observer
        self._recorder = recorder
        self._random = random.Random(f"cancellers-{seed}")
        self._lock = threading.Lock()
        self._finished, self._stopped = threading.Event(), threading.Event()
        self._due: list[tuple[float, str, str]] = []
        self.accepted = 0
        self.cancelled: set[str] = set()
        self._posters = [threading.Thread(target=self._post_all, daemon=True) for _ in range(3)]
        self._cancellers = [
            threading.Thread(target=self._cancel_all, daemon=True) for _ in range(2)
        ]

    def __enter__(self) -> Self:
        for thread in (*self._posters, *self._cancellers):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._stopped.set()
        for thread in (*self._posters, *self._cancellers):
            thread.join(60)

    def finish(self) -> None:
        """Post nothing more, and wait until every cancel that is due is answered."""
        self._finished.set()
        for thread in (*self._posters, *self._cancellers):
            thread.join(120)

    def _post_all(self) -> None:
        while not self._finished.wait(self._random.expovariate(self._rate / len(self._posters))):
            waiting = sum(
                state == "created" and name.startswith("chaos-") and key not in self.cancelled
                for key, name, state in self._observer.rows
            )
            if waiting < _MOST_WAITING:
                with self._lock:
                    job = next(self._jobs)
                self._post(job)

    def _post(self, job: SteeredJob) -> None:
        facts = {"queue": job.queue, "run_for": job.run_for, "start_by": job.start_by}
        self._recorder.record("order", name=job.name, task=job.task, retries=0, starts="must")
        self._recorder.record("wish", name=job.name, **facts)
        while True:
            sent = time.time_ns()
            status, body = self._exchange(lambda: self._api.post(dict(job.document)))
            uid = body.get("uid")
            facts = {"name": job.name, "sent": sent, "status": status, "uid": uid}
            self._recorder.record("reply", **facts, error=body.get("error"))
            if status in {200, 201, 400} or self._stopped.wait(0.3):
                break
        if status in {200, 201}:
            with self._lock:
                self.accepted += 1
            if self._random.random() < _SHARE:
                # at once, while it starts, while it runs or after its end
                wait = self._random.choice([0.0, 0.05, 0.3, 1.0, 3.0, 8.0])
                with self._lock:
                    self._due.append((time.monotonic() + wait, str(uid), job.name))

    def _cancel_all(self) -> None:
        while not self._stopped.wait(0.02):
            with self._lock:
                self._due.sort()
                is_due = self._due and self._due[0][0] <= time.monotonic()
                chosen = self._due.pop(0) if is_due else None
                is_over = self._finished.is_set() and not self._due
                wish = self._choose_wish()
            if chosen is not None:
                self._cancel(chosen[1], chosen[2], wish)
            elif is_over and not any(poster.is_alive() for poster in self._posters):
                return

    def _choose_wish(self) -> dict[str, str]:
        wish = {} if self._random.random() < 0.3 else {"grace": str(self._random.randint(0, 3))}
        return wish | ({"purge": "true"} if self._random.random() < 0.2 else {})

    def _cancel(self, uid: str, name: str, wish: Mapping[str, str]) -> None:
        self.cancelled.add(uid)
        url = f"{self._api.url}/job/{uid}" + (f"?{urlencode(wish)}" if wish else "")
        while True:
            sent = time.time_ns()
            status, body = self._exchange(lambda: call("DELETE", url))
            facts = {"id": uid, "name": name, "sent": sent, "status": status}
            self._recorder.record(
                "cancel", **facts, grace=wish.get("grace"), phase=body.get("phase")
            )
            if status in _ANSWERED or self._stopped.wait(0.2):
                return

    def _exchange(self, send: Callable[[], Reply]) -> tuple[int, dict[str, Any]]:
        with suppress(OSError, HTTPException, ValueError):
            reply = send()
            return reply.code, reply.body if isinstance(reply.body, dict) else {}
        return 0, {}
