"""Workers come and go: no caller, no worker and no process is ever lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from api.server.filters.generation import Generation
from api.server.filters.hooks import FilterHooks
from api.server.filters.service import Filters, from_options
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.pool import Cause, PoolStatus
from api.server.http.problem import Problem
from tests.integration.api.server.filters.test_isolation import find_workers, is_alive

FILTER = """
if .k == "loop" then def f: f; f
elif .k == "work" then reduce range(100000) as $i (0; . + 1) | {Name: "worked"}
elif .k == "two" then {Name: "a"}, {Name: "b"}
elif .k == "unending" then {Name: "a"}, (def f: f; f)
elif .k == "late" then {Name: "a"}, error("late")
else {Name: "good"} end
"""


class Listener(FilterHooks):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self.outcomes: list[str] = []
        self.seconds: list[float] = []

    def on_render(self, filter_name: str, outcome: str, seconds: float) -> None:
        assert filter_name == "inline"
        self.outcomes.append(outcome)
        self.seconds.append(seconds)

    def on_replaced(self, cause: Cause) -> None:
        self.causes.append(cause)


@asynccontextmanager
async def serve(limits: FilterLimits) -> AsyncIterator[tuple[Filters, Listener]]:
    """Yield filters at work, and what they tell; afterwards no worker may be left."""
    listener = Listener()
    filters = from_options(
        filter_source=FILTER,
        from_file=None,
        filter_env=(),
        environ={},
        limits=limits,
        hooks=listener,
    )
    await filters.start()
    try:
        yield filters, listener
    finally:
        await filters.close()
    assert find_workers(os.getpid()) == []


async def settle(filters: Filters, wanted: PoolStatus) -> None:
    """Wait until the pool is in a state."""
    async with asyncio.timeout(60):
        while filters.status.workers != wanted:
            await asyncio.sleep(0.01)


async def end_slow(calls: Iterable["asyncio.Task[object]"]) -> None:
    """Kill the workers of slow runs and await their calls: a caller that leaves ends no run."""
    for pid in find_slow_workers():
        os.kill(pid, signal.SIGKILL)
    await asyncio.wait(calls)


def find_slow_workers() -> list[int]:
    """Return the pids of the workers that were niced."""
    pids = find_workers(os.getpid())
    return [pid for pid in pids if os.getpriority(os.PRIO_PROCESS, pid) == 19]


async def count_down(wanted: int) -> None:
    """Wait until no more than so many workers are left; those killed take a moment to end."""
    async with asyncio.timeout(60):
        while len(find_workers(os.getpid())) > wanted:
            await asyncio.sleep(0.01)


async def render(filters: Filters, kind: str) -> object:
    return (await filters.render("/job", {"k": kind})).manifest


async def render_in_time(filters: Filters) -> object:
    """Return a good document's manifest, tried again while the machine is busy."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Problem):
                return await render(filters, "good")


async def test_workers_are_up_before_they_are_needed_and_gone_after_close() -> None:
    async with serve(FilterLimits(size=2)) as (filters, _):
        workers = find_workers(os.getpid())
        assert filters.status.workers == PoolStatus(idle=2, busy=0, slow=0, starting=0)
    assert not any(map(is_alive, workers))


async def test_a_slow_run_makes_room_for_another_worker() -> None:
    async with serve(FilterLimits(size=1, deadline=100)) as (filters, _):
        slow = asyncio.create_task(render(filters, "loop"))
        await settle(filters, PoolStatus(idle=1, busy=0, slow=1, starting=0))
        assert await render(filters, "good") == {"Name": "good"}
        await end_slow([slow])


async def test_a_run_that_reaches_its_deadline_costs_its_worker_alone() -> None:
    async with serve(FilterLimits(size=1, deadline=5, processor=0.05)) as (filters, listener):
        with pytest.raises(Problem, match="FilterTimeout"):
            await render(filters, "loop")
        assert listener.causes == ["deadline"]
        await settle(filters, PoolStatus(idle=1, busy=0, slow=0, starting=0))
        assert await render(filters, "good") == {"Name": "good"}


