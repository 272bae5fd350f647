"""Parameters are known, given once, and of their kind; a refusal names the one at fault."""

from typing import Any

import pytest
from multidict import MultiDict

from api.server.http.problem import Problem
from api.server.http.query import (
    read_parameters,
    read_seconds,
    read_switch,
    read_whole,
)


def refuse(function: Any, *arguments: Any, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        function(*arguments, **options)
    assert (caught.value.code, caught.value.reason) == (400, "InvalidQuery")
    return caught.value


def test_only_those_that_may_be_repeated_are() -> None:
    query = MultiDict([("a", "1"), ("a", "2"), ("b", "3")])
    assert read_parameters(query, ("a", "b"), many={"a"}) == {"a": ["1", "2"], "b": ["3"]}
    assert refuse(read_parameters, query, ("a", "b")).details == {"parameter": "a"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("dryrun", "dryrun"), ("", ""), ("a\nb", "a\\x0ab"), ("x" * 3000, "x" * 50 + "…")],
)
def test_one_that_is_not_known_is_named_as_far_as_it_may_be_shown(name: str, shown: str) -> None:
    problem = refuse(read_parameters, MultiDict([(name, "1")]), ("dryRun",))
    assert problem.details == {"parameter": shown}
    assert "known: dryRun" in problem.message


@pytest.mark.parametrize("text", ["301", "6m", "1d", "x", "-1", "999999999999"])
def test_seconds_have_a_bound(text: str) -> None:
    assert refuse(read_seconds, {"wait": [text]}, "wait", 300).details == {"parameter": "wait"}
    assert read_seconds({"wait": ["5m"]}, "wait", 300) == 300
    assert read_seconds({}, "wait", 300) is None


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.0", "", "٣", "1" * 40])
def test_a_number_is_whole_and_within_its_bounds(text: str) -> None:
    assert refuse(read_whole, {"limit": [text]}, "limit", 1, 1000, 100).details
    assert read_whole({"limit": ["1000"]}, "limit", 1, 1000, 100) == 1000
    assert read_whole({}, "limit", 1, 1000, 100) == 100


def test_a_switch_is_true_or_false() -> None:
    assert refuse(read_switch, {"x": ["yes"]}, "x", default=True).details == {"parameter": "x"}
    assert read_switch({"x": ["false"]}, "x", default=True) is False
    assert read_switch({}, "x", default=True) is True
