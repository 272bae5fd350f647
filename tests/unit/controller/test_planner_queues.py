"""In which order jobs of several queues start, and what each is told that it waits for."""

import pytest

from api.v1.queue import Queue
from controller.job_index import JobIndex
from controller.ledger import Ledger
from controller.plan import ActionKind, WaitReason
from controller.planner import plan
from controller.policy import Policy
from controller.scene import set_scene
from controller.waits import explain_job
from tests.unit.controller.scenes import (
    at,
    cancelled,
    check,
    decide,
    failed,
    make_index,
    pending,
    running,
    starts,
)


def make_policy(*queues: Queue, limit: int | None = None, parallel: int = 8) -> Policy:
    named = {queue.name: queue for queue in queues}
    return Policy(max_concurrent=limit, parallel_starts=parallel, queues=named)


def test_a_queue_starts_no_more_than_its_cap_and_leaves_the_slots_to_others() -> None:
    check(
        decide(
            *(pending(f"etl{n}", n - 90, queue="etl") for n in range(4)),
            *(pending(f"own{n}", n - 10) for n in range(2)),
            running("r", queue="etl"),
            policy=make_policy(Queue("etl", 2), limit=4),
        ),
        """
        start  job/own0  slot free (1 of 4 used)
        start  job/etl0  slot free (2 of 4 used)
        start  job/own1  slot free (3 of 4 used)
        wait   job/etl1  queue etl is full (2 of 2 used), 0 ahead of it
        wait   job/etl2  queue etl is full (2 of 2 used), 1 ahead of it
        wait   job/etl3  queue etl is full (2 of 2 used), 2 ahead of it
        """,
    )


def test_a_start_in_flight_counts_for_its_queues_cap_until_it_is_seen_running() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "a", 1000.0)
    jobs = [pending("a", -9, queue="etl"), pending("b", -8, queue="etl")]
    policy = make_policy(Queue("etl", 1))
    check(
        decide(*jobs, policy=policy, ledger=ledger),
        """
        wait   job/a  its start is under way
        wait   job/b  queue etl is full (1 of 1 used), 1 ahead of it
        """,
    )
    check(
        decide(running("a", queue="etl"), jobs[1], policy=policy, ledger=ledger),
        "wait   job/b  queue etl is full (1 of 1 used), 0 ahead of it",
    )


def test_a_paused_queue_starts_nothing() -> None:
    check(
        decide(
            pending("a", -9, queue="etl"),
            pending("b", -8),
            policy=make_policy(Queue("etl", paused=True)),
        ),
        """
        start  job/b  no limit (0 used)
        wait   job/a  queue etl is paused, 0 ahead of it
        """,
    )


def test_the_default_queue_may_be_configured_too() -> None:
    check(
        decide(pending("a", -9), pending("b", -8), policy=make_policy(Queue("default", 1))),
        """
        start  job/a  no limit (0 used)
        wait   job/b  queue default is full (1 of 1 used), 0 ahead of it
        """,
    )


def test_a_queue_that_is_not_known_has_no_cap() -> None:
    check(
        decide(
            *(pending(f"j{n}", n - 9, queue="gone") for n in range(3)),
            policy=make_policy(Queue("etl", 0), limit=2),
        ),
        """
        start  job/j0  slot free (0 of 2 used)
        start  job/j1  slot free (1 of 2 used)
        wait   job/j2  no free slot (2 of 2 used), 0 ahead of it
        """,
    )


def test_the_queue_with_the_least_active_jobs_for_its_weight_goes_first() -> None:
    jobs = [pending(f"{queue}{n}", n - 90, queue=queue) for queue in "abc" for n in range(9)]
    policy = make_policy(Queue("a", weight=3), Queue("b", weight=2), Queue("c"), limit=6)
    chosen = [
        start.queue for start in starts(plan(make_index(policy, jobs), policy, Ledger(), at()))
    ]
    assert sorted(chosen) == list("aaabbc")


