"""What no profile allows, and the bounds of one answer and of the work for it."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy
from api.server.admission.settings import Profile
from api.server.admission.violations import MOST
from tests.support.manifests import accept, list_violations, make_host, make_manifest, refuse

ANY = AdmissionPolicy(Profile.PRIVILEGED)
BASELINE = AdmissionPolicy()


@pytest.mark.parametrize("name", ["", "a", "-x", "a/b", "../images", "a\n", "ä1", "a" * 129])
def test_a_name_that_means_something_else_in_a_url_is_refused(name: str) -> None:
    problem = refuse(make_manifest(Name=name), ANY)
    assert (problem.code, problem.reason) == (400, "InvalidName")


@pytest.mark.parametrize("manifest", [{"Image": "a"}, {"Image": "a", "Name": None}])
def test_a_manifest_without_a_name_is_refused(manifest: dict[str, Any]) -> None:
    problem = refuse(manifest, ANY)
    assert (problem.code, problem.reason) == (400, "NameMissing")


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    "key",
    [
        "docker-job-dispatcher.namespace",
        "docker-job-dispatcher.name",
        "docker-job-dispatcher.anything",
        "docker-job-dispatcher.",
        "Docker-Job-Dispatcher.namespace",
        "doc\u212aer-job-dispatcher.namespace",
        "docker-job-di\u017fpatcher.namespace",
    ],
)
def test_labels_of_ours_are_refused_under_every_profile(profile: Profile, key: str) -> None:
    problem = refuse(
        make_manifest(Labels={"a": "b", key: "evil"}, User="1000"), AdmissionPolicy(profile)
    )
    assert (problem.code, problem.reason) == (400, "ReservedLabel")


def test_labels_of_others_are_kept() -> None:
    labels = {"docker-job-dispatcher": "a", "team": "b", "docker-job-dispatcher-x.y": "c"}
    assert accept(make_manifest(Labels=labels), BASELINE).body["Labels"] == labels


def test_entrypoint_and_cmd_are_limited_together() -> None:
    half = "x" * (16 << 10)
    assert accept(make_manifest(Entrypoint=["/bin/echo"], Cmd=[half]), BASELINE).body
    problem = refuse(make_manifest(Entrypoint=[half], Cmd=[half]), ANY)
    assert [found["pointer"] for found in list_violations(problem)] == ["/Cmd"]


def test_labels_are_limited_in_bytes() -> None:
    assert accept(make_manifest(Labels={"a": "x" * (15 << 10)}), BASELINE).body
    for labels in ({"a": "x" * (16 << 10)}, {"a": "€" * (6 << 10)}, {"x" * (17 << 10): ""}):
        problem = refuse(make_manifest(Labels=labels), ANY)
        assert [found["pointer"] for found in list_violations(problem)] == ["/Labels"]


def test_all_that_is_wrong_is_told_in_one_answer() -> None:
    problem = refuse({"name": "x", "Cmd": "a", "HostConfig": {"Binds": {}}, "Labels": 1}, BASELINE)
    pointers = [found["pointer"] for found in list_violations(problem)]
    assert pointers == ["/name", "/Cmd", "/HostConfig/Binds", "/Labels"]
    assert "and 3 more" in problem.message


def test_one_answer_has_a_limit() -> None:
    problem = refuse(make_manifest(**{f"Key{i}": i for i in range(1000)}), BASELINE)
    assert len(list_violations(problem)) == MOST
    problem = refuse(make_host(CapAdd=["SYS_ADMIN"] * 1000), BASELINE)
    assert len(list_violations(problem)) == MOST


def test_a_refusal_stays_short_and_repeats_no_values() -> None:
    secret = "hunter2"
    for manifest in (
        make_manifest(**{"x" * 100_000: 1}),
        make_manifest(Env=[secret]),
        make_manifest(Labels=secret),
        make_manifest(Healthcheck=secret),
    ):
        problem = refuse(manifest, ANY)
        assert secret not in problem.message + json.dumps(problem.details)
        assert len(json.dumps(problem.details)) < 1000


MEGABYTE = 1 << 20
HUGE: dict[str, Callable[[], dict[str, Any]]] = {
    "unknown keys": lambda: make_manifest(**{f"Key{i:06}": 0 for i in range(MEGABYTE // 16)}),
    "near misses": lambda: make_manifest(**{f"HostConfi{i:06}": 0 for i in range(MEGABYTE // 20)}),
    "one key": lambda: make_manifest(**{"x" * MEGABYTE: 0}),
    "arguments": lambda: make_manifest(Cmd=[""] * (MEGABYTE // 4)),
    "environment": lambda: make_manifest(Env=["A=b"] * 32_768),
    "labels": lambda: make_manifest(Labels={f"{i:08}": "" for i in range(MEGABYTE // 16)}),
    "one label": lambda: make_manifest(Labels={"x" * (MEGABYTE // 2): "x" * (MEGABYTE // 2)}),
    "ports": lambda: make_host(PortBindings={str(i): [{}] * 16 for i in range(1000)}),
    "binds": lambda: make_host(Binds=["/" + "a/" * 500] * 1000),
    "mounts": lambda: make_host(Mounts=[{"Type": "bind", "Source": "/" + "a/" * 400}] * 1000),
    "one path": lambda: make_host(Binds=["/" * MEGABYTE + "a:/b"]),
    "image": lambda: make_manifest(Image="a/" * (MEGABYTE // 2)),
}


@pytest.mark.parametrize("shape", HUGE)
def test_a_megabyte_of_anything_is_judged_in_the_time_of_reading_it_a_few_times(shape: str) -> None:
    """The judgement is linear and cheap, whatever the shape."""
    manifest = HUGE[shape]()
    text = json.dumps([{"Key": str(i)} for i in range(MEGABYTE // 20)])

    def judge() -> None:
        refuse(manifest, AdmissionPolicy(Profile.RESTRICTED))

    def read() -> None:
        json.loads(text)

    assert measure(judge) < 20 * measure(read)


def measure(act: Callable[[], None]) -> float:
    """Return the seconds that ``act`` takes, undisturbed: the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)
