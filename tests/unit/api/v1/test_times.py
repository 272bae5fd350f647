"""The engine's times survive reading and writing to the nanosecond."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.times import (
    SECOND,
    count_seconds,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)

LARGEST = 253_402_300_799_999_999_999  # the last nanosecond of the year 9999


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.1234567899Z", 1_700_000_000_123_456_789),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000_000),
        ("2023-11-14T16:43:20.25-05:30", 1_700_000_000_250_000_000),
        ("1969-12-31T23:59:59.9Z", -100_000_000),
    ],
)
def test_an_engine_time_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0001-01-01T00:00:00Z",
        "never",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-13-14T22:13:20Z",
        "2023-11-14T22:13:61Z",
        "2023-11-14T22:13:20Z\n",
        " 2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20+99:00",
    ],
)
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert parse_time(text) is None


@given(st.integers(0, LARGEST))
def test_a_time_survives_writing_and_reading(nanoseconds: int) -> None:
    text = format_time(nanoseconds)
    assert text is not None
    assert len(text) == len("1970-01-01T00:00:00.000000000Z")
    assert parse_time(text) == nanoseconds


@given(st.datetimes(min_value=datetime(1000, 1, 1)))  # noqa: DTZ001 - Hypothesis wants it naive
def test_a_time_reads_as_python_reads_it(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    nanoseconds = parse_time(aware.isoformat().replace("+00:00", "Z"))
    assert nanoseconds is not None
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    assert nanoseconds == (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


@given(st.text())
def test_no_text_breaks_the_reading_of_times(text: str) -> None:
    assert parse_time(text) is None or text


def test_no_time_is_written_as_none() -> None:
    assert format_time(None) is None


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("30", 30 * SECOND),
        ("1.5", 1_500_000_000),
        ("0.000000001s", 1),
        ("1.5m", 90 * SECOND),
        ("90s", 90 * SECOND),
        ("15m", 900 * SECOND),
        ("2h", 7_200 * SECOND),
        ("36500d", 36_500 * 86_400 * SECOND),
        *((text, None) for text in ("", "s", "-1", "1w", "1 s", "1e3", "٣", "inf", "1.", "1\n")),
        ("1.0000000001", None),
        ("36501d", None),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(text: str, nanoseconds: int | None) -> None:
    assert parse_duration(text) == nanoseconds


@given(st.integers(0, 36_500 * 86_400 * SECOND))
def test_a_duration_survives_writing_and_reading(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


def test_seconds_are_whole_where_they_can_be() -> None:
    assert [count_seconds(n) for n in (None, 0, 90 * SECOND, SECOND // 2)] == [None, 0, 90, 0.5]
    assert isinstance(count_seconds(90 * SECOND), int)
