"""What the benchmark prints and draws says what was measured."""

import json
from xml.etree import ElementTree as ET

from tests.bench.report import (
    Findings,
    at_least,
    at_most,
    format_json,
    format_table,
    relate,
    state,
    state_percentile,
    subtract,
)
from tests.bench.svg import Series, draw_bars, draw_lines, make_distribution


def test_a_ratio_is_judged_by_its_goal() -> None:
    met = relate("p", "n", [2, 4, 6], [4, 4, 9], unit="/s", goal=at_least(1.0))
    missed = relate("p", "n", [2, 3, 6], [4, 4, 9], unit="/s", goal=at_least(1.0))
    assert (met.value, met.is_met) == (1.0, True)
    assert (missed.value, missed.is_met) == (0.75, False)


def test_a_difference_is_ours_less_the_others() -> None:
    row = subtract("p", "n", [5, 7, 9], [1, 2, 3], unit="ms", goal=at_most(4))
    assert (row.value, row.is_met) == (5, False)


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    assert state_percentile("p", "n", [1, 2, 3], 0.5, unit="ms").is_met is None


def test_the_table_shows_a_missed_goal() -> None:
    rows = [state("p", "within", 1, "ms", at_most(2)), state("p", "beyond", 3, "ms", at_most(2))]
    lines = format_table(rows).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["yes", "NO"]
    assert len({len(line) for line in lines}) == 1


def test_the_json_holds_figures_and_samples() -> None:
    found = Findings([state("p", "n", 3, "ms", at_most(2))], {"raw": [1, 2]})
    read = json.loads(format_json({"cores": 2}, [found]))
    assert read["machine"] == {"cores": 2}
    assert read["samples"] == {"raw": [1, 2]}
    assert read["figures"][0]["value"] == 3
    assert read["figures"][0]["is_met"] is False


def test_pictures_are_well_formed_and_name_what_they_show() -> None:
    series = [Series("a < b", [(0, 0), (2, 4)], steps=True), make_distribution("all", [3, 1, 2])]
    for picture in (
        draw_lines("Slots & time", "s", "slots", series),
        draw_bars("Rates", "jobs/s", ["1", "4"], [Series("ours", [(0, 3.4), (1, 6.7)])]),
    ):
        texts = [element.text for element in ET.fromstring(picture).iter()]
        assert "Slots & time" in texts or "Rates" in texts
        assert "a < b" in texts or "ours" in texts


def test_a_distribution_ends_at_all_of_the_samples() -> None:
    assert make_distribution("n", [3, 1]).points == [(0.0, 0.0), (1, 50.0), (3, 100.0)]
