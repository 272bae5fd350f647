"""What a job was recorded as survives its labels; documents are told apart by their digest."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from api.v1.labels import CANCELS, DOCUMENT, FILTER, KEYS, NAME, NAMESPACE, NONCE, OWNER, PATH
from api.v1.spec import JobSpec, decode, digest_document, encode
from api.v1.wishes import Wishes, encode_wishes

WISHES = Wishes("etl", 5, "ann", 1, 2, 3)
SPEC = JobSpec(path="/job/a", filter="run", document="0f", owner="7e", wishes=WISHES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), st.text()))
def test_every_key_of_ours_is_written_and_the_others_are_left(labels: dict[str, str]) -> None:
    written = encode(SPEC, namespace="blue", job_id="a-job", labels=labels, nonce="7")
    assert {key: written[key] for key in KEYS} == {
        NAMESPACE: "blue",
        NAME: "a-job",
        DOCUMENT: "0f",
        FILTER: "run",
        PATH: "/job/a",
        OWNER: "7e",
        NONCE: "7",
        **encode_wishes(SPEC.wishes),
        CANCELS: "",
    }
    assert written.get("other") == labels.get("other")


def test_what_is_not_set_is_written_empty() -> None:
    written = encode(JobSpec(), namespace="blue", job_id="a-job", labels={})
    assert {written[key] for key in KEYS if key not in {NAMESPACE, NAME}} == {""}


@given(st.builds(JobSpec, path=st.text(), filter=st.text(), document=st.text(), owner=st.text()))
def test_what_is_written_is_read_again(spec: JobSpec) -> None:
    assert decode(encode(spec, namespace="blue", job_id="a-job", labels={})) == spec


def test_labels_are_the_manifests_own() -> None:
    labels = encode(
        SPEC, namespace="blue", job_id="a", labels={"z": "1", "maintainer": "me", "a": "2"}
    )
    spec = decode(labels, image="busybox", inherited={"maintainer": "me", "a": "1"})
    assert (spec.image, spec.labels) == ("busybox", (("a", "2"), ("z", "1")))
    assert decode(dict(labels), inherited={"maintainer": "me", "a": "1"}).labels is spec.labels


def test_a_job_of_the_original_has_an_empty_spec() -> None:
    assert decode({NAMESPACE: "blue"}) == JobSpec()


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
