"""Works through a schedule's two sequences of faults, and knows those of the processes."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Self

from tests.chaos.history import Recorder
from tests.chaos.schedule import Schedule, Step
from tests.chaos.supervisor import Supervised
from tests.support.private_engine import frozen

_LIVE = 204


class Injector:
    """Works through ``schedule`` in two threads; ``wait`` returns when all faults are over.

    With ``served_for`` a process is killed only once it has served for so many seconds: on a busy
    machine it would otherwise never come to that. Who inherits adds to ``faults``, by their names
    in the schedule.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        seed: int,
        apis: tuple[Supervised, ...],
        controllers: tuple[Supervised, ...],
        recorder: Recorder,
        served_for: float | None = None,
    ) -> None:
        self._served_for = served_for
        self._apis = apis
        self._controllers = controllers
        self.recorder = recorder
        self.random = random.Random(f"nemesis-{seed}")
        self._lock = threading.Lock()
        self._number = 0
        self.stopped = threading.Event()
        self._errors: list[BaseException] = []
        self.counts: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._work, args=(steps,), daemon=True)
            for steps in (schedule.engine, schedule.processes)
        ]
        self.faults: dict[str, Callable[[float], None]] = {
            "kill-api": self._kill_api,
            "kill-controller": self._kill_controller,
            "freeze-controller": self._freeze_controller,
        }

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join(120)

    def wait(self, patience: float) -> None:
        """Wait for the end of all faults; raise what went wrong with the nemesis itself."""
        end = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError("the faults did not end in time")

    def _work(self, steps: tuple[Step, ...]) -> None:
        try:
            for step in steps:
                if self.stopped.wait(step.pause):
                    return
                self._let_serve(step.what)
                if self.stopped.is_set():
                    return
                with self._noted(step.what):
                    self.faults[step.what](step.seconds)
                self.settle(step.what)
                with self._lock:
                    self.counts[step.what] += 1
        except BaseException as error:  # noqa: BLE001 - raised again by wait
            self._errors.append(error)

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        with self._lock:
            self._number += 1
            number = self._number
        self.recorder.record("fault", number=number, what=what, moment="begin")
        try:
            yield
        finally:
            self.recorder.record("fault", number=number, what=what, moment="end")

    def settle(self, what: str) -> None:
        """Wait until the next fault may come; ``what`` is over."""

    # The processes -----------------------------------------------------------------------------

    def _kill_api(self, held: float) -> None:
        self.random.choice(self._apis).kill(min(held, 2))

    def _kill_controller(self, held: float) -> None:
        self._find_active().kill(min(held, 3))

    def _let_serve(self, what: str) -> None:
        """Return once what is to be killed has served for long enough."""
        victims = {"kill-api": self._apis, "kill-controller": self._controllers}.get(what, ())
        for victim in victims if self._served_for is not None else ():
            while not self.stopped.wait(0.5):
                with suppress(OSError, HTTPException):
                    if victim.process.get("/health/live").code == _LIVE:
                        break
        if victims:
            self.stopped.wait(self._served_for or 0)

    def _freeze_controller(self, held: float) -> None:
        chosen = self._find_active().process
        with suppress(OSError), frozen(chosen.pid):
            time.sleep(held)

    def _find_active(self) -> Supervised:
        """Return the controller that holds the lease, or any if none says so."""
        for controller in self._controllers:
            with suppress(OSError, HTTPException, ValueError):
                reply = controller.process.get("/health/ready?verbose")
                if isinstance(reply.body, dict) and reply.body.get("role") == "active":
                    return controller
        return self.random.choice(self._controllers)
