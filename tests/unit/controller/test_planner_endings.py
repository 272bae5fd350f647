"""Cancels and deadlines: what is stopped, what is never started, what is collected, and when."""

from dataclasses import replace

from api.v1.job import Job, Status
from controller.ledger import Attempt, Ledger
from controller.plan import ActionKind
from controller.planner import plan
from controller.policy import Policy
from tests.unit.controller.scenes import (
    SECOND,
    at,
    cancelled,
    check,
    decide,
    finished,
    make_index,
    pending,
    running,
    starting,
    starts,
)


def test_an_active_job_with_a_mark_is_stopped_and_keeps_its_slot_until_it_has_ended() -> None:
    check(
        decide(
            cancelled(running("a"), -3, grace=30, why="wrong input"),
            cancelled(running("b", Status.PAUSED), -1),
            cancelled(running("c", Status.RESTARTING)),
            pending("p"),
            policy=Policy(max_concurrent=3),
        ),
        """
        stop   job/a  cancelled 3s ago (wrong input)
        stop   job/b  cancelled 1s ago
        stop   job/c  cancelled 0s ago
        wait   job/p  no free slot (3 of 3 used), 0 ahead of it
        """,
    )


def test_a_job_that_no_node_has_started_is_stopped_too_and_in_any_case_once_it_is_too_late() -> (
    None
):
    jobs = [
        cancelled(starting("a", -60), -3),
        starting("b", -60, start_by=90 * SECOND),
        starting("c", -90, start_by=90 * SECOND, run_for=1 * SECOND),
        starting("d", -90, run_for=1 * SECOND),
        pending("p"),
    ]
    check(
        decide(*jobs, policy=Policy(max_concurrent=5)),
        """
        stop   job/a  cancelled 3s ago
        stop   job/c  created 90s ago and not started yet, start-by 90s
        start  job/p  slot free (4 of 5 used)
        """,
    )
    assert plan(make_index(Policy(), jobs[:2]), Policy(), Ledger(), at(1)).wake_in == 29.0


def test_a_job_that_no_node_has_started_holds_its_slot_and_is_not_collected() -> None:
    check(
        decide(
            starting("a", -999, keep_for=0),
            pending("b"),
            policy=Policy(max_concurrent=1, keep_exited_for=0),
        ),
        "wait   job/b  no free slot (1 of 1 used), 0 ahead of it",
    )


def test_what_was_started_in_time_once_and_is_to_run_anew_is_never_too_late() -> None:
    check(
        decide(
            replace(pending("a", -90, start_by=60 * SECOND), rerun=1, lost=True), policy=Policy()
        ),
        "start  job/a  no limit (0 used)",
    )


def test_a_stop_in_flight_is_not_sent_again_and_one_that_failed_backs_off() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.STOP, "a", 1000.0)
    ledger.charge(ActionKind.STOP, Attempt("b", 1, 1005.0, "it has not ended"))
    ledger.charge(ActionKind.STOP, Attempt("c", 2, 999.0, "it has not ended"))
    jobs = [cancelled(running(name), -20) for name in "abc"]
    check(
        decide(*jobs, policy=Policy(), ledger=ledger),
        "stop   job/c  cancelled 20s ago, attempt 3",
    )
    assert plan(make_index(Policy(), jobs), Policy(), ledger, at()).wake_in == 5.0


def test_a_cancelled_job_that_waits_is_never_started_and_collected_like_a_finished_one() -> None:
    jobs = [cancelled(pending("a", -90), -60), pending("b", -80)]
    check(
        decide(*jobs, policy=Policy(max_concurrent=9, keep_exited_for=60 * SECOND)),
        """
        start  job/b  slot free (0 of 9 used)
        remove job/a  cancelled 60s ago, keep-exited-for 60s
        """,
    )
    assert decide(jobs[0], policy=Policy()) == ""


def test_a_cancelled_job_is_left_alone_while_its_start_is_under_way() -> None:
    ledger = Ledger()
    ledger.begin(ActionKind.START, "a", 1000.0)
    check(
        decide(cancelled(pending("a"), purge=True), policy=Policy(), ledger=ledger),
        "wait   job/a  its start is under way, then it is stopped: it was cancelled",
    )