def test_of_queues_alike_in_use_the_higher_priority_goes_first() -> None:
    jobs = [pending("low", -90, queue="a"), pending("high", -1, queue="b", priority=1)]
    assert decide(*jobs, policy=make_policy(limit=1)).startswith("start  job/high")
    busy = running("r", queue="b")
    assert decide(*jobs, busy, policy=make_policy(limit=2)).startswith("start  job/low")


def test_within_a_queue_priority_goes_before_age_and_share_between_them() -> None:
    check(
        decide(
            pending("old", -90),
            pending("ann1", -80, share="ann", priority=5),
            pending("ann2", -70, share="ann", priority=5),
            pending("bob1", -60, share="bob", priority=5),
            pending("top", -1, priority=1000),
            pending("last", -99, priority=-1000),
            running("r", share="ann"),
            policy=make_policy(limit=5),
        ),
        """
        start  job/top   slot free (1 of 5 used)
        start  job/bob1  slot free (2 of 5 used)
        start  job/ann1  slot free (3 of 5 used)
        start  job/ann2  slot free (4 of 5 used)
        wait   job/old   no free slot (5 of 5 used), 0 ahead of it
        wait   job/last  no free slot (5 of 5 used), 1 ahead of it
        """,
    )


def test_a_start_in_flight_counts_for_its_share() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "a1", 1000.0)
    jobs = [pending(f"{share}{n}", n - 90, share=share) for share in "ab" for n in (1, 2)]
    chosen = starts(plan(make_index(Policy(), jobs), make_policy(limit=2), ledger, at()))
    assert [start.id for start in chosen] == ["b1"]


def test_queues_of_one_slot_take_turns_by_weight() -> None:
    """The use of each is the same whenever the slot is free: what it had before decides."""
    policy = make_policy(Queue("a", weight=2), Queue("b"), limit=1, parallel=1)
    jobs = [pending(f"{queue}{n}", n - 90, queue=queue) for queue in "ab" for n in range(30)]
    index, ledger = make_index(policy, jobs), Ledger()
    sent = ""
    for _ in range(12):
        (start,) = starts(plan(index, policy, ledger, at()))
        ledger.turns.note(start.queue, policy.get_queue(start.queue).weight)
        index.put(index.jobs[start.uid], None, at())
        sent += start.queue
    assert sent.count("a") == 8
    assert "bb" not in sent
    assert "aaa" not in sent


def test_a_queue_saves_up_no_turns_while_it_has_nothing_to_start() -> None:
    policy = make_policy(limit=1, parallel=1)
    index, ledger = (
        make_index(policy, [pending(f"a{n}", n - 90, queue="a") for n in range(30)]),
        Ledger(),
    )
    sent = ""
    for number in range(20):
        if number == 10:
            for late in range(10):
                index.put(None, pending(f"b{late}", -1, queue="b"), at())
        (start,) = starts(plan(index, policy, ledger, at()))
        ledger.turns.note(start.queue, 1)
        index.put(index.jobs[start.uid], None, at())
        sent += start.queue
    assert sent[10:].count("b") == 5


def test_a_retry_stands_in_its_queue_with_its_priority() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=-1)
    jobs = [pending("bad", -90, queue="a", priority=1), pending("low", -80, queue="a")]
    check(
        decide(*jobs, policy=make_policy(Queue("a", 1)), ledger=ledger),
        """
        start  job/bad  no limit (0 used), attempt 2
        wait   job/low  queue a is full (1 of 1 used), 0 ahead of it
        """,
    )


def test_a_retry_that_is_due_waits_for_its_queue() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=-1)
    check(
        decide(
            pending("bad", -90, queue="a"),
            running("r", queue="a"),
            policy=make_policy(Queue("a", 1)),
            ledger=ledger,
        ),
        "wait   job/bad  StartError, attempt 2 is due: queue a is full (1 of 1 used),"
        " 0 ahead of it",
    )


