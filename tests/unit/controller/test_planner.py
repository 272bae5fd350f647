"""What the planner decides, compared with its text."""

from api.v1.job import Status
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.plan import ActionKind, Plan, Wait
from controller.planner import plan
from controller.policy import OVERDUE, Moment, Policy, for_engine
from tests.support.jobs import make_job
from tests.unit.controller.scenes import (
    SECOND,
    at,
    check,
    decide,
    failed,
    finished,
    make_index,
    pending,
    running,
    starts,
)


def test_starts_the_oldest_up_to_the_limit() -> None:
    check(
        decide(
            pending("c", -1),
            pending("a", -3),
            pending("b", -2),
            running("r"),
            policy=Policy(max_concurrent=3),
        ),
        """
        start  job/a  slot free (1 of 3 used)
        start  job/b  slot free (2 of 3 used)
        wait   job/c  no free slot (3 of 3 used), 0 ahead of it
        """,
    )


def test_order_is_kept_to_the_nanosecond() -> None:
    jobs = [pending(name, -1) for name in ("late", "early")]
    late = make_job("late", Status.CREATED, order=jobs[0].order + 1)
    check(
        decide(late, jobs[1], policy=Policy(max_concurrent=1)),
        """
        start  job/early  slot free (0 of 1 used)
        wait   job/late   no free slot (1 of 1 used), 0 ahead of it
        """,
    )


def test_without_a_limit_everything_starts_as_fast_as_the_engine_takes_it() -> None:
    jobs = [pending(f"j{i}", i - 60) for i in range(6)]
    check(
        decide(*jobs, policy=Policy(parallel_starts=4)),
        """
        start  job/j0  no limit (0 used)
        start  job/j1  no limit (1 used)
        start  job/j2  no limit (2 used)
        start  job/j3  no limit (3 used)
        wait   job/j4  its turn comes (4 starts under way), 0 ahead of it
        wait   job/j5  its turn comes (4 starts under way), 1 ahead of it
        """,
    )


def test_a_limit_of_zero_starts_nothing() -> None:
    check(
        decide(pending("a"), policy=Policy(max_concurrent=0)),
        "wait   job/a  max-concurrent is 0: nothing is started",
    )


def test_paused_and_restarting_jobs_hold_their_slots() -> None:
    check(
        decide(
            running("p", Status.PAUSED),
            running("r", Status.RESTARTING),
            pending("a"),
            policy=Policy(max_concurrent=2),
        ),
        "wait   job/a  no free slot (2 of 2 used), 0 ahead of it",
    )


def test_a_start_in_flight_holds_a_slot_and_is_not_sent_again() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "a", 1000.0)
    check(
        decide(pending("a", -2), pending("b", -1), policy=Policy(max_concurrent=1), ledger=ledger),
        """
        wait   job/a  its start is under way
        wait   job/b  no free slot (1 of 1 used), 1 ahead of it
        """,
    )


def test_a_start_that_is_seen_running_before_its_call_ends_counts_once() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "a", 1000.0)
    check(
        decide(running("a"), pending("b"), policy=Policy(max_concurrent=2), ledger=ledger),
        "start  job/b  slot free (1 of 2 used)",
    )


def test_a_job_that_backs_off_holds_no_slot_and_delays_nobody() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=30, number=2)
    check(
        decide(
            pending("bad", -90), pending("good"), policy=Policy(max_concurrent=1), ledger=ledger
        ),
        """
        start  job/good  slot free (0 of 1 used)
        wait   job/bad   StartError, next attempt at 12:00:30 (attempt 3): no such command
        """,
    )


def test_a_retry_has_its_place_where_it_is_due() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=-10)
    check(
        decide(
            pending("bad", -90),
            pending("old", -20),
            pending("new", -5),
            policy=Policy(max_concurrent=2),
            ledger=ledger,
        ),
        """
        start  job/old  slot free (0 of 2 used)
        start  job/bad  slot free (1 of 2 used), attempt 2
        wait   job/new  no free slot (2 of 2 used), 0 ahead of it
        """,
    )


