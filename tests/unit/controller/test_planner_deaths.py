"""What the planner decides of jobs whose starts came to nothing, perhaps by no fault of theirs."""

from controller.ledger import Attempt, Ledger
from controller.plan import ActionKind
from controller.policy import OVERDUE, Policy
from tests.unit.controller.scenes import check, decide, pending


def make_deaths(*names: str, due: float = -1.0, number: int = 1) -> Ledger:
    """Return what is known after the engine died during the first starts of some jobs."""
    ledger = Ledger()
    for name in names:
        attempt = Attempt(name, number, 1000.0 + due, "the engine was lost", engine_died=True)
        ledger.charge(ActionKind.START, attempt)
    return ledger


def test_after_a_death_one_other_job_goes_first() -> None:
    check(
        decide(
            *(pending(name, created - 90) for created, name in enumerate("kabc")),
            policy=Policy(max_concurrent=4),
            ledger=make_deaths("k"),
            explain=0,
        ),
        """
        start  job/a  slot free (0 of 4 used)
        """,
    )


def test_a_job_that_may_have_ended_the_engine_goes_alone_and_in_its_own_place() -> None:
    ledger = make_deaths("k")
    ledger.begin(ActionKind.START, "a", 1000.0)
    scene = [pending(name, created - 90) for created, name in enumerate("kabc")]
    policy = Policy(max_concurrent=4)
    assert "start" not in decide(*scene, policy=policy, ledger=ledger, explain=0)
    # a start that hangs keeps it waiting for no longer than it keeps others
    assert decide(*scene, policy=policy, ledger=ledger, now=OVERDUE, explain=0).startswith(
        "start  job/k  slot free (1 of 4 used), attempt 2"
    )
    ledger.end(ActionKind.START, "a")
    assert decide(*scene, policy=policy, ledger=ledger, explain=0) == (
        "start  job/k  slot free (0 of 4 used), attempt 2"
    )
    ledger.begin(ActionKind.START, "k", 1000.0)
    assert decide(*scene, policy=policy, ledger=ledger, explain=0) == ""
    overdue = decide(*scene, policy=policy, ledger=ledger, now=OVERDUE, explain=0)
    assert [line.split()[1] for line in overdue.splitlines()] == ["job/a", "job/b", "job/c"]


def test_a_job_that_ended_the_engine_alone_waits_like_one_that_failed() -> None:
    scene = [pending(name, created - 90) for created, name in enumerate("kab")]
    decided = decide(
        *scene, policy=Policy(max_concurrent=4), ledger=make_deaths("k", number=2), explain=0
    )
    assert [line.split()[1] for line in decided.splitlines()] == ["job/a", "job/b"]


def test_two_that_may_have_ended_the_engine_go_one_after_the_other() -> None:
    scene = [pending(name, created - 90) for created, name in enumerate("kl")]
    ledger = make_deaths("l", "k")
    assert decide(*scene, policy=Policy(), ledger=ledger, explain=0) == (
        "start  job/k  no limit (0 used), attempt 2"
    )


def test_a_job_that_was_being_created_keeps_its_place() -> None:
    scene = [pending(name, created - 90) for created, name in enumerate("abc")]
    ledger = Ledger()
    ledger.charge(ActionKind.START, Attempt("a", 1, 999.0, "not there", is_unmade=True))
    check(
        decide(*scene, policy=Policy(max_concurrent=1), ledger=ledger),
        """
        start  job/a  slot free (0 of 1 used), attempt 2
        wait   job/b  no free slot (1 of 1 used), 0 ahead of it
        wait   job/c  no free slot (1 of 1 used), 1 ahead of it
        """,
    )
    ledger.charge(ActionKind.START, Attempt("a", 1, 1001.0, "not there", is_unmade=True))
    check(
        decide(*scene, policy=Policy(max_concurrent=1), ledger=ledger),
        """
        start  job/b  slot free (0 of 1 used)
        wait   job/a  the engine is still creating it
        wait   job/c  no free slot (1 of 1 used), 1 ahead of it
        """,
    )
