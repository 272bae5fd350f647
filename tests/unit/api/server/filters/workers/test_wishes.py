"""Rules see the key ``Job`` as it will be: with its defaults, and durations in seconds."""

import pytest

from api.server.filters.workers.wishes import complete_wishes
from tests.unit.api.server.filters.workers.test_evaluation import evaluate

DEFAULTS = {"Queue": "etl", "RunFor": 7200}


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        ({}, {"Job": DEFAULTS}),
        ({"Job": None}, {"Job": DEFAULTS}),
        ({"Job": {"Queue": None, "RunFor": "90s"}}, {"Job": {"Queue": "etl", "RunFor": 90}}),
        ({"Job": {"Share": "ann"}}, {"Job": DEFAULTS | {"Share": "ann"}}),
        ({"Job": {"RunFor": "soon"}}, {"Job": DEFAULTS | {"RunFor": "soon"}}),
        ({"Job": 7}, {"Job": 7}),
        ([], []),
    ],
)
def test_defaults_fill_in_what_is_not_given(given: object, completed: object) -> None:
    assert complete_wishes(given, DEFAULTS) == completed


def test_without_any_a_manifest_stays_as_it_is() -> None:
    assert complete_wishes({"Name": "a"}, {}) == {"Name": "a"}
    assert complete_wishes({"Job": {"KeepFor": "1d"}}, {}) == {"Job": {"KeepFor": 86_400}}


def test_a_rule_bounds_what_a_filter_or_a_default_asks_for() -> None:
    rules = ((".Job.RunFor <= 3600", "at most an hour"),)
    assert evaluate({"Job": {"RunFor": "1h"}}, rules=rules) == {"Job": {"RunFor": 3600}}
    refusal = evaluate({"Job": {"RunFor": "61m"}}, rules=rules)
    assert refusal.message == "at most an hour"
    assert evaluate({}, rules=rules, job=DEFAULTS).message == "at most an hour"
    assert evaluate({"Job": {"RunFor": 60}}, rules=rules, job=DEFAULTS) == {
        "Job": {"Queue": "etl", "RunFor": 60}
    }