async def test_a_slow_run_that_ends_gives_its_manifest() -> None:
    async with serve(FilterLimits(size=1, slow_after=0.001, deadline=100)) as (filters, listener):
        assert await render(filters, "work") == {"Name": "worked"}
        await settle(filters, PoolStatus(idle=1, busy=0, slow=0, starting=0))
        # a process cannot take its niceness back: another one takes its place
        assert listener.causes == ["nice"]


async def test_one_slow_run_too_many_is_refused_and_says_when_to_come_back() -> None:
    async with serve(FilterLimits(size=2, most_slow=2, deadline=60)) as (filters, listener):
        slow = [asyncio.create_task(render(filters, "loop")) for _ in range(2)]
        await settle(filters, PoolStatus(idle=2, busy=0, slow=2, starting=0))
        with pytest.raises(Problem) as caught:
            await render(filters, "loop")
        assert (caught.value.code, caught.value.reason) == (429, "TooManySlowFilters")
        assert int(caught.value.headers["Retry-After"]) > 0
        assert listener.causes == ["slow"]
        assert await render(filters, "good") == {"Name": "good"}
        await end_slow(slow)


async def test_waiting_for_a_worker_counts() -> None:
    async with serve(FilterLimits(size=1, slow_after=60, deadline=0.5)) as (filters, listener):
        first = asyncio.create_task(render(filters, "loop"))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(render(filters, "loop"))
        done, _ = await asyncio.wait((first, second), timeout=30)
        assert len(done) == 2
        reasons = {getattr(t.exception(), "reason", None) for t in (first, second)}
        assert reasons <= {"FilterTimeout", "FilterBusy"}
        assert all(seconds < 0.5 + 10 for seconds in listener.seconds)


async def test_an_idle_worker_that_is_killed_is_replaced_and_no_call_is_lost() -> None:
    async with serve(FilterLimits(size=2)) as (filters, _):
        for _ in range(5):
            await settle(filters, PoolStatus(idle=2, busy=0, slow=0, starting=0))
            workers = find_workers(os.getpid())
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            while any(map(is_alive, workers)):
                time.sleep(0.001)
            # let the loop see that the sockets are closed, as it does between two requests
            for _ in range(3):
                await asyncio.sleep(0)
            assert await render(filters, "good") == {"Name": "good"}


async def test_a_worker_killed_in_a_call_fails_that_call_alone() -> None:
    async with serve(FilterLimits(size=2, deadline=30, penalty=0)) as (filters, listener):
        call = asyncio.create_task(render(filters, "loop"))
        await settle(filters, PoolStatus(idle=2, busy=0, slow=1, starting=0))
        [busy] = find_slow_workers()
        os.kill(busy, signal.SIGKILL)
        with pytest.raises(Problem, match="FilterFailed"):
            await call
        assert listener.causes == ["crashed"]
        assert await render(filters, "good") == {"Name": "good"}


async def test_callers_that_give_up_leave_nothing_behind() -> None:
    async with serve(FilterLimits(size=2, deadline=1)) as (filters, listener):
        calls = [
            asyncio.create_task(render(filters, kind))
            for kind in ("loop", "good", "two", "work") * 20
        ]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await settle(filters, PoolStatus(idle=2, busy=0, slow=0, starting=0))
        assert "Cancelled" in listener.outcomes
        assert await render_in_time(filters) == {"Name": "good"}
        await count_down(2)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("two", "ManyManifests"), ("late", "FilterFailed"), ("unending", "FilterTimeout")],
)
async def test_what_follows_the_first_output_is_no_success(kind: str, reason: str) -> None:
    async with serve(FilterLimits(size=1, processor=0.01)) as (filters, _):
        with pytest.raises(Problem) as caught:
            await render(filters, kind)
        assert (caught.value.code, caught.value.reason) == (400, reason)
        assert await render_in_time(filters) == {"Name": "good"}


