"""Labels make a container a job; an image's labels and a stranger's do not."""

import pytest

from api.v1.labels import (
    DOCUMENT,
    FILTER,
    KEYS,
    NAME,
    NAMESPACE,
    PATH,
    PREFIX,
    is_job,
    is_valid_name,
    is_valid_namespace,
    needs_image_check,
    read_job_id,
)
from api.v1.spec import JobSpec, encode

OURS = encode(JobSpec("/job", "run", "0f"), namespace="blue", job_id="a-job", labels={})


def test_the_namespace_label_is_the_originals() -> None:
    assert NAMESPACE == "docker-job-dispatcher.namespace"
    assert all(key.startswith(PREFIX) for key in KEYS)
    assert len(set(KEYS)) == 5


def test_a_stamped_container_is_a_job_of_its_namespace_alone() -> None:
    assert is_job("a-job", OURS, namespace="blue")
    assert not is_job("a-job", OURS, namespace="red")
    assert not is_job("a-job", OURS, namespace="blu")


def test_a_renamed_container_is_the_same_job() -> None:
    for image_labels in (None, {}, {"other": "label"}, {NAME: ""}, {NAME: "another-job"}):
        assert is_job("renamed", OURS, namespace="blue", image_labels=image_labels)
    assert not is_job("renamed", OURS, namespace="red")
    assert read_job_id("renamed", OURS) == "a-job"


def test_a_container_that_inherited_a_jobs_labels_is_no_job() -> None:
    assert needs_image_check("stranger", OURS)
    assert not is_job("stranger", OURS, namespace="blue", image_labels=OURS)


def test_a_container_called_as_its_label_says_is_a_job_whatever_its_image_says() -> None:
    assert not needs_image_check("a-job", OURS)
    assert is_job("a-job", OURS, namespace="blue", image_labels=OURS)


def test_a_container_of_the_original_is_a_job_unless_its_image_carries_the_label() -> None:
    labels = {NAMESPACE: "blue"}
    assert needs_image_check("any", labels)
    assert read_job_id("any", labels) == "any"
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
    assert not needs_image_check("any", {})


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