def test_doubted_jobs_are_tried_only_as_their_queues_have_room() -> None:
    ledger = Ledger()
    for number in range(3):
        ledger.failures.note((f"kind{number}",), has_failed=True)
    jobs = [pending(f"a{n}", n - 90, queue="a") for n in range(3)]
    jobs += [pending(f"b{n}", n - 90, queue="b") for n in range(3)]
    policy = make_policy(Queue("a", 0), Queue("b", 1))
    chosen = starts(plan(make_index(policy, jobs), policy, ledger, at()))
    assert [start.queue for start in chosen] == ["b"]


def test_each_reason_to_wait_is_one_that_a_machine_can_read() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=30)
    ledger.begin(ActionKind.START, "cut", 1000.0)
    jobs = [
        cancelled(pending("cut", -99)),
        pending("bad", -98),
        pending("p", -97, queue="paused"),
        pending("c1", -96, queue="cap"),
        pending("c2", -95, queue="cap"),
        pending("s", -94),
        running("r"),
    ]
    policy = make_policy(Queue("paused", paused=True), Queue("cap", 0), limit=2)
    index = make_index(policy, jobs)
    index.set_aside("bad")
    decided = plan(index, policy, ledger, at(), explain=100)
    assert {(wait.id, wait.reason, wait.position) for wait in decided.waits} == {
        ("cut", WaitReason.CANCELLING, None),
        ("bad", WaitReason.START_ERROR, 2),
        ("p", WaitReason.QUEUE_PAUSED, 1),
        ("c1", WaitReason.QUEUE_CAP, 1),
        ("c2", WaitReason.QUEUE_CAP, 2),
        ("s", WaitReason.NO_SLOT, 1),
    }
    assert decided.unlisted == 0
    (bad,) = (wait for wait in decided.waits if wait.id == "bad")
    assert bad.until == at(30).engine


def test_a_job_that_is_cancelled_during_its_start_is_told_of_though_nothing_else_waits() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "cut", 1000.0)
    policy = Policy(max_concurrent=2)
    index = make_index(policy, [cancelled(pending("cut", -99))])
    decided = plan(index, policy, ledger, at(), explain=9)
    assert [wait.reason for wait in decided.waits] == [WaitReason.CANCELLING]


@pytest.mark.parametrize("limit", [0, 2, 9])
def test_what_is_said_of_one_job_is_what_is_said_of_it_among_all(limit: int) -> None:
    wishes = [
        {"queue": queue, "priority": priority, "share": share}
        for queue in ("default", "etl")
        for priority in (0, 7)
        for share in ("ann", "bob", "cy")
    ]
    jobs = [pending(f"j{n:02}", (n * 7) % 40 - 90, **wishes[n % len(wishes)]) for n in range(40)]
    policy = make_policy(Queue("etl", 1, weight=2), limit=limit, parallel=1)
    busy = [running("r", share="ann"), running("q", share="bob", queue="etl")]
    index = make_index(policy, [*jobs, *busy])
    decided = plan(index, policy, Ledger(), at(), explain=100)
    scene = set_scene(index, policy, Ledger(), at(), ())
    sent = starts(decided)
    assert len(decided.waits) == len(jobs) - len(sent)
    for wait in decided.waits:
        alone = explain_job(scene, tuple(sent), index.jobs[wait.uid])
        assert alone == wait


def test_the_first_jobs_of_every_queue_are_explained_before_the_second_ones() -> None:
    jobs = [pending(f"{queue}{n}", n - 90, queue=queue) for queue in "abc" for n in range(3)]
    index = make_index(Policy(), jobs)
    decided = plan(index, Policy(max_concurrent=0), Ledger(), at(), explain=4)
    assert [wait.id for wait in decided.waits] == ["a0", "b0", "c0", "a1"]
    assert decided.unlisted == 5


def test_an_index_without_jobs_has_no_queue_to_choose_from() -> None:
    assert (
        str(plan(JobIndex(Policy()), make_policy(Queue("a", 1)), Ledger(), at(), explain=1)) == ""
    )
