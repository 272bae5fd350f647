"""When a change of the filter configs counts."""

from hypothesis import given
from hypothesis import strategies as st

from api.config.reload import ChangeDetector, Verdict


def follow(watch: ChangeDetector, looks: str) -> tuple[ChangeDetector, list[Verdict]]:
    verdicts = []
    for look in looks:
        watch, verdict = watch.see(look)
        verdicts.append(verdict)
    return watch, verdicts


def test_a_change_counts_once_two_looks_in_a_row_agree() -> None:
    _, verdicts = follow(ChangeDetector("a"), "abcb")
    assert verdicts == [Verdict.SERVED, Verdict.NOTHING, Verdict.NOTHING, Verdict.NOTHING]
    _, verdicts = follow(ChangeDetector("a"), "bb")
    assert verdicts == [Verdict.NOTHING, Verdict.LOAD]


def test_a_change_that_flickers_starts_again() -> None:
    _, verdicts = follow(ChangeDetector("a"), "bab")
    assert Verdict.LOAD not in verdicts


def test_what_was_refused_is_not_judged_again_until_it_changes() -> None:
    watch, verdicts = follow(ChangeDetector("a"), "bb")
    watch = watch.reject("b")
    watch, verdicts = follow(watch, "bbbb")
    assert set(verdicts) == {Verdict.NOTHING}
    watch, verdicts = follow(watch, "cc")
    assert verdicts == [Verdict.NOTHING, Verdict.LOAD]
    watch = watch.serve("c")
    # what was bad once may be good later: it is judged anew
    _, verdicts = follow(watch, "cbb")
    assert verdicts == [Verdict.SERVED, Verdict.NOTHING, Verdict.LOAD]


def test_a_change_that_could_not_be_taken_up_is_tried_again() -> None:
    _, verdicts = follow(ChangeDetector("a"), "bbbb")
    assert verdicts == [Verdict.NOTHING, Verdict.LOAD] * 2


@given(st.text("abc", max_size=30))
def test_nothing_is_loaded_that_was_not_seen_twice(looks: str) -> None:
    _, verdicts = follow(ChangeDetector("a"), looks)
    for index, verdict in enumerate(verdicts):
        if verdict is Verdict.LOAD:
            assert looks[index] == looks[index - 1] != "a"
        assert (verdict is Verdict.SERVED) == (looks[index] == "a")
