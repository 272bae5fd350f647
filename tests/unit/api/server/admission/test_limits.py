"""What no profile allows, and the bounds of one answer and of the work for it."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy
from api.server.admission.settings import Profile
from api.server.admission.violations import MOST
from api.v1.labels import PREFIX
from tests.support.manifests import accept, list_violations, make_host, make_manifest, refuse

ANY = AdmissionPolicy(Profile.PRIVILEGED)
BASELINE = AdmissionPolicy()


@pytest.mark.parametrize(
    "name", ["", "a", "-x", "a/b", "../images", "a\n", "ä1", "a" * 129, "0f" * 32, "0F" * 32]
)
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
        "exitCode",
        "containerExitCode",
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
    assert pointers == ["/name", "/Cmd", "/HostConfig/Binds", "/Labels", "/Image"]
    assert "and 4 more" in problem.message


TOGETHER: list[tuple[dict[str, Any], list[str]]] = [
    # form, limits and profile
    ({"Name": "-x", "Image": "a", "Typo": 1}, ["/Typo", "/Name"]),
    ({"Name": "-x", "Image": "a", "Cmd": "b"}, ["/Cmd", "/Name"]),
    ({"Name": 7, "Cmd": "b"}, ["/Name", "/Cmd", "/Image"]),
    ({"Name": "-x", "Image": "a", "Cmd": ["x" * 33_000], "Labels": {PREFIX + "a": ""}},
     ["/Name", "/Cmd", f"/Labels/{PREFIX}a"]),
    ({"Name": "ok", "Image": "a", "Typo": 1, "HostConfig": {"Privileged": True}},
     ["/Typo", "/HostConfig/Privileged"]),
    ({"Name": "-x", "Image": "a", "HostConfig": {"CapAdd": ["SYS_ADMIN"], "AutoRemove": True}},
     ["/Name", "/HostConfig/AutoRemove", "/HostConfig/CapAdd/0"]),
    # what is wrong for the fault's sake alone is not told
    ({"Name": "ok", "Image": "a", "HostConfig": {"Mounts": [{"type": "volume", "Target": "/a"}]}},
     ["/HostConfig/Mounts/0/type"]),
    ({"name": "ok", "image": "a"}, ["/name", "/image"]),
    ({"Name": "ok", "Image": "a", "HostConfig": {"Binds": [7, "/etc:/etc"]}},
     ["/HostConfig/Binds/0"]),
    ({"Name": "ok", "Image": "a", "Env": ["\ud800", "A=1"], "Labels": {"a": 1, "b": "2"}},
     ["/Env/0", "/Labels/a"]),
]  # fmt: skip


@pytest.mark.parametrize("manifest", [None, [], ["Name"], "Name", 7])
def test_a_manifest_that_is_no_object_is_that_alone(manifest: object) -> None:
    [found] = list_violations(refuse(manifest, BASELINE))
    assert found["pointer"] == ""


@pytest.mark.parametrize(("manifest", "pointers"), TOGETHER)
def test_nobody_has_to_correct_twice(manifest: dict[str, Any], pointers: list[str]) -> None:
    problem = refuse(manifest, BASELINE)
    assert problem.code == 400
    assert [found["pointer"] for found in list_violations(problem)] == pointers


def test_a_violation_of_the_profile_beside_others_names_its_rule_and_the_way_out() -> None:
    manifest = make_manifest(Typo=1, HostConfig={"Privileged": True})
    typo, privileged = list_violations(refuse(manifest, BASELINE))
    assert "rule" not in typo
    assert (privileged["rule"], privileged["allow"]) == ("privileged", "the profile privileged")
    # a profile that allows it says nothing
    assert len(list_violations(refuse(manifest, ANY))) == 1


FATAL: list[tuple[dict[str, Any], str, str]] = [
    ({"Env": ["A=1", "B=" + "x" * 131_070]}, "/Env/1", "131072 bytes"),
    ({"Env": ["A=" + "é" * 65_535]}, "/Env/0", "131072 bytes"),
    ({"Hostname": "h" * 65}, "/Hostname", "65 bytes"),
    ({"Hostname": "é" * 33}, "/Hostname", "66 bytes"),
    ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]}},
     "/HostConfig/Ulimits/0/Soft", "more than Hard"),
    ({"HostConfig": {"Ulimits": [{"Name": "core"}, {"Name": "nofile", "Soft": -1, "Hard": 9}]}},
     "/HostConfig/Ulimits/1/Soft", "more than Hard"),
    ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 9}]}},
     "/HostConfig/Ulimits/0/Soft", "more than Hard"),
    ({"WorkingDir": "/a/" + "é" * 128}, "/WorkingDir", "255 bytes"),
    ({"HostConfig": {"Tmpfs": {"/" + "x" * 256: ""}}},
     "/HostConfig/Tmpfs/~1xxx", "255 bytes"),
    ({"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/" + "x" * 256}]}},
     "/HostConfig/Mounts/0/Target", "255 bytes"),
    ({"Volumes": {"/" + "x" * 256: {}}}, "/Volumes/~1xxx", "255 bytes"),
    ({"User": "2147483648"}, "/User", "above 2147483647"),
    ({"User": "1:" + "9" * 400}, "/User", "above 2147483647"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "pointer", "message"), FATAL, ids=[f[1] for f in FATAL])
def test_what_no_kernel_can_start_is_refused(
    members: dict[str, Any], pointer: str, message: str
) -> None:
    for policy in (ANY, BASELINE):
        [found] = list_violations(refuse(make_manifest(**members), policy))
        assert found["pointer"].startswith(pointer)
        assert message in found["message"]


def test_what_a_kernel_can_start_is_taken() -> None:
    for members in (
        {"Env": ["A=" + "x" * 131_069]},
        {"Hostname": "h" * 64},
        {"WorkingDir": "/a/" + "é" * 127 + "x/b"},
        {"User": "2147483647"},
        {"User": "name:000000000000001"},
        {"User": ":"},
        {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": -1}]}},
        {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 5}]}},
        {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": -1, "Hard": -1}]}},
    ):
        assert accept(make_manifest(**members), BASELINE).body


def test_words_say_what_to_do() -> None:
    [found] = list_violations(refuse(make_manifest(Cmd=["x" * 40_000]), BASELINE))
    for word in ("args of the built-in filter", "40001 bytes", "32768", "file on a volume"):
        assert word in found["message"]
    for restart in ({"Name": "on-failure"}, {"Name": "on-failure", "MaximumRetryCount": 0}):
        [found] = list_violations(refuse(make_host(RestartPolicy=restart), BASELINE))
        assert "without end to the engine" in found["message"]
        assert "let Name be no" in found["message"]
    [found] = list_violations(refuse({"Name": "a/b", "Image": "a"}, BASELINE))
    assert '"a/b" is no name' in found["message"]


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
    "copied variables": lambda: make_manifest(
        Env=[f"{i:06}=" for i in range(32_768)],
        HostConfig={"LogConfig": {"Config": {"env": "a," * 2000}}},
    ),
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
