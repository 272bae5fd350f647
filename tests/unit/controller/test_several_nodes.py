"""Engines of several nodes: a start is accepted first, and carried out or refused later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.v1.condition import derive_condition
from api.v1.job import Job, Phase, Reason, Status
from api.v1.mark import Mark, name_mark
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from api.v1.wishes import NodeLoss, Wishes
from controller.holders import list_holds
from controller.outcome import Result
from controller.policy import FIRST_DELAY, Policy
from tests.fakes.engine.cluster import NO_NODE, MemoryCluster
from tests.fakes.engine.engine import IMAGE, Script
from tests.support.jobs import make_job
from tests.support.virtual_time import VirtualLoop
from tests.unit.controller.rig import NOPE, Bench, pass_time, until

RUNS = Script(seconds=1e6, stop_seconds=1)
NAMES = ["first", "second", "third"]


@pytest.fixture
def cluster(virtual_loop: VirtualLoop) -> MemoryCluster:
    """Return an engine whose nodes take half a second to start a job."""
    return MemoryCluster(seconds=0.5, clock=virtual_loop.now_ns, timeout=0.4)


@pytest.fixture
def bench(make: Callable[..., Bench], cluster: MemoryCluster) -> Bench:
    """Return a bench on it with two slots."""
    return make(Policy(max_concurrent=2), cluster, tick=3600.0)


def add(bench: Bench, name: str, script: Script = RUNS, **wishes: Any) -> str:
    spec = JobSpec("/job", wishes=Wishes(**wishes))
    labels = encode(spec, namespace="ns", job_id=name, labels={})
    uid = bench.engine.add(name, {"Image": IMAGE, "Cmd": [name], "Labels": labels})
    bench.engine.script(name, script)
    return uid


def find(bench: Bench, uid: str) -> Job:
    """Return what is known of a job, or one that waits while nothing is."""
    return bench.reconciler.index.jobs.get(uid) or make_job("unknown", Status.CREATED)


def judge(bench: Bench, uid: str) -> tuple[Phase, Reason | None, str]:
    found = derive_condition(find(bench, uid), bench.engine.now())
    return found.phase, found.reason, found.message


async def test_a_job_holds_its_slot_from_the_order_to_start_it(bench: Bench) -> None:
    jobs = [add(bench, name, Script(seconds=1)) for name in NAMES]
    async with bench.running():
        await until(lambda: bench.engine.calls["start"] == 2)
        await pass_time(0.4)
        assert bench.reconciler.index.active.keys() == set(jobs[:2])
        assert judge(bench, jobs[0])[:2] == (Phase.PENDING, Reason.SCHEDULING)
        assert bench.reconciler.plan().actions == ()
        assert bench.started() == []
        await until(lambda: all(bench.status(name) is Status.EXITED for name in NAMES))
    assert bench.started() == NAMES
    assert bench.seen.starts == [Result.DONE] * 3
    assert (bench.seen.foreign, bench.seen.lost, len(bench.failed_starts)) == (0, 0, 0)


async def test_why_no_node_takes_it_is_told_of_what_holds_the_slot(
    bench: Bench, cluster: MemoryCluster
) -> None:
    cluster.is_full = True
    job = add(bench, "job")
    async with bench.running():
        await until(lambda: find(bench, job).error != "")
        assert judge(bench, job) == (Phase.PENDING, Reason.SCHEDULING, NO_NODE)
        (hold,) = list_holds(bench.reconciler.index.active, bench.engine.now(), most=9)
        assert hold.cause == f"scheduling: {NO_NODE}"
        await pass_time(100)
        cluster.make_room()
        await until(lambda: bench.status("job") is Status.RUNNING)
    assert bench.engine.calls["start"] == 1


async def test_a_start_that_nodes_refuse_waits_longer_each_time(bench: Bench) -> None:
    """The number of attempts outlives the time in which the engine seems to start the job."""
    job = add(bench, "bad", Script(refusal=NOPE))
    waits: list[float] = []
    async with bench.running():
        for number in (1, 2, 3):
            await until(lambda: find(bench, job).status is Status.STARTING, 60)
            await until(lambda: find(bench, job).is_pending)
            attempt = bench.failed_starts.get(job)
            assert attempt is not None
            assert (attempt.number, attempt.message) == (number, NOPE.message)
            assert judge(bench, job) == (Phase.PENDING, Reason.START_ERROR, NOPE.message)
            waits.append(attempt.due - bench.reconciler.now().steady)
        assert waits == sorted(waits)
        assert waits[0] < 1.5 * FIRST_DELAY < 3 * FIRST_DELAY < waits[2]
        bench.engine.script("bad", RUNS)
        await until(lambda: bench.status("bad") is Status.RUNNING, 60)
        assert len(bench.failed_starts) == 0
    assert bench.seen.rejections == 3


async def test_jobs_that_nodes_refuse_delay_nobody(bench: Bench) -> None:
    for i in range(5):
        add(bench, f"bad{i}", Script(refusal=NOPE))
    for i in range(5):
        add(bench, f"good{i}", Script(seconds=0.01))
    async with bench.running():
        await until(lambda: all(bench.status(f"good{i}") is Status.EXITED for i in range(5)), 60)
    assert all(bench.failed_starts.get(bench.engine.get(f"bad{i}").id) for i in range(5))


async def test_a_cancel_ends_the_order_to_start(bench: Bench, cluster: MemoryCluster) -> None:
    cluster.is_full = True
    job = add(bench, "job")
    async with bench.running():
        await until(lambda: find(bench, job).error != "")
        mark = Mark("", job, bench.engine.now(), grace=3)
        await bench.engine.create_mark(name_mark(job), mark)
        await until(lambda: Result.DONE in bench.seen.stops)
        await until(lambda: find(bench, job).is_pending)
        assert judge(bench, job)[0] is Phase.CANCELLED
        cluster.make_room()
        await pass_time(60)
    assert bench.started() == []
    assert bench.seen.cancels == ["not_started"]
    assert (bench.seen.rejections, len(bench.failed_starts)) == (0, 0)


async def test_a_start_that_does_not_come_in_time_is_called_off(
    bench: Bench, cluster: MemoryCluster
) -> None:
    cluster.is_full = True
    late = add(bench, "late", start_by=30 * SECOND)
    timely = add(bench, "timely", start_by=30 * SECOND, run_for=60 * SECOND)
    async with bench.running():
        await until(lambda: find(bench, timely).error != "")
        cluster.make_room("timely")
        await pass_time(29)
        assert judge(bench, late)[1] is Reason.SCHEDULING
        await pass_time(3)
        phase, reason, _ = judge(bench, late)
        assert (phase, reason) == (Phase.FAILED, Reason.START_DEADLINE_EXCEEDED)
        # the time of a run counts from its start
        assert judge(bench, timely) == (Phase.RUNNING, None, "")
        await pass_time(31)
        assert judge(bench, timely)[:2] == (Phase.FAILED, Reason.DEADLINE_EXCEEDED)
    assert bench.started() == ["timely"]
    assert bench.seen.deadlines == ["start-by", "run-for"]
    assert (bench.seen.rejections, len(bench.failed_starts)) == (0, 0)


async def test_a_start_of_what_was_changed_meanwhile_charges_nobody(
    bench: Bench, cluster: MemoryCluster
) -> None:
    job = add(bench, "job")
    start = cluster.start

    async def start_too_late(container_id: str) -> Status:
        cluster.start = start  # type: ignore[method-assign]
        cluster.touch(container_id)
        return await start(container_id)

    cluster.start = start_too_late  # type: ignore[method-assign]
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
    assert bench.seen.starts == [Result.CHANGED, Result.DONE]
    assert bench.reconciler.ledger.retries == 0
    assert bench.runs("job") == 1
    assert job not in bench.failed_starts


async def test_a_job_whose_node_is_lost_has_failed_and_is_run_no_more(
    bench: Bench, cluster: MemoryCluster
) -> None:
    job = add(bench, "job", keep_for=60 * SECOND)
    async with bench.running():
        await until(lambda: find(bench, job).started)
        cluster.lose("job")
        await until(lambda: not bench.reconciler.index.active)
        message = "node b was lost while it ran"
        assert judge(bench, job) == (Phase.FAILED, Reason.NODE_LOST, message)
        await pass_time(61)
        assert bench.engine.names() == ()
    assert bench.started() == ["job"]
    assert (bench.seen.node_losses, bench.seen.foreign) == (1, 0)


async def test_a_job_that_wishes_so_runs_again_when_its_node_is_lost(
    bench: Bench, cluster: MemoryCluster
) -> None:
    """It was started in time once, and its node's end is no fault of its own: it is not charged."""
    job = add(bench, "job", on_node_loss=NodeLoss.RERUN, start_by=5 * SECOND)
    add(bench, "blocker")
    add(bench, "other")
    async with bench.running():
        await until(lambda: len(bench.started()) == 2)
        await pass_time(10)
        cluster.lose("job")
        await until(lambda: bench.runs("job") == 2)
        bench.engine.finish("blocker")
        await until(lambda: bench.runs("other") == 1)
        await until(lambda: find(bench, job).started)
        assert judge(bench, job) == (Phase.RUNNING, None, "")
        assert find(bench, job).rerun == 1
    assert Result.TRIED not in bench.seen.starts
    assert (bench.seen.node_losses, bench.seen.foreign, len(bench.failed_starts)) == (1, 0, 0)


async def test_a_successor_goes_on_with_what_was_ordered(
    make: Callable[..., Bench], cluster: MemoryCluster, tmp_path: Path
) -> None:
    cluster.is_full = True
    policy = Policy(max_concurrent=1)
    first = make(policy, cluster, tick=3600.0, folder=tmp_path / "one")
    add(first, "job", Script(refusal=NOPE))
    add(first, "next", Script(seconds=0.01))
    async with first.running():
        await until(lambda: first.engine.calls["start"] == 1)
    second = make(policy, cluster, tick=3600.0, folder=tmp_path / "two")
    async with second.running():
        await pass_time(5)
        assert second.started() == []
        assert second.engine.calls["start"] == 1
        cluster.make_room()
        await until(lambda: second.status("next") is Status.EXITED)
        assert len(second.failed_starts) == 1
    assert second.seen.foreign == 0