def test_a_purge_collects_a_job_as_soon_as_it_is_over() -> None:
    check(
        decide(
            cancelled(pending("a"), -2, purge=True),
            cancelled(finished("b", -9), -1, purge=True),
            cancelled(running("r"), -1, purge=True),
            policy=Policy(),
        ),
        """
        stop   job/r  cancelled 1s ago
        remove job/b  exited 9s ago, purge
        remove job/a  cancelled 2s ago, purge
        """,
    )


def test_a_mark_that_comes_after_the_end_without_a_purge_changes_nothing() -> None:
    assert decide(cancelled(finished("a", -9), -1), policy=Policy()) == ""


def test_a_job_is_not_started_from_the_moment_that_it_names() -> None:
    jobs = [pending("a", -60, start_by=60 * SECOND), pending("b", -59, start_by=60 * SECOND)]
    policy = Policy(keep_exited_for=10 * SECOND)
    assert decide(*jobs, policy=policy) == "start  job/b  no limit (0 used)"
    check(
        decide(*jobs, policy=policy, now=11),
        "remove job/a  not started in time 10s ago, keep-exited-for 10s",
    )


def test_even_before_it_is_called_off_a_job_that_is_too_late_does_not_start() -> None:
    jobs = [pending("a", -60, start_by=60 * SECOND)]
    assert not starts(plan(make_index(Policy(), jobs), Policy(), Ledger(), at()))


def test_of_a_cancel_and_a_deadline_the_first_one_counts() -> None:
    job = pending("a", -60, start_by=30 * SECOND)
    policy = Policy(keep_exited_for=0)
    assert decide(cancelled(job, -40), policy=policy).startswith("remove job/a  cancelled 40s ago")
    late = decide(cancelled(job, -10), policy=policy)
    assert late.startswith("remove job/a  not started in time 29s ago")


def test_a_run_is_stopped_when_its_time_is_up() -> None:
    jobs = [
        running("a", started=-120, run_for=120 * SECOND),
        running("b", started=-119, run_for=120 * SECOND),
        running("unread", run_for=0),
        running("between", Status.RESTARTING, started=-999, run_for=1),
    ]
    assert decide(*jobs, policy=Policy()) == "stop   job/a  started 120s ago, run-for 120s"
    assert plan(make_index(Policy(), jobs[1:]), Policy(), Ledger(), at()).wake_in == 1.0


def test_each_run_has_its_own_time() -> None:
    index = make_index(Policy(), [first := running("a", started=-120, run_for=60 * SECOND)])
    again = replace(first, started_at=at(-10).engine)
    index.put(first, again, at())
    decided = plan(index, Policy(), Ledger(), at())
    assert decided.actions == ()
    assert decided.wake_in == 50.0


def test_a_job_says_itself_for_how_long_it_is_kept() -> None:
    check(
        decide(
            finished("a", -5, keep_for=5 * SECOND),
            finished("b", -5, keep_for=6 * SECOND),
            finished("c", -5),
            finished("d", -1, keep_for=0),
            policy=Policy(keep_exited_for=3600 * SECOND),
        ),
        """
        remove job/d  exited 1s ago, keep-for 0s
        remove job/a  exited 5s ago, keep-for 5s
        """,
    )
    assert decide(finished("a", -5, keep_for=0), policy=Policy()) != ""


def test_a_mark_without_its_job_is_removed() -> None:
    index = make_index(Policy(), [job := cancelled(pending("a"), purge=True)])
    index.put(job, None, at())
    assert job.mark is not None
    text = "unmark job/djd-cancel-a  its job is gone"
    assert str(plan(index, Policy(), Ledger(), at())) == text
    index.put_marks([job.mark])
    assert str(plan(index, Policy(), Ledger(), at())) == text
    ledger = Ledger()
    ledger.charge(ActionKind.UNMARK, Attempt(job.mark.uid, 1, 1002.0, "busy"))
    decided = plan(index, Policy(), ledger, at())
    assert (str(decided), decided.wake_in) == ("", 2.0)
    index.put(None, job, at())
    index.put_marks([job.mark])
    assert "unmark" not in str(plan(index, Policy(), Ledger(), at()))


def test_nothing_is_stopped_that_nobody_wants_stopped() -> None:
    jobs: list[Job] = [running("a", started=-1e6), finished("b", -9), pending("c", -90)]
    kinds = {
        action.kind for action in plan(make_index(Policy(), jobs), Policy(), Ledger(), at()).actions
    }
    assert kinds == {ActionKind.START}
