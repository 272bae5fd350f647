"""Whatever happens to an engine, its informer never lies about starts and ends at the truth."""

import asyncio
import builtins
from collections import defaultdict
from collections.abc import Callable
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from api.engine.errors import (
    EngineError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    OverloadedError,
)
from api.informer.informer import Informer
from api.v1.job import Job, Status
from api.v1.labels import NAME, NAMESPACE
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.fakes.engine.host import Happening
from tests.fakes.engine.store import Cell, Selection, make_job
from tests.support.virtual_time import VirtualLoop
from tests.unit.api.informer.stage import virtual_monotonic

NS = "blue"
LABELLED = "labelled:image"
COMMITTED = "committed:job"
KINDS = st.sampled_from(["ours", "ours", "ours", "original", "copy", "inherited", "other"])
STEPS = st.sampled_from(["on", "on", "on", "on", "pause", "again", "rename", "destroy"])
LIES = ("start", "restart", "destroy", "rename")
WAITS = st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0, 20.0])
ERRORS: list[EngineError] = [
    EngineTimeoutError("silent"),
    EngineInterruptedError("cut"),
    EngineUnavailableError("down"),
    OverloadedError(503, "later"),
]


class LaggingEngine(MemoryEngine):
    """Its answers travel for a while, some longer than others: what they tell may be past by then.

    ``lag`` is the common time in seconds; a full list takes ten times as long, as on a big host.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.trails: defaultdict[str, builtins.list[Status]] = defaultdict(builtins.list)
        self.lag = 0.0
        self.chance = Random(0)
        super().__init__(namespace=NS, clock=clock, timeout=2.0)

    def _emit(self, action: str, cell: Cell, exit_code: int | None = None) -> None:
        self.trails[cell.id].append(cell.container.status)
        super()._emit(action, cell, exit_code)

    async def _select(self, wanted: Selection) -> builtins.list[Job]:
        is_full = wanted.since is None and not wanted.statuses and not wanted.uids
        rows = await super()._select(wanted)
        await self._travel(10 if is_full else 1)
        return rows

    async def inspect(self, ref: str) -> Job | None:
        seen = await super().inspect(ref)
        await self._travel(10)
        return seen

    async def _travel(self, times: int) -> None:
        await asyncio.sleep(self.lag * times * self.chance.choice([0, 1, 2]))


class Witness:
    """Sees every change of the store and notes those that cannot be true."""

    def __init__(self, engine: LaggingEngine) -> None:
        self.engine = engine
        self.is_heard = False
        """Whether every event has reached the informer: only then must time run forward."""
        self.is_lied_to = False
        """Whether an event has told what is not so."""
        self.lies: list[str] = []
        self._started: set[str] = set()
        self._gone: set[str] = set()
        self._places: dict[str, int] = {}

    def forget(self) -> None:
        """Judge from here on."""
        self.is_heard = True
        self.is_lied_to = False
        self._places.clear()
        self._gone.clear()

    def on_change(self, old: Job | None, new: Job | None) -> None:
        if new is None:
            assert old is not None
            self._gone.add(old.uid)
            return
        if new.is_pending and new.uid in self._started and not self.is_lied_to:
            self.lies.append(f"{new.id} is pending again")
        if new.started and not self.is_lied_to:
            self._started.add(new.uid)
        if self.is_heard and new.uid in self._gone:
            self.lies.append(f"{new.id} is back")
        trail, place = self.engine.trails[new.uid], self._places.get(new.uid, 0)
        while place < len(trail) and trail[place] is not new.status:
            place += 1
        if place < len(trail):
            self._places[new.uid] = place
        elif self.is_heard:
            self.lies.append(f"{new.id} goes back to {new.status} in {trail}")

    def on_resync(self) -> None:
        pass


class InformerMachine(RuleBasedStateMachine):
    """The engine lives, fails and is silent at random; the informer looks on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.patch = virtual_monotonic(self.loop)
        self.patch.__enter__()
        self.number = self.again = 0
        self.is_calm = self.is_rough = False
        self.strangers: set[str] = set()
        self.loop.run(self._begin())

    async def _begin(self) -> None:
        self.engine = LaggingEngine(self.loop.now_ns)
        self.witness = Witness(self.engine)
        self.engine.add_image(LABELLED, {NAMESPACE: NS})
        self.engine.add_image(COMMITTED, {NAMESPACE: NS, NAME: "someone"})
        self.informer = self.make_informer()
        self.task = asyncio.ensure_future(self.informer.run())
        await asyncio.sleep(1.0)
        self.is_calm = True
        self.witness.forget()

    def make_informer(self) -> Informer:
        """Return the informer as the controller has it."""
        return Informer(self.engine, self.witness, interval=2.0, wants_finish=True)

    def check_finished(self, shown: Job, true: Job) -> None:
        """Check what is known of a finished job."""
        assert shown.detailed
        assert (shown.finished_at, shown.exit_code, shown.oom_killed) == (
            true.finished_at,
            true.exit_code,
            true.oom_killed,
        )

    def teardown(self) -> None:
        self.settle()
        self.task.cancel()
        self.loop.run(asyncio.wait_for(asyncio.gather(self.task, return_exceptions=True), 60))
        self.patch.__exit__(None, None, None)
        self.loop.close()

    def _pass(self, seconds: float) -> None:
        self.loop.run(asyncio.sleep(seconds))

    @initialize(
        kinds=st.lists(KINDS, min_size=1, max_size=4),
        is_eager=st.booleans(),
        is_rough=st.booleans(),
    )
    def begin_with(self, kinds: list[str], is_eager: bool, is_rough: bool) -> None:
        self.is_rough = is_rough
        if is_eager:  # there is nearly always a list under way
            self.informer.budget.cheap_share = self.informer.budget.full_share = 0.8
        for kind in kinds:
            self.create(kind)

    @rule(kind=KINDS)
    def create(self, kind: str) -> None:
        self.number += 1
        name = f"job-{self.number}"
        labels = encode(JobSpec(), namespace=NS, job_id=name, labels={})
        match kind:
            case "original":
                labels = {NAMESPACE: NS}
            case "copy" | "inherited":
                labels = {}
            case "other":
                labels[NAMESPACE] = "red"
        image = {"copy": COMMITTED, "inherited": LABELLED}.get(kind, IMAGE)
        uid = self.engine.add(name, {"Image": image, "Cmd": ["true"], "Labels": labels})
        if kind in {"copy", "inherited", "other"}:
            self.strangers.add(uid)

    @rule(steps=st.lists(st.tuples(st.integers(0, 9), STEPS, WAITS), min_size=1, max_size=6))
    def live(self, steps: list[tuple[int, str, float]]) -> None:
        """Have containers live on, at once or with pauses between."""
        for place, step, seconds in steps:
            names = self.engine.names()
            if names:
                self._step(names[place % len(names)], step)
            self._pass(seconds)

    def _step(self, name: str, step: str) -> None:
        engine, status = self.engine, self.engine.get(name).status
        match step, status:
            case "on", Status.CREATED:
                engine.run(name)
            case "on", Status.RUNNING:
                engine.finish(name, self.number % 3, oom=self.number % 4 == 0)
            case "on", Status.PAUSED:
                engine.unpause(name)
            case "again", Status.EXITED:
                # Unseen, only another code tells a list's reader that it is another end.
                self.again += 1
                engine.run(name)
                engine.finish(name, 3 + self.again)
            case "pause", Status.RUNNING:
                engine.pause(name)
            case "rename", _:
                self.again += 1
                engine.rename(name, f"renamed-{self.again}")
            case "destroy", _:
                engine.destroy(name)

    @rule(seconds=WAITS)
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @precondition(lambda self: self.is_rough)
    @rule(kind=st.sampled_from(["mute", "cut", "end", "down", "heal"]))
    def disturb(self, kind: str) -> None:
        self.is_calm = self.witness.is_heard = False
        match kind:
            case "mute":
                self.engine.is_mute = True
            case "cut":
                self.engine.cut_streams()
            case "end":
                self.engine.end_streams()
            case "down":
                self.engine.go_down()
            case "heal":
                self.engine.heal()

    @precondition(lambda self: self.is_rough)
    @rule(
        call=st.sampled_from(["list", "inspect", "info", "events", "*"]),
        error=st.sampled_from(ERRORS),
        times=st.integers(1, 3),
    )
    def fail(self, call: str, error: EngineError, times: int) -> None:
        self.is_calm = self.witness.is_heard = False
        self.engine.fail(call, error, times=times)

    @precondition(lambda self: self.is_rough)
    @rule(place=st.integers(0, 9))
    def hang(self, place: int) -> None:
        names = self.engine.names()
        if names:
            self.is_calm = self.witness.is_heard = False
            self.engine.hang("inspect", ref=self.engine.get(names[place % len(names)]).id)

    @precondition(lambda self: self.is_rough)
    @rule(
        lie=st.sampled_from(["again", "name", "labels", "code", *LIES]),
        place=st.integers(0, 99),
    )
    def mislead(self, lie: str, place: int) -> None:
        """Have an event come again, late, or tell what is not so."""
        self.is_calm = self.witness.is_heard = False
        self.witness.is_lied_to = True
        happening = self.engine.history[place % len(self.engine.history)]
        if lie == "again":
            self.engine.tell(happening)
            return
        if happening.id in self.strangers:
            return
        labels, kind = dict(happening.labels), lie if lie in LIES else "create"
        match lie:
            case "name":
                labels |= {NAME: "nobody", "name": "nobody"}
            case "labels":
                labels |= encode(JobSpec("/lie"), namespace=NS, job_id="lie", labels={})
            case "code":
                labels, kind = labels | {"exitCode": "99"}, "die"
        uid = "f" * 64 if lie == "name" and place % 2 else happening.id
        self.engine.tell(Happening(kind, uid, labels, self.engine._tick(), is_certain=True))

    @precondition(lambda self: self.is_rough)
    @rule(place=st.integers(0, 9), step=STEPS, kind=KINDS)
    def keep_silent(self, place: int, step: str, kind: str) -> None:
        """Have the events of a step, or of a creation, be lost."""
        self.is_calm = self.witness.is_heard = False
        was_mute, self.engine.is_mute = self.engine.is_mute, True
        self.create(kind)
        self._step(self.engine.names()[place % len(self.engine.names())], step)
        self.engine.is_mute = was_mute

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.15]), seed=st.integers(0, 9))
    def lag(self, seconds: float, seed: int) -> None:
        self.is_calm = self.is_calm and not seconds
        self.engine.lag = seconds
        self.engine.chance = Random(seed)

    @rule()
    def settle(self) -> None:
        """Once the engine is well and at rest, the store is the engine's state."""
        self.engine.heal()
        self.engine.lag = 0.0
        self._pass(90.0)
        self.is_calm = True
        self.witness.forget()
        jobs = self._compare()
        known = self.informer.store.known
        for uid, true in jobs.items():
            shown = known[uid]
            assert (shown.spec, shown.likeness) == (true.spec, true.likeness)
            if true.is_finished:
                self.check_finished(shown, true)
        by_order = sorted(known.values(), key=lambda shown: shown.order)
        assert [shown.uid for shown in by_order] == list(jobs)
        assert self.informer.engine_status.is_up
        assert not self.informer.unresponsive

    @precondition(lambda self: self.is_calm)
    @rule()
    def catch_up(self) -> None:
        """With a sound engine, events alone bring the store up to date long before a tick."""
        self._pass(0.5)
        self._compare()

    def _compare(self) -> dict[str, Job]:
        cells = [self.engine._store.find(name) for name in self.engine.names()]
        jobs = {
            cell.id: make_job(cell, NS, self.engine._images)
            for cell in cells
            if self._is_ours(cell)
        }
        shown = {
            uid: (job.id, job.status, job.started) for uid, job in self.informer.store.known.items()
        }
        assert shown == {uid: (job.id, job.status, job.started) for uid, job in jobs.items()}
        for job in jobs.values():
            assert self.informer.store.find_uid(job.id) == job.uid
        return jobs

    def _is_ours(self, cell: Cell) -> bool:
        has_label = cell.container.labels.get(NAMESPACE) == NS
        return has_label and cell.id not in self.strangers

    @invariant()
    def the_store_never_goes_back(self) -> None:
        assert self.witness.lies == []

    @invariant()
    def the_informer_lives(self) -> None:
        assert not self.task.done()
        assert self.informer.engine_status.is_up or not self.witness.is_heard

    @invariant()
    def no_stranger_is_shown(self) -> None:
        assert not self.informer.store.known.keys() & self.strangers


class LeisurelyMachine(InformerMachine):
    """The same with an informer that reads what events touch by lists, as the API's does."""

    def make_informer(self) -> Informer:
        """Return the informer as the API has it."""
        return Informer(self.engine, self.witness, interval=2.0, delay=0.25)

    def check_finished(self, shown: Job, true: Job) -> None:
        """Check what a list shows of a finished job."""
        assert shown.exit_code == true.exit_code


for machine in (InformerMachine, LeisurelyMachine):
    machine.TestCase.settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
TestInformer = InformerMachine.TestCase
TestLeisurelyInformer = LeisurelyMachine.TestCase
