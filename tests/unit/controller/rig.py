"""A reconciler on an in-memory engine, and short words for both."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from api.engine.errors import EngineRefusedError
from api.v1.condition import Cause
from api.v1.job import Status
from api.v1.labels import NAMESPACE
from controller.instrumentation import CancelOutcome, MetricsHooks
from controller.leader_lock import LeaderLock
from controller.ledger import Attempts, InFlight
from controller.outcome import Result
from controller.plan import ActionKind
from controller.policy import Policy
from controller.reconciler import Reconciler
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.support.waiting import until

__all__ = ["NOPE", "Bench", "Counting", "pass_time", "until"]

NOPE = EngineRefusedError(400, "no such command")


class Counting(MetricsHooks):
    """Keeps what the reconciler reports."""

    def __init__(self) -> None:
        self.starts: list[Result] = []
        self.stops: list[Result] = []
        self.cancels: list[str] = []
        self.deadlines: list[str] = []
        self.lost = 0
        self.foreign = 0
        self.rejections = 0
        self.node_losses = 0
        self.handovers: list[float] = []
        self.passes = 0

    def on_pass(self) -> None:
        self.passes += 1

    def on_action(self, kind: ActionKind, result: Result, seconds: float) -> None:
        del seconds
        if kind is ActionKind.START:
            self.starts.append(result)
        if kind is ActionKind.STOP:
            self.stops.append(result)

    def on_cancel(self, outcome: CancelOutcome) -> None:
        self.cancels.append(outcome.value)

    def on_deadline(self, cause: Cause) -> None:
        self.deadlines.append(cause.value)

    def on_rejection(self) -> None:
        self.rejections += 1

    def on_node_loss(self) -> None:
        self.node_losses += 1

    def on_lost(self) -> None:
        self.lost += 1

    def on_foreign_start(self) -> None:
        self.foreign += 1

    def on_handover(self, seconds: float) -> None:
        self.handovers.append(seconds)


async def pass_time(seconds: float) -> None:
    """Let the loop's time pass, and all that falls due in it happen: on virtual time, at once."""
    await asyncio.sleep(seconds)


class Bench:
    """An engine, a reconciler on it, and short words for both."""

    def __init__(self, folder: Path, policy: Policy, engine: MemoryEngine, tick: float) -> None:
        self.engine = engine
        self.seen = Counting()
        self.reconciler = Reconciler(
            engine,
            policy,
            LeaderLock(folder, "ns"),
            interval=tick,
            patience=0.4,
            hooks=self.seen,
        )

    def add(self, name: str, script: Script | None = None) -> str:
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": {NAMESPACE: "ns"}}
        container_id = self.engine.add(name, body)
        if script is not None:
            self.engine.script(name, script)
        return container_id

    def go_down_with_starts(self) -> None:
        """Have the engine end with the next start, whatever becomes of that."""
        start = self.engine.start

        async def start_and_go_down(container_id: str) -> Status:
            try:
                return await start(container_id)
            finally:
                self.engine.go_down()

        self.engine.start = start_and_go_down  # type: ignore[method-assign]

    @property
    def failed_starts(self) -> Attempts:
        return self.reconciler.ledger.attempts[ActionKind.START]

    @property
    def starting(self) -> Mapping[str, InFlight]:
        return self.reconciler.ledger.in_flight[ActionKind.START]

    def status(self, name: str) -> Status:
        return self.engine.get(name).status

    def runs(self, name: str) -> int:
        container_id = self.engine.get(name).id
        return sum(e.action == "start" and e.id == container_id for e in self.engine.history)

    def started(self) -> list[str]:
        return [
            event.labels.get("name", event.id)
            for event in self.engine.history
            if event.action == "start"
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reconciler.run())
        try:
            yield
            assert not task.done(), "the loop ended"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
