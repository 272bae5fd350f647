"""What a request for a log asks for; whatever is not known is refused by name."""

import pytest
from multidict import MultiDict

from api.engine.interface import LogStream
from api.server.http.problem import Problem
from api.server.logs.query import LogForm, LogQuery, choose_form, read_log_query
from api.v1.times import SECOND

NOW = 1_700_000_000_500_000_000


def read(**given: str) -> LogQuery:
    return read_log_query(MultiDict(given), NOW)


def test_nothing_is_asked_for_by_default() -> None:
    assert read() == LogQuery()


def test_everything_can_be_asked_for() -> None:
    query = read(
        follow="true", tail="0", since="15m", until="1h", stream="stderr", timestamps="true"
    )
    assert query == LogQuery(
        follow=True,
        tail=0,
        since=NOW - 900 * SECOND,
        until=NOW - 3600 * SECOND,
        stream=LogStream.STDERR,
        timestamps=True,
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - 90 * SECOND),
        ("2h", NOW - 7200 * SECOND),
        ("1d", NOW - 86_400 * SECOND),
        ("99999999d", 0),
        ("1700000000", 1_700_000_000 * SECOND),
        ("1700000000.000000001", 1_700_000_000 * SECOND + 1),
        ("1700000000.5", 1_700_000_000 * SECOND + SECOND // 2),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * SECOND),
        ("2023-11-14T22:13:20.000000001Z", 1_700_000_000 * SECOND + 1),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000 * SECOND),
        ("2023-11-15T00:13:20 02:00", 1_700_000_000 * SECOND),
        ("1960-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139 * SECOND),
    ],
)
def test_times_are_ago_or_dates_or_seconds(text: str, moment: int) -> None:
    assert read(since=text).since == moment
    assert read(until=text).until == moment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("follow", "1"),
        ("follow", ""),
        ("follow", "True"),
        ("timestamps", "yes"),
        ("tail", "-1"),
        ("tail", "all"),
        ("tail", "1.5"),
        ("tail", "\u0661"),
        ("tail", "9" * 10),
        ("stream", "both"),
        ("stream", ""),
        ("since", "yesterday"),
        ("since", "15 m"),
        ("since", "-5m"),
        ("since", "1w"),
        ("since", "2023-11-14"),
        ("since", "2023-11-14T22:13:20"),
        ("since", "2023-13-14T22:13:20Z"),
        ("since", "1e9"),
        ("since", "9" * 11),
        ("until", "1700000000."),
        ("until", ""),
        ("until", "1m\n"),
        ("Follow", "true"),
        ("lines", "5"),
    ],
)
def test_a_bad_value_and_an_unknown_parameter_are_named(name: str, value: str) -> None:
    with pytest.raises(Problem, match=f"InvalidQuery: .*{name}") as caught:
        read(**{name: value})
    assert caught.value.code == 400


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(Problem, match="tail is given more than once"):
        read_log_query(MultiDict([("tail", "1"), ("tail", "2")]), NOW)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], LogForm.TEXT),
        (["*/*"], LogForm.TEXT),
        (["text/html, application/xhtml+xml, */*;q=0.8"], LogForm.TEXT),
        (["application/x-ndjson"], LogForm.LINES),
        (["application/json", "Application/X-NDJSON; q=0.9"], LogForm.LINES),
        (["text/event-stream"], LogForm.EVENTS),
        (["text/plain, text/event-stream"], LogForm.TEXT),
    ],
)
def test_the_form_is_by_accept(accept: list[str], form: LogForm) -> None:
    assert choose_form(accept) is form
