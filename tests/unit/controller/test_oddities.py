"""What others do to jobs is noticed: logged, counted, and their runs hold slots."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from api.v1.job import Status
from api.v1.spec import JobSpec, encode
from controller.ledger import Ledger
from controller.oddities import is_foreign_start
from controller.plan import ActionKind
from controller.policy import Policy
from tests.fakes.engine.engine import IMAGE, Script
from tests.unit.controller.rig import Bench, pass_time, until
from tests.unit.controller.scenes import NOON, finished


async def test_a_finished_job_that_runs_again_is_noticed_and_holds_a_slot(
    make: Callable[..., Bench],
) -> None:
    """A person does it, or an engine that starts: it obeys a restart policy of what was stopped."""
    bench = make(Policy(max_concurrent=1))
    stopped = bench.add("stopped", Script(seconds=1.0))
    with capture_logs() as lines:
        async with bench.running():
            await until(lambda: bench.status("stopped") is Status.EXITED)
            await pass_time(1)
            assert bench.seen.foreign == 0
            bench.engine.script("stopped", Script(seconds=None))
            bench.engine.end_streams()
            bench.engine.is_mute = True
            bench.engine.run(stopped)
            bench.engine.is_mute = False
            await until(lambda: bench.seen.foreign == 1)
            bench.add("waits")
            await pass_time(5)
            assert bench.status("waits") is Status.CREATED
            # the second time nobody sees it run
            bench.engine.finish(stopped)
            await until(lambda: bench.status("waits") is Status.RUNNING)
    told = [line["job"] for line in lines if line["event"] == "job started again by someone else"]
    assert told == ["stopped"]


async def test_a_copy_of_a_job_that_an_updater_runs_is_noticed_and_holds_a_slot(
    make: Callable[..., Bench],
) -> None:
    bench = make(Policy(max_concurrent=1))
    bench.add("job", Script(seconds=None))
    async with bench.running():
        await until(lambda: bench.status("job") is Status.RUNNING)
        await until(lambda: not bench.starting)
        labels = encode(JobSpec(), namespace="ns", job_id="job", labels={})
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": labels}
        # created and started at once, before anything could be read of it
        copy = bench.engine.add("job-copy", body)
        bench.engine.script(copy, Script(seconds=None))
        bench.engine.run(copy)
        await until(lambda: bench.seen.foreign == 1)
        assert set(bench.reconciler.index.active) == {copy, bench.engine.get("job").id}
        bench.add("waits")
        bench.engine.finish("job")
        await pass_time(5)
        assert bench.status("waits") is Status.CREATED
        bench.engine.finish(copy)
        await until(lambda: bench.status("waits") is Status.RUNNING)
    assert bench.seen.foreign == 1


@pytest.mark.parametrize("is_active", [True, False])
def test_a_run_that_nobody_saw_is_told_by_its_other_start(is_active: bool) -> None:
    ended = finished("a", -60)
    status = Status.RUNNING if is_active else Status.EXITED
    again = replace(ended, status=status, started_at=NOON, finished_at=NOON + 1)
    assert is_foreign_start(ended, again, Ledger())
    assert not is_foreign_start(ended, replace(ended, order=5), Ledger())
    assert not is_foreign_start(ended, replace(ended, status=Status.DEAD), Ledger())
    ours = Ledger()
    ours.begin(ActionKind.START, "a", 0.0)
    assert not is_foreign_start(ended, again, ours)
