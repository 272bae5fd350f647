"""Each rule for waits is broken by a history made by hand, and held by the one beside it."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.history import Entry
from tests.chaos.story import SECOND, tell
from tests.chaos.wait_checker import Judge
from tests.chaos.waiters import describe
from tests.chaos.waits import Kind, Task, plan_jobs, read_seconds

Part = Entry | Iterable[Entry]

ID = "a" * 64
OTHER = "b" * 64
PENDING = {"uid": ID, "phase": "Pending", "reason": "Queued", "finished": False}
RUNNING = {"uid": ID, "phase": "Running", "finished": False}
DONE = {"uid": ID, "phase": "Failed", "reason": "Error", "finished": True, "code": 3}
UNSEEN = {"uid": ID, "phase": "Unknown", "finished": True}
COLLECTED = {"status": 404, "error": "JobCollected"}
MISSING = {"status": 404, "error": "JobNotFound"}


def entry(at: float, kind: str, **facts: Any) -> Entry:
    return Entry(round(at * SECOND), kind, facts)


def event(at: float, action: str, code: str | None = None, uid: str = ID) -> Entry:
    return entry(at, "event", id=uid, name="job", action=action, code=code)


def order(retries: int = 0, code: int | None = 3) -> Entry:
    starts = "never" if code is None else "must"
    return entry(0, "order", name="job", task="fail", code=code, retries=retries, starts=starts)


def fault(begin: float, end: float, what: str = "kill-engine", number: int = 1) -> list[Entry]:
    return [
        entry(begin, "fault", number=number, what=what, moment="begin"),
        entry(end, "fault", number=number, what=what, moment="end"),
    ]


def spawn(at: float) -> list[Entry]:
    return [
        entry(at, "spawn", process="api", id=f"api-{at}"),
        entry(at + 0.5, "subscription", process="api"),
    ]


def starved(since: float, at: float, seconds: float, process: str = "api") -> Entry:
    facts = {"process": process, "since": round(since * SECOND)}
    return entry(at, "starved", seconds=seconds, **facts)


def look(at: float) -> Entry:
    return entry(at, "look", sent=round(at * SECOND), rows=[[ID, "job", "running"]])


def wait(
    sent: float,
    at: float,
    *told: dict[str, Any],
    asked: str = "by-id",
    ref: str = "job",
    seconds: float = 10,
    **facts: Any,
) -> Entry:
    empty = dict.fromkeys(("uid", "phase", "reason", "finished", "code", "error"))
    answer = {"status": 200, **empty}
    for part in (*told, facts):
        answer |= part
    return entry(
        at,
        "wait",
        number=1,
        asked=asked,
        name="job",
        ref=ref,
        seconds=seconds,
        sent=round(sent * SECOND),
        **answer,
    )


RULES = entry(0, "rules", limit=8, keep=0.0, call_timeout=4.0, converge=20.0, engine=20)
BEGUN = [RULES, *spawn(0), order(), event(10, "create"), event(20, "start")]
ENDED = [*BEGUN, event(22, "die", "3")]
GONE = [*ENDED, event(22.5, "destroy")]
CUT = {"status": 0}


def broken(*entries: Part) -> list[str]:
    flat = [e for part in entries for e in ([part] if isinstance(part, Entry) else part)]
    return [breach.invariant for breach in Judge(tell(flat)).check()]


GOOD: dict[str, list[Part]] = {
    "told at once": [GONE, wait(15, 22.1, DONE)],
    "told by the POST": [GONE, wait(10, 22.1, DONE, asked="post", seconds=30, status=201)],
    "by the uid": [GONE, wait(15, 22.1, DONE, ref=ID)],
    "begins after the end": [ENDED, wait(25, 25.1, DONE)],
    "its time runs out": [ENDED, wait(15, 17.0, PENDING, seconds=2)],
    "its time runs out as the job ends": [ENDED, wait(20.5, 22.9, RUNNING, seconds=2.4)],
    "it asks without waiting": [BEGUN, wait(21, 21.01, RUNNING, seconds=0)],
    "collected before": [GONE, wait(30, 30.1, COLLECTED, DONE)],
    "collected before this API began": [GONE, spawn(28), wait(30, 30.1, MISSING)],
    "collected, and told of by an API that is dead": [
        *(GONE, wait(15, 22.1, DONE), spawn(28), wait(30, 30.1, MISSING)),
    ],
    "nobody has this id": [GONE, wait(30, 30.1, MISSING, asked="unknown", ref="nobody")],
    "asked before it was there": [GONE, wait(9.9, 10.05, MISSING, asked="early")],
    "cut off by a killed API": [
        *(GONE, fault(21, 21.1, "kill-api"), spawn(23)),
        *(wait(15, 21.05, CUT), wait(22, 22, CUT), wait(24, 24.1, DONE)),
    ],
    "an end that the engine shows once it is back": [
        *(BEGUN, fault(21, 25)),
        entry(26, "inspect", id=ID, name="job", status="exited", exit_code=3, finished=22 * SECOND),
        wait(15, 25.9, DONE, seconds=30),
    ],
    "an end shortly before the engine went away": [
        *(GONE, fault(22.4, 25)),
        wait(15, 25.9, DONE, seconds=30),
    ],
    "refused while the engine is away": [BEGUN, fault(20.5, 25), wait(21, 21.1, status=502)],
    "an end that nobody saw": [BEGUN, fault(21, 25), event(25.5, "destroy"), wait(15, 26, UNSEEN)],
    "stopped with the engine, which nobody saw": [
        *(BEGUN, fault(21, 25), event(25.5, "destroy")),
        wait(15, 26, DONE, code=137, seconds=30),
    ],
    "run again by its policy": [
        *(RULES, *spawn(0), order(retries=1), event(10, "create"), event(20, "start")),
        *(event(21, "die", "7"), event(21.5, "start"), event(23, "die", "3")),
        wait(15, 23.1, DONE),
    ],
    "stopped between two runs of its policy": [
        *(RULES, *spawn(0), order(retries=1), event(10, "create"), event(20, "start")),
        *(event(21, "die", "7"), fault(21.1, 25, "restart-engine"), event(26, "destroy")),
        wait(15, 25.4, DONE, phase="Succeeded", code=0, seconds=30),
    ],
    "it cannot start": [
        *(RULES, *spawn(0), order(code=None), event(10, "create"), event(11, "die", "127")),
        wait(15, 25.1, PENDING),
    ],
    "beyond its time, by an API that has to find the job first": [
        *(BEGUN, spawn(20.9), wait(21, 27, RUNNING, seconds=0.2)),
    ],
    "refused for want of a place": [
        BEGUN,
        wait(21, 21.1, status=429, error="TooManyWatchers"),
    ],
    "refused by a host that is busy": [BEGUN, wait(21, 21.1, status=503, error="FilterBusy")],
    "late, for the engine was slow": [
        *(GONE, look(21.9), look(23.5)),
        wait(15, 24.4, DONE),
    ],
    "an end before the API listened to the engine": [
        *(GONE, spawn(21), wait(21.2, 22.7, UNSEEN), wait(30, 30.1, COLLECTED, UNSEEN)),
    ],
    "not there, said by who found it as the engine came back": [
        *(GONE, fault(19, 21), spawn(20), wait(21.2, 21.4, RUNNING, seconds=0.2)),
        wait(30, 30.1, MISSING),
    ],
    "late, for no processor ran the API": [
        *(GONE, starved(22.2, 23.2, 0.8)),
        *(wait(15, 23.7, DONE), wait(15, 17, PENDING, seconds=2)),
    ],
    "beyond its time, for no processor ran the API": [
        *(BEGUN, wait(20.1, 20.3, RUNNING, seconds=0.2), starved(21, 22, 0.9)),
        wait(21, 22.8, RUNNING, seconds=0.2),
    ],
    "late, for the clients stood still": [
        *(GONE, entry(23.2, "lag", seconds=0.8)),
        wait(15, 23.3, DONE),
    ],
}

BAD: dict[str, tuple[str, list[Part]]] = {
    "another exit code": ("W1", [GONE, wait(15, 22.1, DONE, code=0)]),
    "another phase": ("W1", [GONE, wait(15, 22.1, DONE, phase="Succeeded")]),
    "before its end": ("W1", [GONE, wait(15, 20.5, DONE)]),
    "over, and it never ran": (
        "W1",
        [RULES, *spawn(0), order(code=None), event(10, "create"), wait(15, 16, DONE)],
    ),
    "said to have been removed before it ran": (
        "W1",
        [GONE, wait(15, 22.6, DONE, reason="Dead", code=None)],
    ),
    "unknown, and it could be seen": ("W1", [GONE, wait(15, 22.6, UNSEEN)]),
    "unknown, and it is still there": ("W1", [ENDED, fault(21, 21.9), wait(15, 22.6, UNSEEN)]),
    "over with a run that is followed by another": (
        "W1",
        [
            *(RULES, *spawn(0), order(retries=1), event(10, "create"), event(20, "start")),
            *(event(21, "die", "3"), event(21.5, "start"), event(24, "die", "4")),
            wait(15, 21.3, DONE),
        ],
    ),
    "not over before its time": ("W1", [ENDED, wait(15, 16, PENDING)]),
    "stopped between two runs, and it has no policy": (
        "W1",
        [
            *(ENDED, fault(22.1, 25, "restart-engine"), event(26, "destroy")),
            wait(15, 25.4, DONE, phase="Succeeded", code=0, seconds=30),
        ],
    ),
    "over with a start that failed": (
        "W1",
        [
            *(RULES, *spawn(0), order(), event(10, "create"), event(14, "die", "127")),
            *(event(20, "start"), event(22, "die", "3"), wait(12, 15, DONE, code=127)),
        ],
    ),
    "over with a run that is followed by one without an end": (
        "W1",
        [
            *(RULES, *spawn(0), order(retries=1), event(10, "create"), event(20, "start")),
            *(event(21, "die", "3"), event(21.5, "start"), wait(15, 21.3, DONE)),
        ],
    ),
    "over, and not finished": (
        "W1",
        [ENDED, wait(15, 22.5, DONE, finished=False, seconds=7.5)],
    ),
    "collected, and another": ("W4", [GONE, wait(30, 30.1, COLLECTED, DONE, uid=OTHER)]),
    "of another job": ("W1", [GONE, wait(15, 22.1, DONE, uid=OTHER)]),
    "collected, and not over": ("W1", [GONE, wait(30, 30.1, COLLECTED, RUNNING)]),
    "collected, with another outcome": ("W1", [GONE, wait(30, 30.1, COLLECTED, DONE, code=4)]),
    "late": ("W2", [GONE, wait(15, 23.1, DONE)]),
    "late, and another process had no processor": (
        "W2",
        [GONE, starved(22.2, 23.2, 0.8, "controller-1"), wait(15, 23.7, DONE)],
    ),
    "late, and no processor ran the API long before": (
        "W2",
        [GONE, starved(19, 20, 0.8), wait(15, 23.7, DONE)],
    ),
    "late, and the clients stood still for less": (
        "W2",
        [GONE, entry(23, "lag", seconds=0.8), wait(15, 23.9, DONE)],
    ),
    "late, though it began after the end": ("W2", [ENDED, wait(25, 26.1, DONE)]),
    "not told at all": ("W2", [ENDED, wait(15, 25, RUNNING)]),
    "late after the engine was back": (
        "W2",
        [GONE, fault(21, 25), wait(15, 26.1, DONE, seconds=30)],
    ),
    "long before the engine went away": (
        "W2",
        [GONE, fault(24, 25), wait(15, 25.5, DONE, seconds=30)],
    ),
    "late of an unknown id": ("W2", [GONE, wait(30, 31.1, MISSING, ref="nobody")]),
    "beyond its time": ("W3", [BEGUN, wait(21, 33.1, RUNNING)]),
    "beyond its time, by an API that knows the job": (
        "W3",
        [
            *(BEGUN, wait(20.1, 20.3, RUNNING, seconds=0.2)),
            wait(21, 22.3, RUNNING, seconds=0.2),
        ],
    ),
    "given up": ("W3", [BEGUN, wait(21, 51, status=-1)]),
    "not there while it is": ("W4", [BEGUN, wait(15, 15.1, MISSING)]),
    "not there, said by who had told of it": (
        "W4",
        [GONE, wait(15, 22.1, DONE), wait(30, 30.1, MISSING)],
    ),
    "not there, said by who had accepted it": (
        "W4",
        [
            GONE,
            entry(10.1, "reply", name="job", sent=10 * SECOND, status=201, uid=ID),
            wait(30, 30.1, MISSING),
        ],
    ),
    "collected, and it is there": ("W4", [ENDED, wait(30, 30.1, COLLECTED, DONE)]),
    "lost, and it ran": ("W4", [GONE, wait(30, 30.1, COLLECTED, DONE, error="JobLost")]),
    "cut off by nobody": ("W5", [BEGUN, wait(15, 21, CUT)]),
    "cut off after the API was back": (
        "W5",
        [
            *(BEGUN, fault(12, 12.1, "kill-api"), spawn(13), wait(14, 14.5, PENDING, seconds=0.5)),
            wait(15, 21, CUT),
        ],
    ),
    "refused by an engine that answers": ("W5", [BEGUN, wait(15, 15.1, status=502)]),
    "a fault of the API": ("W5", [BEGUN, fault(14, 16), wait(15, 15.1, status=500)]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_right_answer_breaks_nothing(name: str) -> None:
    assert broken(*GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_answer_breaks_its_rule_and_no_other(name: str) -> None:
    rule, entries = BAD[name]
    assert set(broken(*entries)) == {rule}


def test_a_wait_that_was_asked_and_not_answered_is_named() -> None:
    asked = entry(15, "asked", number=1, asked="by-id", name="job")
    assert broken(BEGUN, asked) == ["W3"]
    assert broken(BEGUN, asked, fault(15.5, 15.6, "kill-api"), wait(15, 15.6, CUT)) == ["W3"]
    assert broken(GONE, asked, wait(15, 22.1, DONE)) == []


def test_promptness_counts_from_when_the_end_could_be_known() -> None:
    def measure(*entries: Entry) -> list[float]:
        return [found.seconds for found in Judge(tell(entries)).measure()]

    assert measure(*GONE, wait(15, 22.25, DONE)) == [0.25]
    assert measure(*GONE, wait(22.1, 22.35, DONE)) == [0.25]
    assert measure(*GONE, *fault(21, 25), wait(15, 25.25, DONE, seconds=30)) == [0.25]
    assert measure(*GONE, wait(30, 30.25, COLLECTED, DONE)) == [0.25]
    assert measure(*ENDED, wait(15, 17, PENDING, seconds=2)) == []


def test_an_answer_is_kept_with_the_job_that_it_shows() -> None:
    job = {"uid": ID, "phase": "Failed", "reason": "Error", "finished": True, "exitCode": 3}
    told = {"uid": ID, "phase": "Failed", "reason": "Error", "finished": True, "code": 3}
    assert describe(job) == {**told, "error": None}
    error = {"reason": "JobCollected", "job": job}
    assert describe({"error": error}) == {**told, "error": "JobCollected"}
    assert describe({"id": "job", "uid": ID})["uid"] is None


def test_a_run_has_exactly_the_waits_that_were_asked_for_and_every_kind_of_job() -> None:
    jobs = list(plan_jobs(7, 10_000, Path("/jobs")))
    assert [wait.number for job in jobs for wait in job.waits] == list(range(10_000))
    assert 1_000 <= len(jobs) <= 1_500
    assert {wait.kind for job in jobs for wait in job.waits} == set(Kind)
    assert {job.task for job in islice(jobs, len(Task))} == set(Task)
    assert len({job.code for job in jobs}) >= 17
    assert (
        jobs
        == list(plan_jobs(7, 10_000, Path("/jobs")))
        != list(plan_jobs(8, 10_000, Path("/jobs")))
    )


def test_durations_are_read_as_the_api_takes_them() -> None:
    assert [read_seconds(text) for text in ("0.5", "20s", "1m")] == [0.5, 20, 60]
