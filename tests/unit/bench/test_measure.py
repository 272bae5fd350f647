"""The benchmark's arithmetic is right: a figure of record rests on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.measure import (
    Interval,
    count_slots,
    find_gaps,
    find_peak,
    find_percentile,
    find_share,
    fit_growth,
)

_intervals = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: Interval(*pair)),
    min_size=1,
)


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert find_percentile([4, 1, 3, 2], 0.5) == 2.5
    assert find_percentile([4, 1, 3, 2], 0.0) == 1
    assert find_percentile([4, 1, 3, 2], 1.0) == 4
    assert find_percentile(range(101), 0.99) == 99
    assert find_percentile([7], 0.99) == 7


def test_slots_are_counted_from_intervals() -> None:
    intervals = [Interval(0, 10), Interval(5, 20), Interval(10, 15)]
    assert count_slots(intervals) == [(0, 1), (5, 2), (10, 2), (15, 1), (20, 0)]


def test_a_slot_freed_and_taken_at_one_nanosecond_is_one_slot() -> None:
    assert find_peak([Interval(0, 10), Interval(10, 20)]) == 1


def test_the_peak_sees_an_overlap_of_one_nanosecond() -> None:
    assert find_peak([Interval(0, 11), Interval(10, 20)]) == 2


def test_nothing_ran_means_no_slot_in_use() -> None:
    assert find_peak([]) == 0


def test_an_end_before_its_start_is_a_run_of_no_length() -> None:
    assert Interval(10, 9) == Interval(10, 10)


@given(_intervals)
def test_the_peak_is_what_counting_at_each_moment_gives(intervals: list[Interval]) -> None:
    moments = range(51)
    running = [sum(i.start <= moment < i.end for i in intervals) for moment in moments]
    assert find_peak(intervals) == max(running)


@given(_intervals)
def test_all_slots_are_free_at_the_end(intervals: list[Interval]) -> None:
    assert count_slots(intervals)[-1][1] == 0


def test_the_share_in_use_is_of_all_slots_from_first_start_to_last_end() -> None:
    assert find_share([Interval(0, 10), Interval(5, 10)], 2) == 0.75
    assert find_share([Interval(3, 3)], 2) == 0


def test_a_freed_slot_is_taken_by_the_start_after_the_first_ones() -> None:
    ends, starts = [10, 30, 21], [0, 1, 12, 26, 40]
    assert find_gaps(ends, starts, 2) == [2, 5, 10]
    assert find_gaps([10], [0], 1) == []


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_growth_is_fitted_on_logarithms(exponent: float) -> None:
    sizes = [10, 30, 100]
    seconds = [0.5 * size**exponent for size in sizes]
    assert fit_growth(sizes, seconds) == pytest.approx(exponent)