async def test_a_run_that_had_no_processor_is_not_blamed() -> None:
    """As on a host where others have it all: the worker is stopped, and works no more."""
    async with serve(FilterLimits(size=1, deadline=0.5)) as (filters, listener):
        [worker] = find_workers(os.getpid())
        os.kill(worker, signal.SIGSTOP)
        calls = [asyncio.create_task(render(filters, "good")) for _ in range(3)]
        await asyncio.wait(calls, timeout=30)
        for call in calls:
            problem = call.exception()
            assert isinstance(problem, Problem)
            assert (problem.code, problem.reason) == (503, "FilterBusy")
            assert int(problem.headers["Retry-After"]) > 0
        assert listener.outcomes == ["FilterBusy"] * 3
        await settle(filters, PoolStatus(idle=1, busy=0, slow=0, starting=0))
        assert await render_in_time(filters) == {"Name": "good"}


async def test_a_run_is_blamed_for_what_it_used_alone() -> None:
    for processor, deadline, code in ((0.05, 3.0, 400), (60.0, 1.0, 503)):
        limits = FilterLimits(size=1, deadline=deadline, processor=processor)
        async with serve(limits) as (filters, _):
            with pytest.raises(Problem) as caught:
                await render(filters, "loop")
            assert caught.value.code == code


async def test_runs_that_keep_each_other_waiting_are_at_fault() -> None:
    """Slow runs take turns: what one of them waits is no sign of a busy host."""
    limits = FilterLimits(size=4, slow_after=0.02, processor=0.6)
    async with serve(limits) as (filters, listener):
        calls = [asyncio.create_task(render(filters, "loop")) for _ in range(4)]
        await asyncio.wait(calls, timeout=30)
        assert listener.outcomes == ["FilterTimeout"] * 4


async def test_runs_that_wait_for_the_processor_are_not_too_many_slow_ones() -> None:
    limits = FilterLimits(size=4, most_slow=1, slow_after=0.02, deadline=1.0)
    async with serve(limits) as (filters, listener):
        for worker in find_workers(os.getpid()):
            os.kill(worker, signal.SIGSTOP)
        calls = [asyncio.create_task(render(filters, "good")) for _ in range(4)]
        await asyncio.wait(calls, timeout=30)
        assert listener.outcomes == ["FilterBusy"] * 4
        assert set(listener.causes) == {"deadline"}


async def test_close_lets_calls_in_flight_end() -> None:
    async with serve(FilterLimits(size=1, deadline=30)) as (filters, _):
        calls = [asyncio.create_task(render(filters, "work")) for _ in range(3)]
        await asyncio.sleep(0)
    assert [await call for call in calls] == [{"Name": "worked"}] * 3


async def test_close_in_the_middle_of_a_start_leaves_no_process() -> None:
    for pause in (0.0, 0.01, 0.03, 0.06, 0.1):
        filters = from_options(
            filter_source=FILTER,
            from_file=None,
            filter_env=(),
            environ={},
            limits=FilterLimits(size=3),
        )
        starting = asyncio.create_task(filters.start())
        await asyncio.sleep(pause)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await filters.close()
        await count_down(0)


async def test_close_while_a_change_is_taken_up_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.jq"
    file.write_text("1")
    begun = asyncio.Event()
    start = Generation.start

    async def start_and_tell(generation: Generation) -> None:
        begun.set()
        await start(generation)

    for pause in (0.0, 0.02, 0.05):
        begun.clear()
        filters = from_options(
            filter_source=None, from_file=str(file), filter_env=(), environ={}, interval=0.01
        )
        await filters.start()
        with monkeypatch.context() as patch:
            patch.setattr(Generation, "start", start_and_tell)
            file.write_text(f"{pause} | 2")
            async with asyncio.timeout(60):
                await begun.wait()
            await asyncio.sleep(pause)
            await filters.close()
        assert find_workers(os.getpid()) == []


async def test_clients_that_crash_workers_wait_for_their_answers() -> None:
    """No one can have workers killed faster than they are started."""
    filters = from_options(
        filter_source='"x" * (2e8 + .)',
        from_file=None,
        filter_env=(),
        environ={},
        limits=FilterLimits(size=2, penalty=0.4),
    )
    await filters.start()
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(Problem, match=r"FilterFailed|FilterTimeout|FilterBusy"):
            await filters.render("/job", 1)
    assert time.monotonic() - began >= 2 * 0.4
    await filters.close()
