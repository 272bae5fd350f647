"""Labels make a container a job; an image's labels and a stranger's do not."""

import pytest

from api.v1.labels import (
    DOCUMENT,
    FILTER,
    KEYS,
    NAME,
    NAMESPACE,
    NONCE,
    PATH,
    PREFIX,
    claims_name,
    is_job,
    is_valid_name,
    is_valid_namespace,
    read_job_id,
)
from api.v1.spec import JobSpec, encode

OURS = encode(JobSpec("/job", "run", "0f"), namespace="blue", job_id="a-job", labels={})


def test_the_namespace_label_is_the_originals() -> None:
    assert NAMESPACE == "docker-job-dispatcher.namespace"
    assert all(key.startswith(PREFIX) for key in KEYS)
    assert len(set(KEYS)) == len(KEYS)


def test_a_stamped_container_is_a_job_of_its_namespace_alone() -> None:
    assert is_job(OURS, namespace="blue")
    assert not is_job(OURS, namespace="red")
    assert not is_job(OURS, namespace="blu")


def test_a_renamed_container_is_the_same_job() -> None:
    for image_labels in (None, {}, {"other": "label"}, {NAME: ""}, {NAME: "another-job"}):
        assert is_job(OURS, namespace="blue", image_labels=image_labels)
    assert not is_job(OURS, namespace="red")
    assert read_job_id("renamed", OURS) == "a-job"


def test_a_container_that_inherited_a_jobs_labels_is_no_job() -> None:
    assert not is_job(OURS, namespace="blue", image_labels=OURS)


def test_a_container_that_is_called_as_a_label_of_its_image_says_is_no_job() -> None:
    for image_labels in (OURS, {NAMESPACE: "blue", NAME: "a-job"}):
        inherited = dict(image_labels)
        assert not is_job(inherited, namespace="blue", image_labels=image_labels)
        assert claims_name("a-job", inherited, "blue")
        elsewhere = inherited | {NAMESPACE: "red"}
        assert not is_job(elsewhere, namespace="red", image_labels=image_labels)
    assert not claims_name("renamed", OURS, "blue")
    assert not claims_name("a-job", OURS, "red")


@pytest.mark.parametrize("change", [{NONCE: "2"}, {DOCUMENT: "1e"}, {PATH: "/job/x"}, {FILTER: ""}])
def test_a_job_whose_image_was_committed_from_one_of_the_same_name_is_a_job(
    change: dict[str, str],
) -> None:
    committed = {**OURS, NONCE: "1"}
    assert is_job({**committed, **change}, namespace="blue", image_labels=committed)
    # a job of before the nonce
    labels = {key: text for key, text in (OURS | change).items() if key != NONCE}
    assert is_job(labels, namespace="blue", image_labels=OURS) is (NONCE not in change)


def test_a_container_of_the_original_is_a_job_unless_its_image_carries_the_label() -> None:
    labels = {NAMESPACE: "blue"}
    assert read_job_id("any", labels) == "any"
    assert is_job(labels, namespace="blue")
    assert is_job(labels, namespace="blue", image_labels={"other": "label"})
    assert not is_job(labels, namespace="blue", image_labels={NAMESPACE: "blue"})
    assert not is_job(labels, namespace="blue", image_labels={NAMESPACE: ""})


@pytest.mark.parametrize("key", [DOCUMENT, FILTER, PATH])
def test_half_of_our_labels_make_no_job(key: str) -> None:
    assert not is_job({NAMESPACE: "blue", key: "x"}, namespace="blue")
    assert is_job({NAMESPACE: "blue", key: ""}, namespace="blue")


def test_no_namespace_is_no_job() -> None:
    assert not is_job({}, namespace="blue")
    assert not claims_name("any", {}, "blue")


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