def test_one_retry_at_a_time_while_others_wait() -> None:
    ledger = Ledger()
    for name in ("x", "y", "z"):
        failed(ledger, name, due=-50)
    check(
        decide(
            *(pending(name, -90) for name in ("x", "y", "z")),
            *(pending(name, -5) for name in ("a", "b", "c")),
            policy=Policy(max_concurrent=3),
            ledger=ledger,
        ),
        """
        start  job/x  slot free (0 of 3 used), attempt 2
        start  job/a  slot free (1 of 3 used)
        start  job/b  slot free (2 of 3 used)
        wait   job/y  StartError, attempt 2 is due: no free slot (3 of 3 used), 0 ahead of it
        wait   job/z  StartError, attempt 2 is due: no free slot (3 of 3 used), 1 ahead of it
        wait   job/c  no free slot (3 of 3 used), 2 ahead of it
        """,
    )


def test_retries_take_what_nobody_else_wants() -> None:
    ledger = Ledger()
    for name in ("x", "y"):
        failed(ledger, name, due=-50)
    check(
        decide(
            pending("x", -90),
            pending("y", -90),
            pending("a", -5),
            policy=Policy(max_concurrent=9),
            ledger=ledger,
        ),
        """
        start  job/x  slot free (0 of 9 used), attempt 2
        start  job/a  slot free (1 of 9 used)
        start  job/y  slot free (2 of 9 used), attempt 2
        """,
    )


def test_starts_that_hang_do_not_hold_up_the_pace() -> None:
    ledger = Ledger()
    for name in ("h1", "h2"):
        ledger.begin(ActionKind.START, name, 1000.0 - OVERDUE)
    check(
        decide(
            pending("h1", -90),
            pending("h2", -80),
            pending("a", -5),
            policy=Policy(parallel_starts=2),
            ledger=ledger,
            explain=1,
        ),
        """
        start  job/a   no limit (2 used)
        wait   job/h1  its start is under way
        and 1 more wait
        """,
    )


def test_with_two_slots_starts_are_sent_one_after_the_other() -> None:
    assert for_engine(Policy(max_concurrent=2), cpus=8).parallel_starts == 1
    assert for_engine(Policy(max_concurrent=3), cpus=8).parallel_starts == 8
    assert for_engine(Policy(), cpus=1).parallel_starts == 4
    assert for_engine(Policy(), cpus=2).parallel_starts == 8


def test_a_silent_container_is_left_alone() -> None:
    check(
        decide(
            pending("a", -2),
            pending("b", -1),
            policy=Policy(max_concurrent=1),
            unresponsive=frozenset({"a"}),
        ),
        """
        start  job/b  slot free (0 of 1 used)
        wait   job/a  the engine does not answer for it
        """,
    )


def test_collects_what_is_old_enough_the_longest_finished_first() -> None:
    check(
        decide(
            finished("b", -3600),
            finished("a", -3601),
            finished("young", -3599),
            policy=Policy(keep_exited_for=3600 * SECOND),
        ),
        """
        remove job/a  exited 3601s ago, keep-exited-for 3600s
        remove job/b  exited 3600s ago, keep-exited-for 3600s
        """,
    )


def test_keeps_everything_without_keep_exited_for() -> None:
    assert decide(finished("a", -1e6), policy=Policy()) == ""


def test_never_collects_what_ended_in_the_future_or_at_no_known_time() -> None:
    policy = Policy(keep_exited_for=0)
    assert decide(finished("future", 5), finished("unknown", None), policy=policy) == ""


def test_never_collects_what_runs_or_never_ran() -> None:
    again = make_job(
        "again",
        Status.RUNNING,
        order=0,
        started=True,
        started_at=2,
        finished_at=1,
    )
    policy = Policy(max_concurrent=0, keep_exited_for=0)
    check(
        decide(again, pending("p", -1e6), policy=policy),
        "wait   job/p  max-concurrent is 0: nothing is started",
    )


def test_collects_dead_containers() -> None:
    check(
        decide(
            finished("d", -20, Status.DEAD),
            finished("never-ran", None, Status.DEAD),
            policy=Policy(keep_exited_for=10 * SECOND),
        ),
        """
        remove job/never-ran  dead 3600s ago, keep-exited-for 10s
        remove job/d          dead 20s ago, keep-exited-for 10s
        """,
    )


def test_removals_are_bounded_and_one_that_failed_backs_off() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.REMOVE, "a", 1000.0)
    ledger.attempts[ActionKind.REMOVE].put(Attempt("b", 1, 1005.0, "busy"))
    jobs = [finished(name, -100 + i) for i, name in enumerate("abcd")]
    policy = Policy(keep_exited_for=0, parallel_removals=2)
    check(
        decide(*jobs, policy=policy, ledger=ledger),
        "remove job/c  exited 98s ago, keep-exited-for 0s",
    )


