"""A client alone is never slowed; beside others, one with many requests begins them in steps."""

import pytest

from api.server.access.pace import FEW, RECENT, STEP, Pace


def test_who_is_alone_is_never_slowed() -> None:
    pace = Pace()
    assert [pace.enter("a", 0.0) for _ in range(300)] == [0.0] * 300


def test_beside_others_many_begin_one_after_the_other_and_few_at_once() -> None:
    pace = Pace()
    pace.enter("b", 0.0)
    waits = [pace.enter("a", 0.1) for _ in range(200)]
    assert waits[:FEW] == [0.0] * FEW
    assert waits[FEW:] == pytest.approx([STEP * (n + 1) for n in range(200 - FEW)])
    # the other notices nothing
    assert [pace.enter("b", 0.2) for _ in range(FEW - 1)] == [0.0] * (FEW - 1)


def test_who_asked_long_ago_is_no_other() -> None:
    pace = Pace()
    pace.enter("b", 0.0)
    assert [pace.enter("a", RECENT) for _ in range(FEW + 1)] == [0.0] * (FEW + 1)


def test_what_is_over_counts_no_more() -> None:
    pace = Pace()
    pace.enter("b", 0.0)
    for number in range(1000):
        assert pace.enter("a", number / 1e6) == 0.0
        pace.leave("a")
    pace.leave("b")
    assert not pace._busy
    assert not pace._next
    pace.enter("c", 9 * RECENT)
    assert list(pace._seen) == ["c"]
