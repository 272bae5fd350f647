"""Labels make a container a job; an image's labels and a stranger's do not."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1.labels import (
    DOCUMENT,
    FILTER,
    KEYS,
    NAME,
    NAMESPACE,
    PATH,
    PREFIX,
    digest_document,
    is_job,
    is_valid_name,
    is_valid_namespace,
    needs_image_check,
    stamp,
)

OURS = stamp({}, namespace="blue", name="a-job", document="0f", filter_name="run", path="/job")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_the_namespace_label_is_the_originals() -> None:
    assert NAMESPACE == "docker-job-dispatcher.namespace"
    assert all(key.startswith(PREFIX) for key in KEYS)
    assert len(set(KEYS)) == 5


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), st.text()))
def test_a_stamp_sets_every_key_of_ours_and_leaves_the_others(labels: dict[str, str]) -> None:
    stamped = stamp(
        labels, namespace="blue", name="a-job", document="0f", filter_name="run", path="/job/a"
    )
    assert {key: stamped[key] for key in KEYS} == {
        NAMESPACE: "blue",
        NAME: "a-job",
        DOCUMENT: "0f",
        FILTER: "run",
        PATH: "/job/a",
    }
    assert stamped.get("other") == labels.get("other")


def test_a_stamped_container_is_a_job_of_its_namespace_alone() -> None:
    assert is_job("a-job", OURS, namespace="blue")
    assert not is_job("a-job", OURS, namespace="red")
    assert not is_job("a-job", OURS, namespace="blu")


def test_a_container_that_inherited_a_jobs_labels_is_no_job() -> None:
    assert not is_job("stranger", OURS, namespace="blue")


def test_a_container_of_the_original_is_a_job_unless_its_image_carries_the_label() -> None:
    labels = {NAMESPACE: "blue"}
    assert needs_image_check(labels)
    assert is_job("any", labels, namespace="blue")
    assert is_job("any", labels, namespace="blue", image_labels={"other": "label"})
    assert not is_job("any", labels, namespace="blue", image_labels={NAMESPACE: "blue"})
    assert not is_job("any", labels, namespace="blue", image_labels={NAMESPACE: ""})


@pytest.mark.parametrize("key", [DOCUMENT, FILTER, PATH])
def test_half_of_our_labels_make_no_job(key: str) -> None:
    assert not is_job("any", {NAMESPACE: "blue", key: "x"}, namespace="blue")
    assert is_job("any", {NAMESPACE: "blue", key: ""}, namespace="blue")


def test_no_namespace_is_no_job() -> None:
    assert not is_job("any", {}, namespace="blue")
    assert not needs_image_check({})
    assert not needs_image_check(OURS)


@given(JSON, JSON)
def test_equal_documents_have_equal_digests_and_others_other_ones(one: object, two: object) -> None:
    def text(value: object) -> str:
        return json.dumps(value, sort_keys=True)

    assert (digest_document("/job", one) == digest_document("/job", two)) == (
        text(one) == text(two)
    )


def test_a_digest_depends_on_the_path_and_not_on_the_order_of_keys() -> None:
    document = {"b": [1, {"d": 1, "c": "ü"}], "a": None}
    same = {"a": None, "b": [1, {"c": "ü", "d": 1}]}
    assert digest_document("/job", document) == digest_document("/job", same)
    assert digest_document("/job", document) != digest_document("/job/x", document)
    text = '["/job",{"a":null,"b":[1,{"c":"ü","d":1}]}]'
    assert digest_document("/job", document) == hashlib.sha256(text.encode()).hexdigest()


def test_a_lone_surrogate_has_a_digest() -> None:
    assert len(digest_document("/job", "\ud800")) == 64


@pytest.mark.parametrize("name", ["ab", "A0", "a.b", "a_b-c", "0-", "x" * 128])
def test_a_name_that_every_engine_takes_is_valid(name: str) -> None:
    assert is_valid_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "-x",
        ".x",
        "_x",
        "a/b",
        "../x",
        "a b",
        "a\n",
        "ab\n",
        "aé",
        "a%2f",
        "x" * 129,
        "a:b",
    ],
)
def test_a_name_that_some_engine_refuses_or_misreads_is_not(name: str) -> None:
    assert not is_valid_name(name)


@pytest.mark.parametrize("namespace", ["a", "default", "team blue", "ü", "a=b", "x" * 128])
def test_a_namespace_is_printable(namespace: str) -> None:
    assert is_valid_namespace(namespace)


@pytest.mark.parametrize(
    "namespace", ["", " a", "a ", "a\n", "a\tb", "a\x00", "\x7f", "x" * 129, " "]
)
def test_a_namespace_without_a_clear_edge_is_not_valid(namespace: str) -> None:
    assert not is_valid_namespace(namespace)
