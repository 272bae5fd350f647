"""The events between two looks at a job: each begin and end once, in the order of a life."""

from dataclasses import replace

import pytest

from api.engine.interface import EventKind
from api.engine.swarm.labels import CANCEL_MARK, END, End, encode_end, encode_mark
from api.engine.swarm.reader import Seen
from api.engine.swarm.services import Service
from api.engine.swarm.tasks import Task
from api.engine.swarm.telling import Told, find_events, make_removals, summarize
from api.v1.job import Status
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.wishes import NodeLoss, Wishes
from tests.unit.api.engine.swarm.scenes import (
    DOWN,
    NODES,
    UID,
    judge,
    make_service_of,
    make_task,
)

RERUN = JobSpec(wishes=Wishes(on_node_loss=NodeLoss.RERUN))
RETRIES = {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}}
NEW = Told(Status.CREATED)
CREATED, STARTED, ENDED = EventKind.CREATED, EventKind.STARTED, EventKind.ENDED
CHANGED, REMOVED = EventKind.CHANGED, EventKind.REMOVED


def look(service: Service, *tasks: Task, is_down: bool = False) -> Seen:
    return Seen(service, tasks, judge(service, *tasks, nodes=DOWN if is_down else NODES))


def tell(old: Told | None, seen: Seen) -> list[tuple[EventKind, int | None]]:
    """Return what is told where ``old`` was told before."""
    return [(e.kind, e.exit_code) for e in find_events(old, summarize(seen), seen, 7)]


def test_each_step_of_a_life_is_told_once() -> None:
    service, waiting = make_service_of(), make_service_of(replicas=0, start=0)
    steps = [
        (look(waiting), []),
        (look(service), [(CHANGED, None)]),
        (look(service, make_task("preparing")), []),
        (look(service, make_task("running")), [(STARTED, None)]),
        (look(service, make_task("running")), []),
        (look(service, make_task("failed", code=3)), [(ENDED, 3)]),
        (look(service, make_task("failed", code=3, desired="shutdown")), []),
    ]
    told = NEW
    for seen, expected in steps:
        assert tell(told, seen) == expected
        told = summarize(seen)


def test_a_run_that_was_over_before_anybody_looked_is_told_whole() -> None:
    seen = look(make_service_of(), make_task("complete", code=0))
    assert tell(NEW, seen) == [(STARTED, None), (ENDED, 0)]


def test_why_a_start_waits_or_failed_is_told_as_a_change() -> None:
    service = make_service_of()
    starting = summarize(look(service, make_task("pending")))
    full = look(service, make_task("pending", error="no suitable node"))
    assert tell(starting, full) == [(CHANGED, None)]
    failed = look(service, make_task("rejected", error="No such image"))
    assert tell(summarize(full), failed) == [(CHANGED, None)]


def test_a_lost_run_ends_without_a_code_or_waits_again() -> None:
    lost = make_task("running", desired="shutdown")
    for spec, expected in ((JobSpec(), [(ENDED, None)]), (RERUN, [(CHANGED, None)])):
        service = make_service_of(spec=spec)
        running = summarize(look(service, make_task("running")))
        assert tell(running, look(service, lost, is_down=True)) == expected


def test_of_a_run_that_was_lost_before_anybody_saw_it_begin_no_begin_is_told() -> None:
    service = make_service_of()
    starting = summarize(look(service, make_task("preparing")))
    lost = look(service, make_task("preparing", desired="shutdown"), is_down=True)
    assert tell(starting, lost) == [(CHANGED, None)]
    end = End(None, None, 9, error=lost.job.error, lost=True)
    noted = look(make_service_of(labels={END: encode_end(end)}))
    assert tell(summarize(lost), noted) == []


def test_the_run_after_a_lost_one_is_told_as_any() -> None:
    service = make_service_of(spec=RERUN)
    lost = summarize(look(service, make_task("running", desired="shutdown"), is_down=True))
    again = look(make_service_of(spec=RERUN, start=2), make_task("running", start=2))
    assert tell(lost, again) == [(STARTED, None)]
    # and where nobody looked between the two
    first = Told(Status.RUNNING, begun=1)
    assert tell(first, Seen(again.service, again.tasks, replace(again.job, rerun=1))) == [
        (STARTED, None)
    ]


def test_every_end_of_a_restarted_job_is_told() -> None:
    service = make_service_of(spec=RERUN, body=RETRIES)
    first = make_task("failed", code=4, desired="shutdown")
    waiting = look(service, first, make_task("ready", uid="second", created=6))
    assert tell(NEW, waiting) == [(STARTED, None), (ENDED, 4)]
    last = make_task("failed", uid="second", created=6, code=5, desired="shutdown")
    assert tell(summarize(waiting), look(service, first, last)) == [(STARTED, None), (ENDED, 5)]


def test_of_what_was_over_before_the_subscription_no_run_is_told() -> None:
    seen = look(make_service_of(), make_task("complete"))
    end = seen.job.finished_at
    assert end is not None
    for since, kinds in ((end + 1, [CHANGED]), (end, [STARTED, ENDED])):
        events = find_events(None, summarize(seen), seen, 7, since=since)
        assert [event.kind for event in events] == kinds


def test_what_was_not_told_of_has_changed() -> None:
    assert tell(None, look(make_service_of(replicas=0, start=0))) == [(CHANGED, None)]


def test_marks_come_and_go_with_events_of_their_own() -> None:
    mark = Mark("", UID, 5)
    marked = make_service_of(replicas=0, start=0, labels={CANCEL_MARK: encode_mark(mark)})
    plain = make_service_of(replicas=0, start=0)
    seen = look(marked)
    [event] = find_events(summarize(look(plain)), summarize(seen), seen, 7)
    assert (event.kind, event.uid, event.is_mark) == (CREATED, f"{UID}.cancel", True)
    assert event.mark == Mark(f"{UID}.cancel", UID, 5)
    seen = look(plain)
    [event] = find_events(summarize(look(marked)), summarize(seen), seen, 8)
    assert (event.kind, event.uid, event.mark) == (REMOVED, f"{UID}.cancel", None)


@pytest.mark.parametrize("own", [[], [f"{UID}.cancel"]])
def test_marks_go_with_their_job(own: list[str]) -> None:
    told = Told(Status.EXITED, marks=frozenset(own))
    assert [event.uid for event in make_removals(UID, told, 7)] == [*own, UID]
