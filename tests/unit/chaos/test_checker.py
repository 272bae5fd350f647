"""Each invariant is broken by a history made by hand, and held by the one beside it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.chaos.checker import (
    check,
    explain_repeat,
    find_repeated,
    measure_convergence,
)
from tests.chaos.history import Entry, excerpt
from tests.chaos.slots import find_overshoots
from tests.chaos.story import SECOND, tell

ID = "a" * 64
OTHER = "b" * 64


def entry(at: float, kind: str, **facts: Any) -> Entry:
    return Entry(int(at * SECOND), kind, facts)


def rules(limit: int = 2, keep: float = 5.0, engine: int = 20) -> Entry:
    facts = {"call_timeout": 4.0, "converge": 20.0, "engine": engine}
    return entry(0, "rules", limit=limit, keep=keep, **facts)


def order(name: str = "job", *, retries: int = 0, starts: str = "must") -> Entry:
    return entry(0.1, "order", name=name, task="succeed", retries=retries, starts=starts)


def reply(at: float = 1.0, name: str = "job", uid: str | None = ID, status: int = 201) -> Entry:
    return entry(at, "reply", name=name, sent=int(at * SECOND) - 1, status=status, uid=uid)


def event(at: float, action: str, container_id: str = ID, name: str = "job") -> Entry:
    return entry(at, "event", id=container_id, name=name, action=action, code=None)


def look(at: float, *rows: tuple[str, str, str]) -> Entry:
    return entry(at, "look", sent=int(at * SECOND) - 1, rows=[list(row) for row in rows])


def inspect(at: float, status: str, *, started: float, finished: float | None = None) -> Entry:
    end = None if finished is None else int(finished * SECOND)
    return entry(
        at, "inspect", id=ID, name="job", status=status, started=int(started * SECOND), finished=end
    )


def note(at: float, mark: str = "start", container_id: str = ID, name: str = "job") -> Entry:
    return entry(at, "note", name=name, short=container_id[:12], mark=mark)


def call(at: float, act: str, status: int, container_id: str = ID, **facts: Any) -> Entry:
    sent = int(at * SECOND) - 1
    facts = {"forced": False, **facts}
    return entry(at, "call", act=act, id=container_id, sent=sent, status=status, **facts)


def start_call(at: float, status: int, container_id: str = ID) -> Entry:
    return call(at, "start", status, container_id)


def fault(begin: float, end: float, what: str = "kill-engine", number: int = 1) -> list[Entry]:
    return [
        entry(begin, "fault", number=number, what=what, moment="begin"),
        entry(end, "fault", number=number, what=what, moment="end"),
    ]


def drained(at: float = 100.0, *left: str) -> Entry:
    return entry(at, "drained", complete=not left, left=list(left), seconds=1.0)


def run(container_id: str = ID, name: str = "job", begin: float = 2, end: float = 3) -> list[Entry]:
    return [
        event(begin - 0.5, "create", container_id, name),
        event(begin, "start", container_id, name),
        event(end, "die", container_id, name),
    ]


WHOLE = [rules(), order(), reply(), *run(), event(9, "destroy"), look(10), drained()]


def broken(entries: Iterable[Entry]) -> list[str]:
    return [breach.invariant for breach in check(tell(entries))]


def test_a_job_that_runs_once_and_is_collected_in_time_breaks_nothing() -> None:
    assert broken(WHOLE) == []


def without(kind: str, **facts: Any) -> Callable[[Entry], bool]:
    return lambda e: not (e.kind == kind and all(e.get(k) == v for k, v in facts.items()))


IDLE: dict[str, Any] = {"status": "created", "started": None}


BREAKING = {
    "accepted, and the engine never had it": ("I1", [rules(), order(), reply(), drained()]),
    "accepted with the id of another": (
        "I1",
        [*WHOLE, order("two"), reply(2, "two", ID), drained()],
    ),
    "gone without having run": (
        "I1",
        [rules(), order(), reply(), event(0.5, "create"), look(4), drained()],
    ),
    "answered 404 while it exists": (
        "I1",
        [*WHOLE, entry(4, "answer", name="job", sent=int(3.5 * SECOND), status=404)],
    ),
    "refused although nothing is wrong with it": ("I1", [*WHOLE, reply(0.5, status=409)]),
    "two containers of one name": (
        "I1",
        [rules(), order(), reply(), reply(2, "job", OTHER), *run(), *run(OTHER), drained()],
    ),
    "never started": (
        "I2",
        [
            rules(),
            order(),
            reply(),
            event(0.5, "create"),
            look(4, (ID, "job", "created")),
            drained(),
        ],
    ),
    "cannot start, and nobody says so": (
        "I2",
        [
            *(rules(), order(starts="never"), reply(), event(0.5, "create")),
            *(entry(50, "explained", name="job", text=None), drained()),
        ],
    ),
    "one too many at once": (
        "I3",
        [
            *(rules(limit=1), order(), order("two"), reply(), reply(1, "two", OTHER)),
            *(*run(), *run(OTHER, "two", 2.5, 4), drained()),
        ],
    ),
    "one too many beside a job that the engine restarts": (
        "I3",
        [
            *(rules(limit=1), order(retries=2), order("two"), reply(), reply(1, "two", OTHER)),
            *(*run(), *run(OTHER, "two", 3.2, 4), event(3.5, "start"), event(5, "die"), drained()),
        ],
    ),
    "a foreign container removed": (
        "I4",
        [
            *(*WHOLE, entry(1, "foreign", id=OTHER, name="x", moment="before", **IDLE)),
            entry(90, "foreign", id=OTHER, name="x", moment="after", status="gone", started=None),
        ],
    ),
    "a foreign container started": (
        "I4",
        [
            *(*WHOLE, entry(1, "foreign", id=OTHER, name="x", moment="before", **IDLE)),
            entry(90, "foreign", id=OTHER, name="x", moment="after", status="exited", started=5),
        ],
    ),
    "a foreign container sent a start that changed nothing": (
        "I4",
        [
            *(*WHOLE, entry(1, "foreign", id=OTHER, name="x", moment="before", **IDLE)),
            entry(90, "foreign", id=OTHER, name="x", moment="after", **IDLE),
            start_call(3, 304, OTHER),
        ],
    ),
    "collected too early": (
        "I5",
        [
            *filter(without("event", action="destroy"), WHOLE),
            event(7.9, "destroy"),
            inspect(3.1, "exited", started=2, finished=3),
        ],
    ),
    "removed while it waits": (
        "I5",
        [rules(), order(), reply(), event(0.5, "create"), event(4, "destroy"), drained()],
    ),
    "removed by force": ("I5", [*WHOLE, call(9, "remove", 204, forced=True)]),
    "run twice for no reason": ("I6", [*WHOLE, note(2), note(2.5)]),
    "run twice by an engine that should not": (
        "I6",
        [*WHOLE, note(2), note(3.9), *fault(3, 3.5)],
    ),
    "a process ended by itself": ("I7", [*WHOLE, entry(4, "exit", process="api", code=1)]),
    "a process logged a traceback": (
        "I7",
        [*WHOLE, entry(4, "complaint", process="api", text="Traceback (most recent call last):")],
    ),
    "a job said to be lost ran": ("I9", [*WHOLE, entry(1.5, "lost", id=ID, name="job")]),
    "no work after a fault": (
        "I8",
        [
            *(rules(), order(), reply(), event(0.5, "create"), *fault(1, 2)),
            *(look(10, (ID, "job", "created")), event(30, "start"), event(31, "die"), drained()),
        ],
    ),
    "not done in the end": ("I8", [*filter(without("drained"), WHOLE), drained(100, "job")]),
    "a run that did not end": ("I8", list(filter(without("drained"), WHOLE))),
}


@pytest.mark.parametrize(("invariant", "entries"), BREAKING.values(), ids=BREAKING.keys())
def test_a_history_that_breaks_one_invariant_breaks_that_one(
    invariant: str, entries: list[Entry]
) -> None:
    found = set(broken(entries))
    assert invariant in found
    assert found <= {invariant} | _CONSEQUENCES.get(invariant, set())


# What is gone without having run was also removed too early, and the other way round.
_CONSEQUENCES = {"I1": {"I5", "I2"}, "I5": {"I1", "I2"}, "I2": {"I8"}}


class TestExemptions:
    def test_a_job_removed_by_someone_else_is_not_lost(self) -> None:
        entries = [rules(), order(), reply(), event(0.5, "create"), event(4, "destroy"), drained()]
        assert broken([*entries, entry(4, "stranger", id=ID, name="job")]) == []

    def test_a_create_that_the_engine_took_back_as_it_ended_was_no_job(self) -> None:
        refused = reply(status=502, uid=None)
        taken_back = [event(1.0, "destroy", OTHER), *fault(0.9, 5, "restart-engine")]
        again = [reply(6), *run(begin=7, end=8), event(14, "destroy"), look(15), drained()]
        assert broken([rules(), order(), refused, *taken_back, *again]) == []

    def test_a_start_that_an_engines_death_cut_in_two_can_never_be_made_up_for(self) -> None:
        said = entry(50, "explained", name="job", text="task abc: already exists")
        there = look(10, (ID, "job", "created"))
        base = [rules(), order(), reply(), event(0.5, "create"), there, drained()]
        base.append(start_call(7, 500))
        cut_off = [start_call(2, 0), *fault(2, 5)]
        assert broken([*base, said, *cut_off]) == []
        assert broken([*base, said, start_call(3, 500), *fault(2, 5, "restart-engine")]) == []
        assert broken([*base, *cut_off]) == ["I2"]
        assert broken([*base, said, start_call(2, 0)]) == ["I2"]

    def test_a_job_cut_in_two_starts_when_it_is_posted_again_and_no_newer_engine_has_one(
        self,
    ) -> None:
        said = entry(50, "explained", name="job", text="task abc: already exists")
        cure = [entry(60, kind, id=ID, name="job") for kind in ("stranger", "cure")]
        again = run(OTHER, begin=62, end=63)
        cut_off = [
            start_call(2, 0),
            start_call(7, 500),
            *fault(2, 5),
            said,
            *cure,
            event(60, "destroy"),
        ]
        there = [order(), reply(), event(0.5, "create"), look(10, (ID, "job", "created"))]
        rest = [*there, *cut_off, drained()]
        assert broken([rules(), *rest, *again]) == []
        assert broken([rules(), *rest]) == ["I2"]
        assert broken([rules(engine=28), *rest, *again]) == ["I2"]
        hopeless = [entry(1, "explained", name="job", text="no such file"), *rest]
        assert broken([rules(), *hopeless, order(starts="never")]) == []

    def test_a_job_that_cannot_start_waits_and_the_product_says_why(self) -> None:
        said = entry(50, "explained", name="job", text="no such file")
        entries = [rules(), order(starts="never"), reply(), event(0.5, "create"), said, drained()]
        assert broken(entries) == []

    def test_an_end_that_only_a_list_shows_is_an_end(self) -> None:
        base = [rules(), order(), reply(), event(2, "start"), look(10), drained()]
        ended = look(3, (ID, "job", "exited"))
        assert broken([*base, ended, event(7.5, "destroy")]) == []
        assert broken([*base, ended, note(2.9, "stop"), event(7.5, "destroy")]) == ["I5"]
        assert broken([*base, ended, event(6.5, "destroy")]) == ["I5"]
        assert broken([*base, look(3, (ID, "job", "running")), event(7.5, "destroy")]) == ["I1"]

    def test_what_was_removed_without_force_had_ended(self) -> None:
        base = [rules(), order(), reply(), event(2, "start"), event(9, "destroy"), look(10)]
        base.append(drained())
        assert broken(base) == ["I1"]
        assert broken([*base, call(9, "remove", 204)]) == []
        assert broken([*base, call(9, "remove", 409)]) == ["I1"]
        assert broken([*base, call(9, "remove", 204), note(5, "stop")]) == ["I5"]

    def test_each_late_start_may_exceed_the_limit_by_one_and_no_more(self) -> None:
        two = [order("two"), reply(1, "two", OTHER), *run(OTHER, "two", 2.5, 4)]
        third = "c" * 64
        three = [order("three"), reply(1, "three", third), *run(third, "three", 2.6, 4)]
        base = [rules(limit=1), order(), reply(), *run(), drained(), start_call(1.5, 0)]
        assert broken([*base, *two]) == []
        assert broken([*base, *two, *three]) == ["I3"]
        assert [shot.late for shot in find_overshoots(tell([*base, *two]))] == [1]

    def test_an_answered_start_is_no_excuse(self) -> None:
        two = [order("two"), reply(1, "two", OTHER), *run(OTHER, "two", 2.5, 4)]
        base = [rules(limit=1), order(), reply(), *run(), drained(), start_call(1.5, 204)]
        assert broken([*base, *two]) == ["I3"]

    def test_a_slot_freed_by_an_end_that_no_event_told_of_is_free(self) -> None:
        entries = [rules(limit=1), order(), order("two"), reply(), reply(1, "two", OTHER)]
        entries += [event(2, "start"), *run(OTHER, "two", 4, 5), drained()]
        assert broken(entries) == ["I3"]
        assert broken([*entries, inspect(3.9, "exited", started=2, finished=3.5)]) == []

    def test_a_second_run_is_explained_by_an_ambiguous_start(self) -> None:
        story = tell([*WHOLE, note(2), note(2.5), start_call(2.2, 0)])
        assert [explain_repeat(story, life) for life in find_repeated(story)] == ["ambiguous start"]

    def test_runs_by_the_restart_policy_count_as_one(self) -> None:
        base = [rules(), order(retries=2), reply(), *run(), drained()]
        assert broken([*base, note(2), note(2.4), note(2.8)]) == []
        assert broken([*base, note(2), note(2.4), note(2.8), note(2.9)]) == ["I6"]

    def test_an_engine_restart_explains_a_run_more_of_what_it_restarts(self) -> None:
        base = [rules(), order(retries=1), reply(), *run(), drained()]
        more = [note(2), note(2.2), note(2.8)]
        assert broken([*base, *more]) == ["I6"]
        story = tell([*base, *more, *fault(2.3, 2.5)])
        assert [explain_repeat(story, life) for life in find_repeated(story)] == ["engine restart"]

    def test_an_engine_restart_stops_foreign_containers_and_nobody_else_may(self) -> None:
        before = entry(
            1, "foreign", id=OTHER, name="x", moment="before", status="running", started=5
        )
        after = entry(90, "foreign", id=OTHER, name="x", moment="after", status="exited", started=5)
        assert broken([*WHOLE, before, after]) == ["I4"]
        assert broken([*WHOLE, before, after, *fault(9.5, 9.6)]) == []


class TestConvergence:
    def test_it_is_the_time_from_a_faults_end_to_the_next_start(self) -> None:
        story = tell([*WHOLE, *fault(0.5, 1.5)])
        assert [case.seconds for case in measure_convergence(story)] == [0.5]

    def test_full_slots_and_an_empty_queue_count_as_converged(self) -> None:
        waiting = (OTHER, "two", "created")
        full = look(5, (ID, "job", "running"), waiting)
        base = [rules(limit=1), order(), order("two"), *fault(3, 4)]
        assert [c.seconds for c in measure_convergence(tell([*base, full, entry(9, "end")]))] == [
            pytest.approx(1.0, abs=1e-6)
        ]
        stuck = look(5, waiting)
        empty = look(7)
        story = tell([*base, stuck, empty, entry(9, "end")])
        assert [c.seconds for c in measure_convergence(story)] == [pytest.approx(3.0, abs=1e-6)]

    def test_a_job_that_the_engine_refused_waits_for_its_next_attempt_and_not_for_us(self) -> None:
        waiting = look(5, (ID, "job", "created"))
        base = [rules(), order(), event(1, "create"), *fault(3, 4), waiting, entry(30, "end")]
        stuck, refused = tell(base), tell([*base, start_call(2, 400)])
        assert [c.seconds for c in measure_convergence(stuck)] == [pytest.approx(26)]
        assert [c.seconds for c in measure_convergence(refused)] == [pytest.approx(1.0)]

    def test_a_fault_upon_a_fault_is_measured_from_the_last_end(self) -> None:
        entries = [*WHOLE[:-1], *fault(1, 1.2), *fault(1.3, 1.5, number=2), drained()]
        cases = measure_convergence(tell(entries))
        assert [(case.fault.number, case.seconds) for case in cases] == [(1, None), (2, 0.5)]


class TestExcerpt:
    def test_it_tells_of_the_subject_and_the_faults_between_and_of_nothing_else(self) -> None:
        entries = tell([*WHOLE, order("two"), reply(1, "two", OTHER), *fault(2, 3)]).entries
        part = excerpt(entries, ("job", ID))
        assert {e.kind for e in part} == {"order", "reply", "event", "fault", "look"}
        assert not any("two" in e.facts.values() for e in part)

    def test_of_looks_it_shows_only_changes(self) -> None:
        looks = [look(at, (ID, "job", "created"), (OTHER, "two", "running")) for at in (2, 3, 4)]
        part = excerpt([order(), *looks, look(5), event(6, "destroy")], ("job", ID))
        rows = [e["rows"] for e in part if e.kind == "look"]
        assert rows == [[[ID, "job", "created"]], []]


def test_an_entry_survives_its_line() -> None:
    for one in (*WHOLE, look(3, (ID, "job", "running"))):
        assert Entry.from_line(one.to_line()) == one
