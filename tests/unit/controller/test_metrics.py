"""The controller's metrics: true of what it did and sees, closed in their labels, described."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.engine.errors import EngineRefusedError
from api.engine.instrumented import Call, InstrumentedEngine, Outcome
from api.v1.labels import NAMESPACE
from api.v1.mark import Mark, name_mark
from api.v1.queue import Queue
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from controller.leader_lock import LeaderLock
from controller.metrics import Metrics
from controller.policy import Policy
from controller.reconciler import Reconciler
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.support.metrics import describe, read_families, read_samples, read_table
from tests.unit.controller.rig import pass_time


class Scene:
    """A reconciler on an engine in memory, and what its metrics show."""

    def __init__(self, folder: Path, policy: Policy, engine: MemoryEngine) -> None:
        self.engine = engine
        self.metrics = Metrics()
        self.reconciler = Reconciler(
            InstrumentedEngine(self.engine, self.metrics.on_call),
            policy,
            LeaderLock(folder, "ns"),
            interval=0.05,
            patience=0.4,
            hooks=self.metrics,
        )
        self.metrics.watch(self.reconciler)

    def add(self, name: str, script: Script | None = None) -> str:
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": {NAMESPACE: "ns"}}
        container_id = self.engine.add(name, body)
        if script is not None:
            self.engine.script(name, script)
        return container_id

    def add_wishes(self, wishes: Wishes) -> str:
        """Add a job that runs until it is stopped; return its uid."""
        name = f"job{len(self.engine.names())}"
        labels = encode(JobSpec("/job", wishes=wishes), namespace="ns", job_id=name, labels={})
        return self.engine.add(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})

    def read(self, *key: str) -> float | None:
        return read_samples(self.metrics.registry).get((f"dispatcher_{key[0]}", *key[1:]))

    async def until(self, value: float, *key: str) -> None:
        try:
            async with asyncio.timeout(60):
                while self.read(*key) != value:
                    await pass_time(0.01)
        except TimeoutError:
            raise AssertionError(f"{key} is {self.read(*key)}, not {value}") from None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reconciler.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def make_scene(tmp_path: Path, make_engine: Callable[..., MemoryEngine]) -> Callable[..., Scene]:
    return lambda policy=None: Scene(tmp_path, policy or Policy(), make_engine())


async def test_the_table_describes_each_metric_with_its_type_and_labels(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    scene.metrics.on_call(Call.LIST, Outcome.OK, 0.1)
    assert describe(read_families(scene.metrics.registry)) == read_table("controller")


async def test_jobs_slots_and_queue_are_those_of_the_engine(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(Policy(max_concurrent=2))
    for number in range(5):
        scene.add(f"job{number}", Script(seconds=60))
    scene.add("done", Script(seconds=0))
    async with scene.running():
        await scene.until(2, "slots_used")
        await scene.until(2, "jobs", "phase=Running")
        assert scene.read("jobs", "phase=Pending") == 4
        assert scene.read("slots_allowed") == 2
        assert scene.read("queue_length") == 4
        assert scene.read("role", "role=active") == 1
        assert scene.read("role", "role=standby") == 0
        assert scene.read("starts_total", "result=done") == 2
        assert scene.read("start_seconds_count") == 2
        assert (scene.read("oldest_pending_seconds") or 0) > 0
        assert (scene.read("last_pass_timestamp_seconds") or 0) > 0


async def test_an_unlimited_number_of_slots_is_infinite(make_scene: Callable[..., Scene]) -> None:
    assert make_scene().read("slots_allowed") == float("inf")


async def test_a_freed_slot_that_is_taken_is_a_handover(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(Policy(max_concurrent=1))
    for number in range(3):
        scene.add(f"job{number}", Script(seconds=0.05))
    async with scene.running():
        await scene.until(3, "jobs", "phase=Succeeded")
        await scene.until(2, "handover_seconds_count")


async def test_a_job_that_cannot_start_is_counted_by_result_and_backs_off(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    scene.add("bad", Script(refusal=EngineRefusedError(400, "no such command")))
    async with scene.running():
        await scene.until(1, "backing_off")
        assert scene.read("starts_total", "result=refused") == 1
        assert scene.read("engine_calls_total", "call=start", "outcome=refused") == 1
        assert scene.read("engine_calls_total", "call=start", "outcome=ok") == 0


async def test_a_job_removed_before_it_ran_is_lost_and_one_started_by_others_foreign(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(Policy(max_concurrent=0))
    gone, foreign = scene.add("gone"), scene.add("foreign", Script(seconds=60))
    async with scene.running():
        await scene.until(2, "queue_length")
        await scene.until(1, "role", "role=active")
        await scene.engine.remove(gone)
        await scene.engine.start(foreign)
        await scene.until(1, "jobs_lost_total")
        await scene.until(1, "foreign_starts_total")


async def test_an_engine_that_is_away_shows_in_calls_and_state(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    async with scene.running():
        await scene.until(1, "engine_up")
        assert (scene.read("rereads_total", "kind=full") or 0) >= 1
        scene.engine.is_down = True
        await scene.until(0, "engine_up")
        calls = read_samples(scene.metrics.registry)
        assert any(key[-1] == "outcome=unavailable" and n for key, n in calls.items())
        scene.engine.is_down = False
        await scene.until(1, "engine_up")


async def test_a_job_whose_end_was_told_but_not_read_runs_and_holds_no_slot(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(Policy(max_concurrent=1, keep_exited_for=3600 * 1_000_000_000))
    labels = {NAMESPACE: "ns", "exitCode": "0"}  # no event of it shows how it ended
    job = scene.engine.add("job", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    async with scene.running():
        await scene.until(1, "jobs", "phase=Running")
        await scene.until(0, "starts_in_flight")
        scene.engine.hang("inspect", ref=job)
        scene.engine.finish("job")
        await scene.until(0, "slots_used")
        assert scene.read("jobs", "phase=Running") == 1
        assert scene.read("jobs", "phase=Succeeded") == 0


async def test_each_configured_queue_is_shown_and_unknown_ones_together(
    make_scene: Callable[..., Scene],
) -> None:
    queues = {"etl": Queue("etl", 1), "off": Queue("off", paused=True)}
    scene = make_scene(Policy(max_concurrent=9, queues=queues))
    for queue in ("etl", "etl", "off", "stranger", "default"):
        scene.add_wishes(Wishes(queue))
    async with scene.running():
        await scene.until(3, "slots_used")
        shown = {
            name: [scene.read(f"queue_{name}", f"queue={queue}") for queue in ("default", *queues)]
            for name in ("pending", "used", "allowed")
        }
        assert shown == {"pending": [0, 1, 1], "used": [1, 1, 0], "allowed": [float("inf"), 1, 0]}
        assert (scene.read("queue_oldest_pending_seconds", "queue=off") or 0) >= 0
        assert scene.read("queue_used", "queue=stranger") is None
        assert scene.read("unknown_queue_jobs") == 1
        assert scene.read("held_by_queues") == 2


async def test_cancels_and_deadlines_are_counted_by_what_they_came_to(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(Policy(max_concurrent=1))
    runs = scene.add_wishes(Wishes(run_for=SECOND))
    waits = scene.add_wishes(Wishes())
    scene.add_wishes(Wishes(start_by=0))
    async with scene.running():
        await scene.until(1, "slots_used")
        await scene.engine.create_mark(name_mark(waits), Mark("", waits, scene.engine.now()))
        await scene.until(1, "cancel_ends_total", "outcome=not_started")
        await pass_time(1.1)
        await scene.until(1, "deadline_ends_total", "deadline=run-for")
        await scene.until(1, "deadline_ends_total", "deadline=start-by")
        assert scene.read("stops_total", "result=done") == 1
        last = scene.add_wishes(Wishes())
        await scene.until(2, "starts_total", "result=done")
        await scene.engine.create_mark(name_mark(last), Mark("", last, scene.engine.now()))
        await scene.until(1, "cancel_ends_total", "outcome=stopped")
        assert scene.read("jobs", "phase=Cancelled") == 2
        assert scene.read("jobs_lost_total") == 0
        # a mark that comes after the end is no cancel
        await scene.engine.create_mark(name_mark(runs), Mark("", runs, scene.engine.now()))
        await pass_time(1)
        assert scene.read("cancel_ends_total", "outcome=ended") == 0


async def test_which_queue_configs_serve_is_shown(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene()
    assert (scene.read("queues_generation"), scene.read("queues_refused")) == (1, 0)
    scene.metrics.on_queues(1, "unknown field")
    assert (scene.read("queues_generation"), scene.read("queues_refused")) == (1, 1)
    scene.metrics.on_queues(2, None)
    assert (scene.read("queues_generation"), scene.read("queues_refused")) == (2, 0)
