"""Tables at a width, ages, and texts that do nothing to a terminal."""

from typing import Any

import pytest

from api.client.columns import JOBS, QUEUES, WIDE_JOBS, align, fit, make_table
from api.client.details import describe, say_cancelled, say_chosen
from api.client.live import choose_rows
from api.client.log_stream import LogLine
from api.client.output import make_json
from api.client.verbs.logging import prefix, stamp
from api.client.words import say_moment, say_seconds, say_state

NOW = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC
HOSTILE = "\x1b[2J\u202e\x9b31m<script>\u2028\r\n"


def make_job(**members: Any) -> dict[str, Any]:
    job = {
        "id": "nightly-7",
        "uid": "4b7d2c1a9f0e8d6b5a4c3d2e1f0a9b8c",
        "phase": "Running",
        "reason": None,
        "message": "",
        "exitCode": None,
        "created": NOW - 3700,
        "startedAt": "2026-01-01T11:58:00.5Z",
        "finishedAt": None,
        "queue": "etl",
        "image": "busybox",
        "labels": {"team": "a"},
    }
    return job | members


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(None, "-"), (-5, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (303, "5m3s")],
        *[(1560, "26m"), (3600, "1h"), (11_040, "3h4m"), (80_000, "22h"), (90_000, "1d1h")],
        (8_640_000, "100d"),
    ],
)
def test_durations_are_said_as_kubectl_does(seconds: float | None, text: str) -> None:
    assert say_seconds(seconds) == text


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (200, "ID PHASE REASON EXIT QUEUE AGE RAN"),
        (50, "ID PHASE REASON EXIT AGE RAN"),
        (45, "ID PHASE REASON EXIT AGE"),
        (40, "ID PHASE REASON AGE"),
        (20, "ID PHASE"),
        (1, "ID PHASE"),
    ],
)
def test_a_narrow_table_drops_what_matters_least(width: int, titles: str) -> None:
    table = fit(make_table(JOBS, [make_job(exitCode=3)], lambda: NOW), width)
    assert [column.title for column in table.columns] == titles.split()
    assert len(table.rows[0]) == len(titles.split())


def test_wide_characters_count_as_they_are_shown() -> None:
    table = make_table(WIDE_JOBS, [make_job(image="字" * 10)], lambda: NOW)
    whole = sum(
        max(len(c.title), len(t)) for c, t in zip(table.columns, table.rows[0], strict=True)
    )
    width = whole + 3 * (len(table.columns) - 1)
    assert len(fit(table, width).columns) == len(table.columns)
    assert len(fit(table, width, lambda text: 2 * len(text)).columns) < len(table.columns)


def test_a_pipe_gets_all_columns_and_no_blank_at_an_end() -> None:
    lines = align(make_table(QUEUES, [{"name": "etl", "used": 2, "paused": False}], lambda: NOW))
    assert lines == [
        "QUEUE   USED      CAP   PENDING   MAX PENDING   OLDEST   WEIGHT   PAUSED",
        "etl        2   no cap         -        no cap        -        -   no",
    ]


def test_no_text_of_a_server_moves_the_cursor() -> None:
    labels = {HOSTILE: HOSTILE}
    cancel = {"at": HOSTILE, "why": HOSTILE, "grace": 3, "purge": True}
    waiting = {"reason": HOSTILE, "message": HOSTILE, "position": 3, "until": HOSTILE}
    names = ("id", "phase", "reason", "message", "queue", "image", "uid", "status", "share", "path")
    job = make_job(**dict.fromkeys(names, HOSTILE), labels=labels, cancel=cancel)
    waits = job | {"phase": "Pending", "waiting": waiting}
    texts = [
        *align(make_table(WIDE_JOBS, [job], lambda: NOW)),
        *(text for each in (job, waits) for pair in describe(each, NOW) for text in pair),
        say_state(job),
        say_state(waits),
        say_cancelled(job),
        make_json(job),
        prefix("a", 3, LogLine(HOSTILE, is_error=False, data=HOSTILE.encode()), has_time=True),
    ]
    for text in texts:
        assert text.isprintable(), ascii(text)


def test_a_lone_surrogate_does_not_end_the_command() -> None:
    say_state(make_job(message="\ud800")).encode()


def test_a_line_of_several_jobs_shows_what_a_carriage_return_left() -> None:
    line = LogLine("T", is_error=False, data=b" 10%\r 20%\tdone\r\n")
    assert prefix("job-1", 7, line, has_time=False) == "job-1   |  20%    done"
    assert stamp(line) == b"T  10%\r 20%\tdone\r\n"
    assert stamp(LogLine("T", is_error=False, data=b"rest\n", begins=False)) == b"rest\n"


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (make_job(), "Running"),
        (make_job(phase="Failed", reason="Error", message="exited 3"), "Failed: exited 3"),
        (
            make_job(phase="Failed", reason="OOMKilled", message="out of memory"),
            "Failed (OOMKilled): out of memory",
        ),
        (
            make_job(phase="Pending", waiting={"message": "no free slot", "position": 3}),
            "Pending, at place 3 of queue etl: no free slot",
        ),
        (make_job(phase="Pending", waiting=None), "Pending, in queue etl"),
    ],
)
def test_a_state_is_one_sentence(job: dict[str, Any], text: str) -> None:
    assert say_state(job) == text


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"finished": False, "phase": "Running"}, "is being stopped"),
        (
            {"finished": False, "phase": "Running", "cancel": {"grace": 3, "purge": True}},
            (
                "is being stopped and will be removed: SIGTERM, or its StopSignal, is sent;"
                " it is killed 3 s later"
            ),
        ),
        (
            {"finished": False, "phase": "Running", "cancel": {"grace": None, "purge": False}},
            (
                "is being stopped: SIGTERM, or its StopSignal, is sent;"
                " it is killed 10 s later, or after its StopTimeout"
            ),
        ),
        (
            {"finished": True, "phase": "Cancelled", "startedAt": None, "cancel": {"purge": True}},
            "cancelled, never started and will be removed",
        ),
        ({"finished": True, "phase": "Cancelled", "startedAt": "x"}, "cancelled, stopped"),
        ({"finished": True, "phase": "Failed"}, "was over already, Failed"),
    ],
)
def test_a_cancel_says_what_happened(job: dict[str, Any], text: str) -> None:
    assert say_cancelled(job) == text


@pytest.mark.parametrize(
    ("matched", "cancelled", "text"),
    [
        (0, 0, "nothing to cancel: no job matches"),
        (1, 0, "nothing to cancel: 1 matches, and is over or cancelled already"),
        (3, 0, "nothing to cancel: 3 match, all are over or cancelled already"),
        (1, 1, "cancelled 1 job of 1 that match; if it runs, it is being stopped"),
        (3, 2, "cancelled 2 jobs of 3 that match; those that run are being stopped"),
    ],
)
def test_a_cancel_of_many_counts_them(matched: int, cancelled: int, text: str) -> None:
    assert say_chosen(matched, cancelled) == text


def test_moments_are_told_by_the_servers_clock() -> None:
    assert say_moment(NOW - 65, NOW) == "2026-01-01 11:58:55 UTC (65s ago)"
    assert say_moment("2026-01-01T12:10:00Z", NOW) == "2026-01-01 12:10:00 UTC (in 10m)"
    assert say_moment(None, NOW) == "-"


def test_a_live_table_has_the_newest_that_fit() -> None:
    jobs = [make_job(uid=str(number), created=number) for number in range(9)]
    rows, left = choose_rows(jobs, 8)
    assert ([row["created"] for row in rows], left) == ([8, 7, 6, 5, 4], 4)
