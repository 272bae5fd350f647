"""Each promise on a swarm is broken by a history made by hand, and held by the one beside it."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.chaos.history import Entry
from tests.chaos.story import SECOND
from tests.chaos.swarm.checker import check, explain_rerun, measure_convergence
from tests.chaos.swarm.story import FOREVER, SwarmStory, tell

UID = "service-1"
OTHER = "service-2"


def entry(at: float, kind: str, **facts: Any) -> Entry:
    return Entry(int(at * SECOND), kind, facts)


def base(limit: int = 2, keep: float = 5.0) -> list[Entry]:
    nodes = [entry(0, "node", name=f"node-{tag}", tag=tag) for tag in ("1", "2")]
    return [entry(0, "rules", limit=limit, keep=keep, converge=60.0), *nodes]


def order(name: str = "job", *, rerun: bool = False, starts: str = "must") -> Entry:
    facts = {"task": "succeed", "retries": 0, "starts": starts, "rerun": rerun}
    return entry(0.1, "order", name=name, **facts)


def reply(at: float = 1.0, name: str = "job", uid: str = UID, status: int = 201) -> Entry:
    return entry(at, "reply", name=name, sent=int(at * SECOND) - 1, status=status, uid=uid)


def look(at: float, *rows: tuple[str, str]) -> Entry:
    told = [[uid, name, "ordered"] for uid, name in rows]
    return entry(at, "look", sent=int(at * SECOND) - 1, rows=told)


def note(
    at: float, mark: str = "start", short: str = "c1", name: str = "job", tag: str = "1"
) -> Entry:
    return entry(at, "note", name=name, short=short, mark=mark, node=tag)


def event(at: float, action: str, container: str = "c1", name: str = "job") -> Entry:
    return entry(at, "event", id=container, name=name, action=action, node="node-1", code=None)


def shown(
    at: float,
    phase: str,
    reason: str | None = None,
    *,
    uid: str = UID,
    name: str = "job",
    process: str = "api-1-1",
) -> Entry:
    facts = {"phase": phase, "reason": reason, "process": process}
    return entry(at, "shown", name=name, uid=uid, **facts)


def away(begin: float, end: float, how: str = "kill", node: str = "node-1") -> list[Entry]:
    return [
        entry(begin, "away", node=node, how=how, moment="begin"),
        entry(end, "away", node=node, how=how, moment="end"),
    ]


def fault(begin: float, end: float) -> list[Entry]:
    return [
        entry(begin, "fault", number=1, what="kill-node", moment="begin"),
        entry(end, "fault", number=1, what="kill-node", moment="end"),
    ]


def shares(at: float, active: int = 0, queued: int = 0) -> Entry:
    return entry(at, "shares", sent=int(at * SECOND), active=active, queued=queued)


DONE = entry(40, "drained", complete=True, left=[], seconds=1.0)
GOOD = [order(), reply(), look(1.5, (UID, "job")), note(2), note(3, "stop"), shown(4, "Succeeded")]


def read(entries: Iterable[Entry], *, limit: int = 2) -> SwarmStory:
    return tell([*base(limit), *entries, shares(39), DONE])


def broken(entries: Iterable[Entry], *, limit: int = 2) -> list[str]:
    return [breach.invariant for breach in check(read(entries, limit=limit))]


def without(kind: str) -> list[Entry]:
    return [one for one in GOOD if one.kind != kind]


def test_a_job_that_runs_and_is_shown_to_succeed_breaks_nothing() -> None:
    assert broken(GOOD) == []


class TestLost:
    def test_what_was_accepted_must_be_seen(self) -> None:
        assert broken(without("look")) == ["S1"]

    def test_it_must_run(self) -> None:
        failed = shown(4, "Failed", "Error")
        assert broken([*without("note")[:-1], failed]) == ["S1"]

    def test_with_its_node_it_may_be_lost_before_it_notes_anything(self) -> None:
        lost = [*without("note")[:-1], shown(30, "Failed", "NodeLost")]
        assert broken([*lost, *away(2, 20)]) == []

    def test_it_must_be_shown_to_be_over(self) -> None:
        assert broken([*without("shown"), shown(4, "Pending", "Queued")]) == ["S1"]

    def test_it_must_not_go_unrun(self) -> None:
        entries = [*without("note")[:-1], look(3)]
        assert set(broken(entries)) == {"S1", "S4"}

    def test_what_cannot_start_may_wait_for_ever(self) -> None:
        waits = [order(starts="never"), reply(), look(1.5, (UID, "job"))]
        assert broken([*waits, shown(4, "Pending", "StartError")]) == []
        assert broken([*waits, note(2)]) == ["S2"]

    @pytest.mark.parametrize(
        ("status", "breaches"), [(502, []), (0, []), (400, ["S1"]), (500, ["S1"])]
    )
    def test_a_good_document_is_refused_for_lack_of_an_engine_alone(
        self, status: int, breaches: list[str]
    ) -> None:
        assert broken([*GOOD, reply(0.5, status=status)]) == breaches

    def test_while_it_exists_it_is_found(self) -> None:
        answer = entry(9.1, "answer", name="job", sent=int(9 * SECOND), status=404)
        assert broken([*GOOD, answer, look(9.5, (UID, "job"))]) == ["S1"]
        assert broken([*GOOD, answer, look(9.5)]) == []
        # a leader that is cut off does not know what was created since
        denied = [*GOOD, answer, look(9.5, (UID, "job"))]
        assert broken([*denied, *away(8.0, 9.05, "cut", "node-2")]) == []
        assert broken([*denied, *away(8.0, 8.9, "cut", "node-2")]) == ["S1"]
        assert broken([*denied, *away(8.0, 9.05, "freeze", "node-2")]) == ["S1"]


class TestTwice:
    again = (note(20, short="c2", tag="2"), note(21, "stop", short="c2", tag="2"))

    def test_no_job_runs_twice(self) -> None:
        assert broken([*GOOD, *self.again]) == ["S2"]

    def test_not_after_the_loss_of_its_node_either(self) -> None:
        lost = [*without("note"), note(2), *away(2.5, 20), *self.again]
        assert broken(lost) == ["S2"]

    def test_it_does_where_its_manifest_asks_for_it(self) -> None:
        lost = [order(rerun=True), *without("order"), *away(2.5, 20), *self.again]
        story = read(lost)
        assert broken(lost) == []
        assert explain_rerun(story, *story.runs) == "rerun after kill"

    def test_but_only_after_the_loss_of_its_node(self) -> None:
        asks = [order(rerun=True), *without("order"), *self.again]
        assert broken(asks) == ["S2"]
        assert broken([*asks, *away(4, 10, node="node-2")]) == ["S2"]
        assert broken([*asks, *away(30, 35)]) == ["S2"]

    def test_a_job_that_is_posted_again_after_its_collection_is_another(self) -> None:
        posted = [look(10), reply(11, uid=OTHER), look(12, (OTHER, "job"))]
        ended = shown(30, "Succeeded", uid=OTHER)
        assert broken([*GOOD, *posted, *self.again, ended]) == []


class TestLimit:
    def several(self, *begins: float, end: float = 8) -> list[Entry]:
        entries: list[Entry] = []
        for number, begin in enumerate(begins):
            name, uid, short = f"job-{number}", f"service-{number}", f"c{number}"
            entries += [order(name), reply(1, name, uid), look(1, *self.rows(len(begins)))]
            entries += [note(begin, short=short, name=name), note(end, "stop", short, name)]
            entries += [shown(end + 1, "Succeeded", uid=uid, name=name)]
        return entries

    def rows(self, number: int) -> list[tuple[str, str]]:
        return [(f"service-{each}", f"job-{each}") for each in range(number)]

    def test_so_many_may_run_and_no_more(self) -> None:
        assert broken(self.several(2, 3)) == []
        assert broken(self.several(2, 3, 4)) == ["S3"]
        assert broken(self.several(2, 3, 8.5)) == []

    def test_what_died_with_its_node_holds_no_slot(self) -> None:
        entries = [*self.several(2, 3), order("late"), note(6, short="c9", name="late", tag="2")]
        dead = [one for one in entries if one.get("mark") != "stop"]
        assert "S3" in broken(dead)
        assert "S3" not in broken([*dead, *away(5, 20)])

    def test_what_is_cut_off_holds_none_once_its_node_is_given_up(self) -> None:
        runs = self.several(2, 3, 20, end=25)
        assert broken([*runs, *away(5, 24, "cut")]) == []
        assert broken([*runs, *away(5, 18, "freeze")]) == []
        assert broken([*runs, *away(5, 9, "cut")]) == ["S3"]
        assert broken([*runs, *away(15, 30, "cut")]) == ["S3"]
        assert broken([*runs, *away(5, 18, "drain")]) == ["S3"]

    def test_an_end_is_when_the_engine_tells_of_it(self) -> None:
        entries = self.several(2, 3, 8.5)
        assert broken([*entries, event(9, "die", "c0"), event(9, "die", "c1")]) == ["S3"]


class TestKept:
    def test_a_job_is_kept_for_so_long(self) -> None:
        assert broken([*GOOD, look(8.1)]) == []
        assert broken([*GOOD, look(7.9)]) == ["S4"]

    def test_one_that_a_cut_off_manager_does_not_know_of_is_not_gone(self) -> None:
        assert broken([*GOOD, look(5), look(6, (UID, "job"))]) == []

    def test_a_look_at_a_manager_that_restarts_shows_nothing(self) -> None:
        again = look(20, (UID, "job"))
        denied = entry(12, "answer", name="job", sent=11 * SECOND, status=404)
        assert broken([*GOOD, look(10), denied, again, look(21)]) == []
        # nor does it hide a removal that was too early
        assert broken([*GOOD, look(7.9), again, look(21)]) == ["S4"]
        assert broken([*GOOD, look(10), denied, again, look(21, (UID, "job")), look(22)]) == ["S1"]


class TestTold:
    def test_success_is_noted_by_the_job(self) -> None:
        died = [one for one in GOOD if one.get("mark") != "stop"]
        assert broken(died) == ["S5"]

    def test_an_end_stays(self) -> None:
        lost = [*GOOD, *away(2, 3), shown(9, "Failed", "NodeLost")]
        assert broken(lost) == ["S5"]

    def test_an_api_at_a_manager_that_is_cut_off_may_show_what_was(self) -> None:
        assert broken([*GOOD, shown(9, "Running", process="api-2-1")]) == []
        assert broken([*GOOD, shown(9, "Running", process="api-1-2")]) == []

    def test_a_job_is_lost_with_its_node_alone(self) -> None:
        lost = [*without("shown"), shown(4, "Failed", "NodeLost")]
        assert broken(lost) == ["S5"]
        assert broken([*lost, *away(2, 3, node="node-2")]) == ["S5"]
        assert broken([*lost, *away(2, 3)]) == []


class TestConvergence:
    def test_work_goes_on_within_a_minute_of_the_last_fault(self) -> None:
        waits = [*GOOD, *fault(4, 5), shares(10, queued=3)]
        story = tell([*base(), *waits, shares(66, queued=1), DONE])
        assert measure_convergence(story) is None
        late = tell([*base(), *waits, shares(66, active=2, queued=1), DONE])
        assert measure_convergence(late) == pytest.approx(61)
        assert [breach.invariant for breach in check(late)] == ["S6"]
        assert broken([*waits, shares(20)]) == []

    def test_all_of_it_is_done_in_the_end(self) -> None:
        undone = entry(40, "drained", complete=False, left=["job"], seconds=180.0)
        assert [b.invariant for b in check(tell([*base(), *GOOD, undone, shares(1)]))] == ["S6"]
        assert [b.invariant for b in check(tell([*base(), *GOOD, shares(1)]))] == ["S6"]


def test_neither_process_may_end_by_itself() -> None:
    assert broken([*GOOD, entry(5, "exit", process="api-1", code=1)]) == ["I7"]


class TestRuns:
    def test_an_end_that_nothing_tells_of_is_not_yet(self) -> None:
        [run] = read([order(), note(2)]).runs
        assert (run.node, run.end, run.noted_end) == ("node-1", FOREVER, False)

    def test_a_run_ends_with_the_power_of_its_node(self) -> None:
        [run] = read([order(), note(2), *away(5, 9), *away(12, 15)]).runs
        assert run.end == 5 * SECOND

    def test_a_run_begins_when_the_engine_says_so(self) -> None:
        [run] = read([order(), event(1.5, "start"), note(2), event(3, "die")]).runs
        assert (run.begin, run.end) == (1.5 * SECOND, 3 * SECOND)
