"""Which jobs a filter takes, and which texts are no filters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.access.tokens import Act, Grant
from api.server.http.problem import Problem
from api.server.jobs.query import (
    JobFilter,
    parse_continue,
    read_filter,
    read_list_query,
    spell_continue,
)
from api.v1.job import Job, Status
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from tests.support.jobs import make_job

NOW = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND


def choose(grant: Grant | None = None, **given: Any) -> JobFilter:
    found = {name: [value] if isinstance(value, str) else value for name, value in given.items()}
    return read_filter(found, grant or Grant(), NOW)


def job(path: str = "/job", status: Status = Status.CREATED, **fields: Any) -> Job:
    labels = (("stage", ""), ("team", "a"))
    return make_job("f", status, NOW, spec=JobSpec(path, labels=labels), **fields)


@pytest.mark.parametrize(
    ("given", "matches"),
    [
        ({}, True),
        ({"phase": "Pending"}, True),
        ({"phase": "Failed"}, False),
        ({"reason": "Queued"}, True),
        ({"reason": "OOMKilled"}, False),
        ({"queue": "default"}, True),
        ({"queue": "etl"}, False),
        ({"label": ["team"]}, True),
        ({"label": ["team=a"]}, True),
        ({"label": ["team=b"]}, False),
        ({"label": ["team=a", "stage="]}, True),
        ({"label": ["team=a", "other"]}, False),
        ({"label": ["stage=x"]}, False),
        ({"since": "15m"}, True),
        ({"until": "15m"}, False),
        ({"since": "2023-11-14T22:13:20Z"}, True),
        ({"since": "2023-11-14T23:13:20 01:00"}, True),
        ({"since": "2023-11-14T22:13:21Z"}, False),
        ({"until": "2023-11-14T22:13:20Z"}, True),
        ({"until": "2023-11-14T22:13:19.999999999Z"}, False),
    ],
)
def test_what_a_filter_takes(given: dict[str, Any], matches: bool) -> None:
    assert choose(**given).matches(job()) is matches


def test_a_job_of_a_list_is_as_old_as_its_second() -> None:
    assert choose(since="2023-11-14T22:13:20.900Z").matches(job())


@pytest.mark.parametrize(
    ("path", "posted", "matches"),
    [
        ("/job", "/job/a", True),
        ("/job", "", True),
        ("/job/a", "/job/a", True),
        ("/job/a/", "/job/a/b", True),
        ("/job/a", "/job/ab", False),
        ("/job/a", "", False),
        ("/job/é", "/job/é/x", True),
    ],
)
def test_a_path_is_a_prefix_by_segments(path: str, posted: str, matches: bool) -> None:
    assert choose(path=path).matches(job(posted)) is matches


@pytest.mark.parametrize(
    ("grant", "posted", "matches"),
    [
        (Grant(paths=("/job/a",)), "/job/a/b", True),
        (Grant(paths=("/job/a",)), "/job/b", False),
        (Grant(paths=("/job/a",)), "", False),
        (Grant(frozenset({Act.POST})), "/job/a", False),
    ],
)
def test_what_may_not_be_read_matches_nothing(grant: Grant, posted: str, matches: bool) -> None:
    assert choose(grant).matches(job(posted)) is matches
    assert choose(grant).takes_place(posted, "default") is matches


def test_a_silent_job_is_in_the_phase_that_is_shown_of_it() -> None:
    assert choose(phase="Unknown").matches(job(), is_silent=True)
    assert choose(reason="EngineSilent").matches(job(), is_silent=True)
    assert not choose(phase="Pending").matches(job(), is_silent=True)
    assert not choose().matches(None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("phase", text) for text in ("pending", "", "Pending,Failed", "x")),
        ("reason", "Nope"),
        *(("queue", text) for text in ("", "x" * 1001)),
        *(("path", text) for text in ("", "job", "/", "/other", "/jobs", "/job//a", "/job/../x")),
        *(("path", text) for text in ("/job/a\n", "/job/" + "x" * 1000)),
        *(("label", text) for text in ("", "=", "=x", "x" * 1001)),
        *(
            ("since", text)
            for text in ("", "yesterday", "-5m", "2023-11-14", "0001-01-01T00:00:00Z")
        ),
        *(("until", text) for text in ("2023-13-14T22:13:20Z", "٣m", "2023-11-14T22:13:20", "5w")),
        *(("order", text) for text in ("", "up")),
        *(("limit", text) for text in ("0", "1001", "x")),
        *(("continue", text) for text in ("", "x", "n17-ab-00000000", "n17-ab")),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_parameters_name(name: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        read_list_query({name: [text]}, Grant(), NOW)
    assert (caught.value.code, caught.value.reason) == (400, "InvalidQuery")
    assert caught.value.details == {"parameter": name}


@given(st.integers(0, 2**63), st.from_regex("[0-9a-f]{64}", fullmatch=True), st.booleans())
def test_a_token_says_where_to_go_on_in_its_own_order(order: int, uid: str, newest: bool) -> None:
    token = spell_continue((order, uid), newest_first=newest)
    assert parse_continue(token, newest_first=newest) == (order, uid)
    assert parse_continue(token, newest_first=not newest) is None
    for place in range(len(token)):
        changed = token[:place] + ("0" if token[place] != "0" else "1") + token[place + 1 :]
        assert parse_continue(changed, newest_first=newest) is None


@given(st.text())
def test_a_text_is_no_token(text: str) -> None:
    assert parse_continue(text, newest_first=True) is None


def test_a_label_that_is_asked_for_again_and_again_is_looked_for_once() -> None:
    asked = choose(label=["team", "stage=", "team"] * 300)
    assert asked.labels == (("team", None), ("stage", ""))
