"""Injects the faults of a schedule, one sequence against the engine, one against the processes."""

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
from tests.support.private_engine import PrivateEngine, frozen
from tests.support.proxy import FaultProxy
from tests.support.shims import find_shims

_START = r"^POST \S+/start"
_CREATE = r"^POST \S+/containers/create"
_LIST = r"^GET \S+/containers/json"
_EVENTS = r"^GET \S+/events"
_LIVE = 204


class Nemesis:
    """Works through ``schedule`` in two threads; ``wait`` returns when all faults are over.

    With ``served_for`` a process is killed only once it has served for so many seconds: on a busy
    machine it would otherwise never come to that.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        seed: int,
        engine: PrivateEngine,
        proxies: tuple[FaultProxy, FaultProxy],
        api: Supervised,
        controllers: tuple[Supervised, ...],
        recorder: Recorder,
        served_for: float | None = None,
    ) -> None:
        self._served_for = served_for
        self._engine = engine
        self._api_proxy, self._controller_proxy = proxies
        self._api = api
        self._controllers = controllers
        self._recorder = recorder
        self._random = random.Random(f"nemesis-{seed}")
        self._lock = threading.Lock()
        self._number = 0
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self.counts: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._work, args=(steps,), daemon=True)
            for steps in (schedule.engine, schedule.processes)
        ]
        self._faults: dict[str, Callable[[float], None]] = {
            "kill-engine": self._kill_engine,
            "restart-engine": self._restart_engine,
            "freeze-containerd": self._freeze_containerd,
            "freeze-engine": self._freeze_engine,
            "freeze-shim": self._freeze_shim,
            "cut-streams": self._cut_streams,
            "silence-streams": self._silence_streams,
            "cut-starts": lambda held: self._spoil(self._controller_proxy, "cut", _START, held),
            "lose-starts": lambda held: self._spoil(
                self._controller_proxy, "lose_reply", _START, held
            ),
            "cut-creates": lambda held: self._spoil(self._api_proxy, "cut", _CREATE, held),
            "lose-creates": lambda held: self._spoil(self._api_proxy, "lose_reply", _CREATE, held),
            "truncate-lists": self._truncate_lists,
            "delay-calls": self._delay_calls,
            "refuse-connections": self._refuse_connections,
            "kill-api": self._kill_api,
            "kill-controller": self._kill_controller,
            "freeze-controller": self._freeze_controller,
        }

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
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
                if self._stopped.wait(step.pause):
                    return
                self._let_serve(step.what)
                if self._stopped.is_set():
                    return
                with self._noted(step.what):
                    self._faults[step.what](step.seconds)
                with self._lock:
                    self.counts[step.what] += 1
        except BaseException as error:  # noqa: BLE001 - raised again by wait
            self._errors.append(error)

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        with self._lock:
            self._number += 1
            number = self._number
        self._recorder.record("fault", number=number, what=what, moment="begin")
        try:
            yield
        finally:
            self._recorder.record("fault", number=number, what=what, moment="end")

    # The engine --------------------------------------------------------------------------------

    def _kill_engine(self, held: float) -> None:
        self._engine.kill()
        time.sleep(min(held, 3))
        self._engine.start()

    def _restart_engine(self, held: float) -> None:
        self._engine.stop()
        time.sleep(min(held, 3))
        self._engine.start()

    def _freeze_containerd(self, held: float) -> None:
        with frozen(self._engine.containerd_pid):
            time.sleep(held)

    def _freeze_engine(self, held: float) -> None:
        with frozen(self._engine.pid):
            time.sleep(held)

    def _freeze_shim(self, held: float) -> None:
        shims = sorted(find_shims(self._engine).values())
        for shim in self._random.sample(shims, len(shims)):
            # its job may have ended by now
            with suppress(ProcessLookupError), frozen(shim):
                time.sleep(held)
                return

    # The way to it -----------------------------------------------------------------------------

    def _spoil(self, proxy: FaultProxy, act: str, pattern: str, held: float) -> None:
        getattr(proxy, act)(pattern, times=self._random.randint(1, 3))
        time.sleep(held)
        proxy.heal()

    def _cut_streams(self, _held: float) -> None:
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.sever(_EVENTS)

    def _silence_streams(self, held: float) -> None:
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.drop_events_silently()
        time.sleep(held)
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.heal()

    def _truncate_lists(self, held: float) -> None:
        self._controller_proxy.truncate(_LIST, self._random.randint(1, 2000))
        time.sleep(held)
        self._controller_proxy.heal()

    def _delay_calls(self, held: float) -> None:
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.delay(r"^(?!GET \S+/events)", self._random.uniform(0.05, 0.5))
        time.sleep(held)
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.heal()

    def _refuse_connections(self, held: float) -> None:
        leave = self._random.random() < 0.5
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.refuse(leave_socket=leave)
        time.sleep(held)
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.listen()

    # The processes -----------------------------------------------------------------------------

    def _kill_api(self, held: float) -> None:
        self._api.kill(min(held, 2))

    def _kill_controller(self, held: float) -> None:
        self._find_active().kill(min(held, 3))

    def _let_serve(self, what: str) -> None:
        """Return once what is to be killed has served for long enough."""
        victims = {"kill-api": (self._api,), "kill-controller": self._controllers}.get(what, ())
        for victim in victims if self._served_for is not None else ():
            while not self._stopped.wait(0.5):
                with suppress(OSError, HTTPException):
                    if victim.process.get("/health/live").code == _LIVE:
                        break
        if victims:
            self._stopped.wait(self._served_for or 0)

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
        return self._random.choice(self._controllers)
