"""A mark names the job that it cancels; an image's labels and a job's make none."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from api.v1.labels import CANCELS, KEYS, NAME, NAMESPACE, PREFIX, is_job, is_valid_name
from api.v1.mark import (
    LONGEST_WHY,
    Mark,
    decode_mark,
    encode_mark,
    is_mark,
    merge_marks,
    name_mark,
    name_purge,
)
from api.v1.spec import JobSpec, encode

UID = "f" * 64
MARK = Mark("", UID, 7, grace=3, purge=True, why="typo")
OURS = encode_mark(MARK, namespace="blue")


@given(
    st.builds(
        Mark,
        st.just("m"),
        st.just(UID),
        st.integers(1, 10**18),
        st.none() | st.integers(0, 10**8),
        st.booleans(),
        st.text(max_size=LONGEST_WHY),
    )
)
def test_what_is_written_is_read_again(mark: Mark) -> None:
    assert decode_mark("m", encode_mark(mark, namespace="blue"), 5) == mark


def test_a_mark_by_hand_needs_the_job_alone() -> None:
    labels = {NAMESPACE: "blue", CANCELS: UID}
    assert is_mark(labels, namespace="blue")
    assert decode_mark("m", labels, 5) == Mark("m", UID, 5)
    forged = labels | {PREFIX + "grace": "-1", PREFIX + "purge": "yes", PREFIX + "why": "x" * 999}
    assert decode_mark("m", forged, 5) == Mark("m", UID, 5, why="x" * LONGEST_WHY)


def test_a_mark_is_no_job_and_a_job_no_mark() -> None:
    for image_labels in (None, {}, {"other": "label"}, OURS):
        assert not is_job(OURS, namespace="blue", image_labels=image_labels)
    job = encode(JobSpec(), namespace="blue", job_id="a-job", labels={CANCELS: UID})
    assert not is_mark(job, namespace="blue")
    # one that was recorded before there were marks, of an image that forges one
    old = job | {CANCELS: UID}
    assert not is_mark(old, namespace="blue")
    assert is_job(old, namespace="blue")


def test_a_mark_is_of_its_namespace_alone() -> None:
    assert is_mark(OURS, namespace="blue")
    assert not is_mark(OURS, namespace="red")


def test_a_container_that_inherited_a_marks_labels_is_none_and_no_job() -> None:
    assert not is_mark(OURS, namespace="blue", image_labels=OURS)
    assert not is_job(OURS, namespace="blue", image_labels=OURS)
    forged = {NAMESPACE: "blue", CANCELS: "e" * 64}
    assert not is_mark(forged, namespace="blue", image_labels=forged)
    # a mark's own image may be made of anything: what it says of another job hides no mark
    assert is_mark(OURS, namespace="blue", image_labels=forged)


def test_a_filter_by_the_key_of_an_id_shows_jobs_alone() -> None:
    assert not OURS.keys() & (set(KEYS) - {NAMESPACE, CANCELS})
    assert NAME in encode(JobSpec(), namespace="blue", job_id="a-job", labels={})


def test_a_marks_name_is_one_that_the_engine_takes() -> None:
    assert name_mark(UID) == f"djd-cancel-{UID}"
    assert is_valid_name(name_mark(UID))
    assert is_valid_name(name_purge(UID))


def test_the_first_cancel_counts_and_any_purge() -> None:
    first = Mark("b", UID, 1, grace=3, why="typo")
    later = Mark("a", UID, 2, grace=9, purge=True)
    assert merge_marks([]) is None
    assert merge_marks([first]) == first
    assert merge_marks([later, first]) == replace(first, purge=True)