def test_an_action_counts_its_attempts() -> None:
    ledger, policy = Ledger(), Policy(keep_exited_for=0)
    failed(ledger, "a", due=-1, number=4)
    ledger.attempts[ActionKind.REMOVE].put(Attempt("b", 2, 999.0, "busy"))
    index = make_index(policy, [pending("a"), finished("b", -9), pending("c"), finished("d", -8)])
    index.set_aside("a")
    actions = plan(index, policy, ledger, at()).actions
    assert [(action.kind, action.id, action.attempt) for action in actions] == [
        (ActionKind.START, "c", 1),
        (ActionKind.START, "a", 5),
        (ActionKind.REMOVE, "b", 3),
        (ActionKind.REMOVE, "d", 1),
    ]


def test_a_plan_narrowed_to_a_job_speaks_of_that_job_alone() -> None:
    policy = Policy(max_concurrent=1, keep_exited_for=0)
    index = make_index(policy, [pending("a", -2), pending("b", -1), finished("c", -9)])
    decided = plan(index, policy, Ledger(), at(), explain=9)
    lines = str(decided).splitlines()
    assert [str(decided.narrow(name)) for name in "abc"] == [lines[0], lines[2], lines[1]]


def test_tells_when_it_has_something_to_do_next() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=7)
    keep = Policy(max_concurrent=1, keep_exited_for=6 * SECOND)
    for policy, seconds in ((keep, 5.0), (Policy(), 7.0)):
        index = make_index(policy, [pending("bad"), finished("f", -1), running("r")])
        index.set_aside("bad")
        assert plan(index, policy, ledger, at()).wake_in == seconds
    assert plan(JobIndex(Policy()), Policy(), Ledger(), at()).wake_in is None


def test_a_due_retry_without_a_slot_does_not_wake_the_loop() -> None:
    ledger = Ledger()
    failed(ledger, "bad", due=-1)
    index = make_index(Policy(), [pending("bad"), running("r")])
    index.set_aside("bad")
    assert plan(index, Policy(max_concurrent=1), ledger, at()).wake_in is None


def test_jobs_that_cannot_start_never_delay_another_by_more_than_one_start() -> None:
    """Even where starts are sent one by one, and more retries are due than can be sent."""
    policy = for_engine(Policy(max_concurrent=1), cpus=2)
    index, ledger = make_index(policy, [pending(f"bad{i}", -100) for i in range(20)]), Ledger()
    for i in range(20):
        failed(ledger, f"bad{i}", due=-90)
        index.set_aside(f"bad{i}")
    for name in ("good1", "good2", "good3"):
        index.put(None, pending(name, -1), at())
    sent = []
    for second in range(6):
        (start,) = starts(plan(index, policy, ledger, at(second)))
        ledger.begin(ActionKind.START, start.uid, at(second).steady)
        ledger.end(ActionKind.START, start.uid)
        sent.append(start.id.rstrip("0123456789"))
        if start.id.startswith("bad"):
            failed(ledger, start.id, due=second + 300, number=2)
        else:
            index.put(index.jobs[start.uid], running(start.id), at())
            index.put(index.jobs[start.uid], None, at())
    assert sent[1::2] == ["good"] * 3


def test_the_moment_to_wake_at_is_one_at_which_there_is_something_to_do() -> None:
    """Whatever the rounding of clocks: a loop that wakes up exactly then must not sleep on."""
    for tenth in range(200):
        ledger = Ledger()
        failed(ledger, "waits", due=tenth / 10)
        index = make_index(Policy(), [pending("waits")])
        index.set_aside("waits")
        wake = Moment(at().engine, 1000.0 + tenth / 10)
        assert starts(plan(index, Policy(), ledger, wake))


def test_a_plan_shows_what_an_engine_quotes_without_obeying_it() -> None:
    """The text of an error holds the job's own command."""
    text = str(Plan(waits=(Wait("1", "a", 'exec: "\x1b[2J\u202ex\nstart  job/b"'),)))
    assert text == 'wait   job/a  exec: "\\x1b[2J\\u202ex\\x0astart  job/b"'
