"""Faults 32 to 39 of the catalogue: events that fail to come, and what scale does to order."""

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.chaos.stage import EVENTS, Stage
from tests.support.waiting import wait_until

_RARELY = 60.0  # seconds: an upkeep tick that a test does not wait for


def test_fault_32_what_happened_while_no_stream_stood_is_found_by_the_next_list(
    stage: Stage,
) -> None:
    with stage.control(upkeep=_RARELY):
        stage.wait_for("exited", stage.post("f32-first"))
        stage.proxy.reset(EVENTS)
        seen = stage.proxy.count(EVENTS)
        stage.proxy.sever(EVENTS)
        wait_until(lambda: stage.proxy.count(EVENTS) > seen, "an attempt to subscribe")
        jobs = [stage.post(f"f32-{number}") for number in range(3)]
        stage.proxy.heal()
        stage.wait_for("exited", *jobs)
        assert [stage.count_runs(f"f32-{number}") for number in range(3)] == [1, 1, 1]


def test_fault_33_more_events_than_a_replay_holds_are_caught_up_with(stage: Stage) -> None:
    catch_up(stage, 300)


def catch_up(stage: Stage, count: int) -> None:
    """Record ``count`` jobs behind a stopped controller, which then must know them all."""
    with stage.control(limit=0, upkeep=_RARELY) as controller:
        wait_until(lambda: controller.get("/health/ready").code == 204, "the controller ready")
        controller.signal(signal.SIGSTOP)
        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(lambda number: stage.record(f"f33-{number}"), range(count)))
        controller.signal(signal.SIGCONT)

        def read_backlog() -> Any:
            return controller.get("/health/ready?verbose").body["backlog"]

        wait_until(lambda: read_backlog() == count, f"a backlog of {count}", patience=60)
        assert len(ids) == count


def test_fault_34_events_told_twice_count_once(stage: Stage) -> None:
    with stage.control(limit=2) as controller:
        jobs = []
        for number in range(6):
            jobs.append(stage.post(f"f34-{number}", "sleep 0.2"))
            # each new subscription asks for the last second again
            stage.proxy.sever(EVENTS)
        stage.wait_for("exited", *jobs)
        text = str(controller.get("/metrics").body)
        assert 'dispatcher_starts_total{result="done"} 6.0' in text
    assert [stage.count_runs(f"f34-{number}") for number in range(6)] == [1] * 6


def test_fault_35_an_event_larger_than_half_a_megabyte_ends_no_stream(stage: Stage) -> None:
    with stage.control(upkeep=_RARELY):
        stage.wait_for("exited", stage.post("f35-first"))
        streams = stage.proxy.count(EVENTS)
        big = stage.record("f35-big", Labels={"big": "x" * 600_000})
        stage.wait_for("exited", big)
        stage.wait_for("exited", stage.post("f35-after"))
        assert stage.proxy.count(EVENTS) == streams


def test_fault_36_a_stream_without_a_byte_delays_jobs_by_a_tick_at_most(stage: Stage) -> None:
    with stage.control(limit=2, keep=1):
        stage.wait_for("exited", stage.post("f36-first"))
        stage.proxy.drop_events_silently()
        jobs = [stage.post(f"f36-{number}") for number in range(5)]
        stage.wait_for("gone", *jobs)
    assert [stage.count_runs(f"f36-{number}") for number in range(5)] == [1] * 5


def test_fault_37_jobs_of_one_second_start_in_the_order_of_their_creation(stage: Stage) -> None:
    jobs = [stage.record(f"f37-{number}") for number in range(12)]
    created = {str((stage.raw.inspect(job) or {})["Created"])[:19] for job in jobs}
    assert len(created) < len(jobs), "some were to share a second"
    # Only the list tells, in whole seconds: no event makes anyone look at each.
    stage.proxy.reset(EVENTS)
    with stage.control(limit=1):
        stage.wait_for("exited", *jobs)
    assert sorted(jobs, key=lambda job: stage.state(job)["StartedAt"]) == jobs


def is_quiet(stage: Stage, pattern: str) -> bool:
    """Tell whether no such request came while the controller read the engine three times."""
    seen = stage.proxy.count(pattern)
    stage.wait_for_ticks(3)
    return stage.proxy.count(pattern) == seen


def test_fault_38_finished_jobs_are_inspected_once_and_sizes_never_asked_for(
    stage: Stage,
) -> None:
    with stage.control():
        jobs = [stage.record(f"f38-{number}") for number in range(16)]
        stage.wait_for("exited", *jobs)
    look = r"^GET \S+/containers/[0-9a-f]{64}/json"
    with stage.control(keep=1000, upkeep=0.1):
        wait_until(lambda: is_quiet(stage, look), "an end of looking at each")
        seen = stage.proxy.count(look)
        stage.wait_for_ticks(5)
        assert stage.proxy.count(look) == seen
    assert stage.proxy.count(r"[?&]size=") == 0


def test_fault_39_jobs_that_cannot_start_fill_no_slot_however_many_they_are(stage: Stage) -> None:
    bad = [stage.post(f"f39-bad-{number}", command=["/nope"]) for number in range(4)]
    good = [stage.post(f"f39-good-{number}") for number in range(4)]
    with stage.control(limit=3):
        stage.wait_for("exited", *good)
        for job in bad:
            assert stage.status(job) == "created"
