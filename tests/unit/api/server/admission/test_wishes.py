"""The key ``Job``: what it may hold, what is told of the rest, and that it never reaches Docker."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.admission.wishes import show_wishes, take_wishes
from api.v1.times import SECOND
from api.v1.wishes import NO_WISHES, NodeLoss, Wishes
from tests.support.manifests import accept, list_violations, make_manifest, make_policy, refuse

POLICY = make_policy()
KEYS = ("Queue", "Priority", "Share", "StartBy", "RunFor", "KeepFor", "OnNodeLoss")


def judge(**job: Any) -> Wishes:
    admitted = accept(make_manifest(Job=job), POLICY)
    assert "Job" not in admitted.body
    return admitted.wishes


def test_all_of_it_is_read() -> None:
    assert judge(
        Queue="etl",
        Priority=-5,
        Share="ann",
        StartBy="10m",
        RunFor=7200,
        KeepFor="1.5",
        OnNodeLoss="Rerun",
    ) == Wishes("etl", -5, "ann", 600 * SECOND, 7200 * SECOND, 3 * SECOND // 2, NodeLoss.RERUN)
    assert judge(OnNodeLoss="Fail") == NO_WISHES


@pytest.mark.parametrize(
    "manifest", [make_manifest(), make_manifest(Job=None), make_manifest(Job={})]
)
def test_nothing_of_it_need_be_there(manifest: dict[str, Any]) -> None:
    assert accept(manifest, POLICY).wishes == NO_WISHES
    assert judge(**dict.fromkeys(KEYS)) == NO_WISHES


WRONG: dict[str, list[Any]] = {
    "Queue": ["", "Etl", "a b", "-a", "a" * 64, 7, ["etl"], "a\n"],
    "Priority": [1.5, 1001, -1001, "5", True, 1e300],
    "Share": ["x" * 129, 7, "a\nb", {}, "\ud800"],
    "StartBy": ["", "soon", "1w", -1, True, [], 1e300, "-1s", 0, "0s"],
    "RunFor": [0, "0s"],
    "KeepFor": ["x", -1, {}],
    "OnNodeLoss": ["", "rerun", "Restart", True, 1, ["Rerun"], {}],
    "queue": [1],
    "Nothing": [1],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG.items() for value in values]
)
def test_what_is_wrong_has_its_place(key: str, value: object) -> None:
    problem = refuse(make_manifest(Job={key: value}), POLICY)
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    [violation] = list_violations(problem)
    assert violation["pointer"] == f"/Job/{key}"


def test_a_key_in_the_wrong_case_is_named() -> None:
    [violation] = list_violations(refuse(make_manifest(Job={"runfor": 1}), POLICY))
    assert violation["message"] == '"runfor" is not a key of Job; did you mean RunFor?'
    [violation] = list_violations(refuse(make_manifest(job={}), POLICY))
    assert "did you mean /Job?" in violation["message"]
    [violation] = list_violations(refuse(make_manifest(Queue="etl"), POLICY))
    assert "did you mean /Job/Queue?" in violation["message"]


def test_it_is_no_object() -> None:
    [violation] = list_violations(refuse(make_manifest(Job="etl"), POLICY))
    assert violation == {"pointer": "/Job", "message": "expected an object"}


def test_its_faults_are_told_with_the_others() -> None:
    manifest = {"Image": "busybox:job", "Job": {"Priority": "x", "RunFor": 0}}
    pointers = {each["pointer"] for each in list_violations(refuse(manifest, POLICY))}
    assert pointers == {"/Job/Priority", "/Job/RunFor", "/Name"}


@given(
    st.builds(
        Wishes,
        st.sampled_from(["default", "etl"]),
        st.integers(-1000, 1000),
        st.sampled_from(["", "ann"]),
        *[st.none() | st.integers(1, 10**6).map(lambda seconds: seconds * SECOND)] * 3,
        st.sampled_from(NodeLoss),
    )
)
def test_what_is_shown_is_read_again(wishes: Wishes) -> None:
    assert take_wishes(show_wishes(wishes)) == ({}, wishes, [])


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(PLAIN | st.lists(PLAIN, max_size=2))
def test_anything_is_read_or_refused(value: Any) -> None:
    job = dict.fromkeys(KEYS, value)
    _, wishes, faults = take_wishes({"Job": job})
    assert not faults or wishes == NO_WISHES
