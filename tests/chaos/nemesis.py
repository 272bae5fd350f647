"""Injects the faults of a schedule into a private engine, the way to it, and the processes."""

import time
from contextlib import suppress

from tests.chaos.history import Recorder
from tests.chaos.injector import Injector
from tests.chaos.schedule import Schedule
from tests.chaos.supervisor import Supervised
from tests.support.private_engine import PrivateEngine, frozen
from tests.support.proxy import FaultProxy
from tests.support.shims import find_shims

_START = r"^POST \S+/start"
_CREATE = r"^POST \S+/containers/create"
_LIST = r"^GET \S+/containers/json"
_EVENTS = r"^GET \S+/events"


class Nemesis(Injector):
    """Works through ``schedule``: the engine's sequence is of its faults and those on the way."""

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
        super().__init__(
            schedule,
            seed=seed,
            apis=(api,),
            controllers=controllers,
            recorder=recorder,
            served_for=served_for,
        )
        self._engine = engine
        self._api_proxy, self._controller_proxy = proxies
        self.faults |= {
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
        }

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
        for shim in self.random.sample(shims, len(shims)):
            # its job may have ended by now
            with suppress(ProcessLookupError), frozen(shim):
                time.sleep(held)
                return

    # The way to it -----------------------------------------------------------------------------

    def _spoil(self, proxy: FaultProxy, act: str, pattern: str, held: float) -> None:
        getattr(proxy, act)(pattern, times=self.random.randint(1, 3))
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
        self._controller_proxy.truncate(_LIST, self.random.randint(1, 2000))
        time.sleep(held)
        self._controller_proxy.heal()

    def _delay_calls(self, held: float) -> None:
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.delay(r"^(?!GET \S+/events)", self.random.uniform(0.05, 0.5))
        time.sleep(held)
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.heal()

    def _refuse_connections(self, held: float) -> None:
        leave = self.random.random() < 0.5
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.refuse(leave_socket=leave)
        time.sleep(held)
        for proxy in (self._controller_proxy, self._api_proxy):
            proxy.listen()
