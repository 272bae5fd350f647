"""The judges of a run of cancels find what they are there for, and nothing else."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.chaos.cancel_checker import check_cancels, measure_quiet
from tests.chaos.history import Entry
from tests.chaos.story import SECOND, tell

RULES = {"limit": 4, "keep": 9.0, "call_timeout": 4.0, "converge": 20.0, "engine": 20}
UID = "a" * 64
OTHER = "b" * 64


def at(seconds: float, kind: str, **facts: Any) -> Entry:
    return Entry(int(seconds * SECOND), kind, facts)


def make_job(
    *times: tuple[float, str],
    uid: str = UID,
    queue: str = "default",
    run_for: float | None = None,
    start_by: float | None = None,
) -> Iterable[Entry]:
    """Yield what is seen of one job: ``start`` with its look, ``stop`` and ``die`` at times."""
    name = f"chaos-{uid[:1]}"
    yield at(0, "order", name=name, task="quick", retries=0, starts="must")
    yield at(0, "wish", name=name, queue=queue, run_for=run_for, start_by=start_by)
    yield at(0.5, "inspect", id=uid, name=name, status="created", created=SECOND // 2)
    for when, what in times:
        if what == "start":
            yield at(when - 0.2, "look-for-mark", id=uid)
        if what in {"start", "stop"}:
            sent = int((when - 0.1) * SECOND)
            yield at(when, "call", act=what, id=uid, sent=sent, status=204, forced=False)
        if what in {"start", "die"}:
            yield at(when, "event", id=uid, name=name, action=what, code=None)


def cancel(asked: float, answered: float, status: int = 202, grace: str | None = None) -> Entry:
    sent = int(asked * SECOND)
    return at(answered, "cancel", id=UID, name="chaos-a", sent=sent, status=status, grace=grace)


def judge(*entries: Entry, last: float = 60.0) -> list[str]:
    """Return which invariants a history breaks, which lasts for some seconds."""
    story = tell([at(0, "rules", **RULES), *entries, at(last, "look", sent=0, rows=[])])
    return [breach.invariant for breach in check_cancels(story)]


def test_a_cancelled_job_that_is_stopped_in_time_breaks_nothing() -> None:
    job = make_job((2, "start"), (5.1, "stop"), (6, "die"))
    assert judge(*job, cancel(5, 5)) == []


def test_a_start_whose_look_came_after_the_answer_is_a_breach() -> None:
    assert judge(*make_job((5.3, "start"), (6, "die")), cancel(5, 5)) == ["S1"]


def test_a_start_that_was_under_way_at_the_answer_is_none() -> None:
    assert judge(*make_job((5.1, "start"), (5.3, "stop"), (6, "die")), cancel(5, 5)) == []


@pytest.mark.parametrize(("grace", "end", "found"), [("3", 17.9, []), ("3", 18.1, ["S2"])])
def test_a_cancelled_job_may_run_for_its_grace_and_ten_seconds(
    grace: str, end: float, found: list[str]
) -> None:
    job = make_job((2, "start"), (5.1, "stop"), (end, "die"))
    ended = at(end, "inspect", id=UID, name="chaos-a", status="exited", finished=int(end * SECOND))
    assert judge(*job, ended, cancel(5, 5, grace=grace)) == found


def test_one_that_never_ends_is_a_breach_and_time_in_faults_does_not_count() -> None:
    job = list(make_job((2, "start"), (5.1, "stop")))
    assert judge(*job, cancel(5, 5)) == ["S2"]
    facts = {"number": 1, "what": "kill-engine"}
    fault = (at(5, "fault", moment="begin", **facts), at(50, "fault", moment="end", **facts))
    assert judge(*job, *fault, cancel(5, 5)) == []


def test_a_stop_that_nobody_wanted_is_a_breach() -> None:
    assert judge(*make_job((2, "start"), (5, "stop"), (6, "die"))) == ["S3"]
    assert judge(*make_job((2, "start"), (5, "stop"), (6, "die")), cancel(5.5, 5.6)) == ["S3"]
    # one without an answer may have been recorded
    assert judge(*make_job((2, "start"), (5, "stop"), (6, "die")), cancel(4, 4.5, 0)) == []


def test_a_run_is_stopped_within_a_tick_of_its_time() -> None:
    assert judge(*make_job((2, "start"), (5.5, "stop"), (6, "die"), run_for=3)) == []
    assert judge(*make_job((2, "start"), (9, "stop"), (9.5, "die"), run_for=3)) == ["S4"]
    assert judge(*make_job((2, "start"), (3, "stop"), (3.5, "die"), run_for=3)) == ["S3"]


def test_what_is_too_late_is_not_started() -> None:
    assert judge(*make_job((2, "start"), (6, "die"), start_by=1.0)) == ["S4"]
    assert judge(*make_job((1.6, "start"), (6, "die"), start_by=1.0)) == []


def test_the_cap_of_a_queue_holds_at_every_start() -> None:
    one = make_job((2, "start"), (6, "die"), queue="etl")
    assert judge(*one, *make_job((7, "start"), (9, "die"), uid=OTHER, queue="etl")) == []
    one = make_job((2, "start"), (6, "die"), queue="etl")
    assert judge(*one, *make_job((5, "start"), (9, "die"), uid=OTHER, queue="etl")) == ["S5"]


@pytest.mark.parametrize(
    "entry",
    [
        at(50, "drained", complete=False, left=["chaos-a"]),
        at(50, "marks", left=["djd-cancel-a"]),
        at(50, "lost", id=UID, name="chaos-a"),
        at(50, "cancel", id=UID, name="chaos-a", sent=0, status=500, grace=None),
    ],
)
def test_what_is_left_or_said_wrongly_in_the_end_is_a_breach(entry: Entry) -> None:
    assert judge(*make_job(), cancel(5, 5), entry) == ["S6"]


def test_a_loss_that_a_blind_process_speaks_of_is_none() -> None:
    facts = {"number": 1, "what": "silence-streams"}
    fault = (at(6, "fault", moment="begin", **facts), at(8, "fault", moment="end", **facts))
    assert judge(*make_job(), cancel(5, 5), *fault, at(9, "lost", id=UID, name="chaos-a")) == []


def test_quiet_time_leaves_out_faults_and_what_follows_them() -> None:
    facts = {"number": 1, "what": "cut-streams"}
    story = tell(
        [
            at(0, "rules", **RULES),
            at(10, "fault", moment="begin", **facts),
            at(12, "fault", moment="end", **facts),
        ]
    )
    assert measure_quiet(story, 5 * SECOND, 30 * SECOND) == 17
    assert measure_quiet(story, 11 * SECOND, 15 * SECOND) == 0
