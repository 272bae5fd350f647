"""What a job asks for survives its labels, and labels by hand break nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.labels import (
    KEEP_FOR,
    ON_NODE_LOSS,
    PRIORITY,
    QUEUE,
    RUN_FOR,
    SHARE,
    START_BY,
    WISHES,
)
from api.v1.times import SECOND
from api.v1.wishes import (
    NO_WISHES,
    PRIORITIES,
    NodeLoss,
    Wishes,
    decode_wishes,
    encode_wishes,
)

DURATIONS = st.none() | st.integers(0, 10**17)


@given(
    st.builds(
        Wishes,
        st.sampled_from(["default", "etl", "a.b-c"]),
        st.sampled_from(PRIORITIES),
        st.text(),
        DURATIONS,
        DURATIONS,
        DURATIONS,
        st.sampled_from(NodeLoss),
    )
)
def test_what_is_written_is_read_again(wishes: Wishes) -> None:
    assert decode_wishes(encode_wishes(wishes)) == wishes


def test_labels_say_it_in_seconds_and_are_empty_where_nothing_is_asked_for() -> None:
    wishes = Wishes("etl", -5, "ann", 600 * SECOND, 7200 * SECOND + 1, 0, NodeLoss.RERUN)
    assert encode_wishes(wishes) == {
        QUEUE: "etl",
        PRIORITY: "-5",
        SHARE: "ann",
        START_BY: "600",
        RUN_FOR: "7200.000000001",
        KEEP_FOR: "0",
        ON_NODE_LOSS: "Rerun",
    }
    assert encode_wishes(NO_WISHES) == dict.fromkeys(WISHES, "")


@pytest.mark.parametrize(
    ("key", "text"),
    [(PRIORITY, text) for text in ("1.5", "high", "1001", "-9999", "10000", "٣", "+1", " 1")]
    + [(key, text) for key in (START_BY, RUN_FOR, KEEP_FOR) for text in ("x", "-1", "9" * 11)]
    + [(ON_NODE_LOSS, text) for text in ("Fail", "rerun", "x")],
)
def test_a_label_that_cannot_be_read_counts_as_not_given(key: str, text: str) -> None:
    assert decode_wishes({key: text}) is NO_WISHES


def test_jobs_that_ask_for_the_same_share_one_object() -> None:
    assert decode_wishes({QUEUE: "etl"}) is decode_wishes({QUEUE: "etl", SHARE: ""})
    assert decode_wishes({}) is NO_WISHES
