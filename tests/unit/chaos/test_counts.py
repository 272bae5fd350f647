"""The API's counts beside an engine's history made by hand: right ones pass, wrong ones do not."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chaos.checker import check_counts
from tests.chaos.counts import Comparison, compare_counts
from tests.chaos.history import Entry, excerpt
from tests.chaos.report import describe_comparisons
from tests.chaos.story import SECOND, Story, tell

ID, OTHER = "a" * 64, "b" * 64
LISTED = 10.0
"""When the API asked for its first list; it had read it by the first scrape, at 11."""


def entry(at: float, kind: str, **facts: Any) -> Entry:
    return Entry(int(at * SECOND), kind, facts)


def look(at: float, **states: str) -> Entry:
    rows = [[{"job": ID, "two": OTHER}[name], name, state] for name, state in states.items()]
    return entry(at, "look", sent=int(at * SECOND) - 1, rows=rows)


def event(at: float, action: str, name: str = "job", code: str | None = None) -> Entry:
    return entry(
        at, "event", id={"job": ID, "two": OTHER}[name], name=name, action=action, code=code
    )


def inspect(
    at: float, status: str, *, code: int = 0, name: str = "job", restarts: int = 0
) -> Entry:
    begin = int((at - 0.2) * SECOND)
    return entry(
        at,
        "inspect",
        id={"job": ID, "two": OTHER}[name],
        name=name,
        status=status,
        created=int((at - 1) * SECOND),
        started=begin,
        finished=begin + SECOND // 10 if status == "exited" else None,
        exit_code=code,
        restart_count=restarts,
    )


def scrape(at: float, moment: str, number: int = 1, **counts: int) -> Entry:
    """Return a scrape; ``die_3=1`` stands for one end with status 3."""
    return entry(
        at,
        "scrape",
        id=f"scrape-{at:g}",
        lifetime=number,
        moment=moment,
        sent=int(at * SECOND) - 1,
        listed=int(LISTED * SECOND),
        counts={key.replace("_", " "): count for key, count in counts.items()},
    )


def fault(begin: float, end: float, what: str = "kill-engine") -> list[Entry]:
    return [
        entry(begin, "fault", number=int(begin * 10), what=what, moment="begin"),
        entry(end, "fault", number=int(begin * 10), what=what, moment="end"),
    ]


def story(*entries: Entry, retries: int = 0) -> Story:
    rules = entry(0, "rules", limit=2, keep=5.0, call_timeout=4.0, converge=20.0, engine=20)
    orders = [
        entry(0.1, "order", name=name, task="fail", retries=number, starts="must")
        for name, number in (("job", retries), ("two", 0))
    ]
    return tell([rules, *orders, entry(8, "spawn", process="api", id="api-1"), *entries])


def compare(*entries: Entry, retries: int = 0) -> list[Comparison]:
    return compare_counts(story(*entries, retries=retries))


def judge(*entries: Entry, retries: int = 0) -> dict[str, int]:
    """Return the counts that were found wrong in the last of the scrapes."""
    found = compare(*entries, retries=retries)[-1].differences
    return {" ".join(filter(None, difference.key)): difference.count for difference in found}


# A job that was there before the API: created at 4, run from 4.8, ended with 3.
BEFORE = [
    event(4, "create"),
    event(4.85, "start"),
    event(4.95, "die", code="3"),
    inspect(5, "exited", code=3),
    look(5, job="exited"),
]
# Another that comes and goes after it: run from 19.8, ended with 0, collected.
AFTER = [
    event(19.1, "create", "two"),
    event(19.85, "start", "two"),
    event(19.95, "die", "two", "0"),
    inspect(20, "exited", name="two"),
    look(20, job="exited", two="exited"),
    event(26, "destroy", "two"),
    look(26.5, job="exited"),
]
FIRST = scrape(11, "first", create=1, start=1, die_3=1)
ONE = {"create": 1, "start": 1, "die_3": 1}
BOTH = {"create": 2, "start": 2, "die_3": 1, "die_0": 1}


def test_right_counts_of_a_lifetime_are_right_at_every_scrape() -> None:
    later = scrape(24, "later", **BOTH)
    found = compare(*BEFORE, FIRST, *AFTER, later, scrape(40, "last", **BOTH))
    assert [(one.scrape.moment, one.exact, one.differences) for one in found] == [
        ("first", True, ()),
        ("later", True, ()),
        ("last", True, ()),
    ]


WRONG: Mapping[str, tuple[dict[str, int], dict[str, int]]] = {
    "a create too many": ({"create": 3}, {"create": 3}),
    "a create missing": ({"create": 1}, {"create": 1}),
    "a run too many": ({"start": 3}, {"start": 3, "running": 1}),
    "a run missing": ({"start": 1}, {"start": 1, "running": -1}),
    "an end counted twice": ({"die_3": 2}, {"die 3": 2, "die of any status": 3, "running": -1}),
    "an end missing": ({"die_3": 0}, {"die 3": 0, "die of any status": 1, "running": 1}),
    "the status of another end": ({"die_3": 0, "die_0": 2}, {"die 3": 0, "die 0": 2}),
    "a status that nothing had": ({"die_0": 0, "die_9": 1}, {"die 0": 0, "die 9": 1}),
    "a known end as unknown": ({"die_0": 0, "die_unknown": 1}, {"die 0": 0, "die unknown": 1}),
}


@pytest.mark.parametrize(("planted", "told"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("moment", ["later", "last"])
def test_a_wrong_count_is_told(moment: str, planted: dict[str, int], told: dict[str, int]) -> None:
    last = scrape(40, moment, **(BOTH | planted))
    assert judge(*BEFORE, FIRST, *AFTER, last) == told


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ({"create": 0, "start": 0, "die_3": 0}, {"create", "start", "die 3", "die of any status"}),
        ({"die_3": 0, "die_unknown": 1}, {"die 3", "die unknown"}),
        ({"create": 2}, {"create"}),
    ],
)
def test_right_after_a_restart_what_the_engine_holds_must_be_counted(
    planted: dict[str, int], told: set[str]
) -> None:
    assert judge(*BEFORE, scrape(11, "first", **ONE)) == {}
    assert judge(*BEFORE, scrape(11, "first", **(ONE | planted))).keys() == told


def test_a_job_that_was_gone_before_counts_in_no_lifetime() -> None:
    early = [*BEFORE, event(9, "destroy"), look(9.5)]
    assert judge(*early, scrape(11, "last")) == {}
    assert judge(*early, scrape(11, "last", **ONE)).keys() >= {"create", "start", "die 3"}


def test_a_job_collected_while_the_api_fills_may_be_counted_or_not() -> None:
    between = [*BEFORE, look(10.2, job="exited"), event(10.5, "destroy"), look(10.6)]
    for counts in ({}, ONE):
        assert judge(*between, scrape(11, "first", **counts)) == {}
        assert judge(*between, scrape(11, "first", **counts), scrape(30, "last", **counts)) == {}
    assert judge(*between, scrape(11, "first", create=2)) == {"create": 2}
    assert [one.exact for one in compare(*between, scrape(11, "first"))] == [False]


def test_each_lifetime_counts_anew() -> None:
    again = entry(30, "spawn", process="api", id="api-2")
    late = [scrape(at, moment, 2, **ONE) for at, moment in ((31, "first"), (40, "last"))]
    late = [Entry(e.at, e.kind, {**e.facts, "listed": 30 * SECOND}) for e in late]
    assert judge(*BEFORE, FIRST, *AFTER, scrape(28, "later", **BOTH), again, *late) == {}
    wrong = Entry(late[1].at, "scrape", {**late[1].facts, "counts": {"create": 2}})
    assert "create" in judge(*BEFORE, FIRST, *AFTER, again, late[0], wrong)


def test_what_has_just_happened_need_not_be_counted_yet_and_what_has_not_must_not() -> None:
    assert judge(*BEFORE, FIRST, *AFTER, scrape(20.5, "later", **ONE)) == {}
    assert judge(*BEFORE, FIRST, *AFTER, scrape(20.5, "later", **BOTH)) == {}
    assert "create" in judge(*BEFORE, FIRST, *AFTER, scrape(18, "later", **BOTH))
    assert "create" in judge(*BEFORE, FIRST, *AFTER, scrape(24, "later", **ONE))


@pytest.mark.parametrize("what", ["cut-streams", "freeze-engine", "kill-engine", "delay-calls"])
def test_while_the_way_to_the_engine_is_bad_counts_may_lag_and_not_run_ahead(what: str) -> None:
    bad = [*BEFORE, FIRST, *fault(18, 20.5, what), *AFTER]
    assert judge(*bad, scrape(25, "later", **ONE)) == {}
    assert judge(*bad, scrape(25, "later", **(BOTH | {"create": 3}))) == {"create": 3}
    assert judge(*bad, scrape(60, "later", **ONE)) != {}
    assert judge(*bad, scrape(60, "last", **BOTH)) == {}


def test_what_comes_and_goes_on_a_silent_stream_counts_once_it_is_subscribed_to_again() -> None:
    silence = [*BEFORE, FIRST, *fault(18, 18.5, "silence-streams")]
    again = entry(30, "subscription", process="api")
    early = entry(17, "subscription", process="api")
    other = entry(30, "subscription", process="controller")
    last = scrape(60, "last", **ONE)
    assert judge(*silence, *AFTER, early, other, last) == {}
    assert judge(*silence, *AFTER, early, other, scrape(60, "last", **BOTH)) == {}
    assert "create" in judge(*silence, *AFTER, again, last)
    assert "create" in judge(*silence, *AFTER, again, scrape(40, "later", **ONE))
    assert judge(*silence, *AFTER, again, scrape(30.5, "later", **ONE)) == {}
    # a list shows what stays for longer
    stays = [*AFTER[:-2], event(99, "destroy", "two"), look(99.5, job="exited")]
    assert "create" in judge(*silence, *stays, scrape(130, "last", **ONE))


def test_an_end_is_unknown_only_if_its_event_was_lost_and_nobody_could_look() -> None:
    unknown = BOTH | {"die_0": 0, "die_unknown": 1}
    last = scrape(60, "last", **unknown)
    for counts in (unknown, BOTH):
        assert judge(*BEFORE, FIRST, *AFTER, *fault(19, 24), scrape(60, "last", **counts)) == {}
    told = {"die 0": 0, "die unknown": 1}
    assert judge(*BEFORE, FIRST, *AFTER, *fault(19, 24, "refuse-connections"), last) == told
    assert judge(*BEFORE, FIRST, *AFTER, *fault(19, 20.5), last) == told
    # the engine was back by then, and tells what happens from then on to whoever comes later
    back = [*fault(18, 18.9), *fault(21, 25, "freeze-engine")]
    assert judge(*BEFORE, FIRST, *AFTER, *back, last) == told


def test_of_a_job_that_the_engine_restarts_only_bounds_are_known() -> None:
    runs = [
        *(event(4, "create"), event(4.1, "start"), event(4.2, "die", code="1")),
        *(event(4.3, "start"), event(4.4, "die", code="1")),
        *(inspect(5, "exited", code=1, restarts=1), look(5, job="exited")),
    ]
    for counts in (
        {"start": 1, "die_1": 1},
        {"start": 2, "die_1": 2},
        {"start": 2, "die_1": 1, "die_unknown": 1},
    ):
        assert judge(*runs, scrape(40, "last", create=1, **counts), retries=2) == {}
    for counts in ({"start": 3, "die_1": 3}, {"start": 2, "die_1": 1}, {"start": 2, "die_0": 2}):
        assert judge(*runs, scrape(40, "last", create=1, **counts), retries=2) != {}
    assert compare(*runs, scrape(40, "last", **ONE), retries=2)[0].exact


def test_of_a_job_that_the_engine_restarts_an_inspect_may_have_missed_the_first_run() -> None:
    runs = [event(17, "create"), inspect(20, "restarting", code=1, restarts=1)]
    early = scrape(19, "later", create=1, start=1, die_1=1)
    assert judge(*runs, event(20.1, "die", code="1"), early, retries=2) == {}


def test_an_engine_killed_between_two_runs_may_show_an_exit_with_0_that_nobody_inspects() -> None:
    entries = [
        *(event(17, "create"), event(17.1, "start"), event(17.2, "die", code="1")),
        *(inspect(18, "restarting", code=1, restarts=1), *fault(18.1, 22)),
        *(look(23, job="exited"), entry(23.2, "stranger", id=ID, name="job"), look(24)),
    ]
    begun = scrape(11, "first")
    right = scrape(23.1, "later", create=1, start=1, die_0=1)
    assert judge(begun, *entries, right, retries=2) == {}
    wrong = scrape(23.1, "later", create=1, start=1, die_9=1)
    assert judge(begun, *entries, wrong, retries=2) == {"die 9": 1}


@pytest.mark.parametrize("counted", ["die_0", "die_255"])
def test_an_engine_killed_after_the_event_of_an_end_may_keep_another_code(counted: str) -> None:
    killed = inspect(20, "exited", name="two", code=255)
    entries = [
        event(19.1, "create", "two"),
        event(19.85, "start", "two"),
        look(19.9, two="running"),
        event(19.95, "die", "two", "0"),
        *fault(19.96, 22),
        Entry(23 * SECOND, "inspect", {**killed.facts, "finished": int(21.9 * SECOND)}),
        look(23, two="exited"),
    ]
    right = {"create": 1, "start": 1, counted: 1}
    assert judge(scrape(11, "first"), *entries, scrape(40, "last", **right)) == {}
    early = scrape(20, "later", create=1, start=1, die_0=1)
    assert judge(scrape(11, "first"), *entries, early) == {}
    assert judge(scrape(11, "first"), *entries, scrape(40, "last", **(right | {"die_9": 1})))


def test_a_failed_attempt_at_a_start_is_neither_a_start_nor_an_end() -> None:
    failed = [event(4, "create"), event(4.2, "die", code="127"), look(5, job="created")]
    assert judge(*failed, scrape(40, "last", create=1)) == {}
    assert judge(*failed, scrape(40, "last", create=1, start=1, die_127=1)) != {}


def test_a_running_job_is_running() -> None:
    runs = [event(4, "create"), event(4.1, "start"), inspect(5, "running"), look(5, job="running")]
    assert judge(*runs, scrape(40, "last", create=1, start=1)) == {}
    assert judge(*runs, scrape(40, "last", create=1)) == {"running": 0, "start": 0}


class TestBreach:
    def test_it_comes_once_for_a_count_that_stays_wrong_and_shows_what_it_is_about(self) -> None:
        wrong = [scrape(at, "later", **(BOTH | {"die_0": 2})) for at in (24, 25, 26)]
        whole = story(*BEFORE, FIRST, *AFTER, *wrong, scrape(40, "last", **BOTH))
        breaches = list(check_counts(whole))
        assert [breach.text.split(" in ")[0] for breach in breaches] == [
            "jobs_total die 0 was 2",
            "jobs_total die of any status was 3",
            "jobs_total running was -1",
        ]
        assert {breach.invariant for breach in breaches} == {"I9"}
        part = excerpt(whole.entries, breaches[0].subjects)
        assert [e["id"] for e in part if e.kind == "scrape"] == ["scrape-24"]
        assert {e["name"] for e in part if e.kind == "event"} == {"two"}

    def test_a_run_whose_end_was_not_compared_breaks(self) -> None:
        texts = [breach.text for breach in check_counts(story(*BEFORE, FIRST))]
        assert texts == ["jobs_total could not be compared at the end"]

    def test_the_report_says_how_much_was_compared(self) -> None:
        whole = story(*BEFORE, FIRST, scrape(20, "later", create=7), scrape(40, "last", **ONE))
        text = "3 comparisons (1 first, 1 last, 1 later) over 1 lifetimes, 3 of them exact, 1 wrong"
        assert describe_comparisons(whole) == text
        assert describe_comparisons(story()).startswith("0 comparisons")
