"""A manifest is rebuilt from known keys; whatever else it holds is told, all at once."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.server.admission.admit import Policy
from api.server.admission.findings import MOST
from api.server.admission.settings import Profile
from api.server.admission.table import MANIFEST
from tests.support.manifests import (
    NEW,
    OLD,
    accept,
    fill,
    list_violations,
    make_host,
    make_manifest,
    refuse,
)

ANY = Policy(Profile.PRIVILEGED)
BASELINE = Policy()


def make_full() -> dict[str, Any]:
    """Return a manifest with every key that the newest version knows."""
    full: dict[str, Any] = fill(MANIFEST, lambda known: known.until is None)
    del full["HostConfig"]["AutoRemove"]
    return full | {"Name": "job-1", "Platform": "linux/arm64/v8"}


def test_every_known_key_comes_through_as_it_was() -> None:
    full = make_full()
    admitted = accept(full, ANY)
    expected = {key: full[key] for key in full if key not in {"Name", "Platform"}}
    assert (admitted.name, admitted.platform) == ("job-1", "linux/arm64/v8")
    assert admitted.body == expected


def test_the_result_shares_nothing_with_the_manifest() -> None:
    manifest = make_manifest(Cmd=["a"], Labels={"a": "b"}, HostConfig={"Dns": ["::1"]})
    admitted = accept(manifest, BASELINE)
    before = json.dumps(admitted.body)
    manifest["Cmd"].append("b")
    manifest["Labels"]["c"] = "d"
    manifest["HostConfig"]["Privileged"] = True
    assert json.dumps(admitted.body) == before


@pytest.mark.parametrize("manifest", [None, 5, 1.5, "text", True, [], [{"Name": "job-1"}]])
def test_a_manifest_that_is_no_object_is_refused(manifest: object) -> None:
    problem = refuse(manifest, ANY)
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    assert list_violations(problem)[0]["pointer"] == ""


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("members", "pointer", "nearest"),
    [
        ({"hostconfig": {"privileged": True}}, "/hostconfig", "HostConfig"),
        ({"HOSTCONFIG": {}}, "/HOSTCONFIG", "HostConfig"),
        ({"Ho\u017ftConfig": {"Privileged": True}}, "/Ho\u017ftConfig", "HostConfig"),
        (
            {"HostConfig": {"Networ\u212aMode": "host"}},
            "/HostConfig/Networ\u212aMode",
            "NetworkMode",
        ),
        ({"\uff29mage": "a"}, "/\uff29mage", "Image"),
        ({"labels": {}}, "/labels", "Labels"),
        ({"platform": "linux"}, "/platform", "Platform"),
        ({"HostConfg": {}}, "/HostConfg", "HostConfig"),
        ({"Binds": []}, "/Binds", "/HostConfig/Binds"),
        ({"HostConfig": {"Image": "a"}}, "/HostConfig/Image", "/Image"),
        ({"HostConfig": {"Mounts": [{"type": "bind"}]}}, "/HostConfig/Mounts/0/type", "Type"),
        ({"HostConfig": {"LogConfig": {"config": {}}}}, "/HostConfig/LogConfig/config", "Config"),
        ({"Healthcheck": {"test": []}}, "/Healthcheck/test", "Test"),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"n": {"networkid": "a"}}}},
            "/NetworkingConfig/EndpointsConfig/n/networkid",
            "NetworkID",
        ),
        ({"a/b~c": 1}, "/a~1b~0c", None),
        ({"Zzz": None}, "/Zzz", None),
    ],
)
def test_an_unknown_key_is_refused_under_every_profile_with_the_nearest_known_one(
    profile: Profile, members: dict[str, Any], pointer: str, nearest: str | None
) -> None:
    problem = refuse(make_manifest(User="1000", **members), Policy(profile))
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    (violation,) = list_violations(problem)
    assert violation["pointer"] == pointer
    asked = "did you mean" in violation["message"]
    assert asked == (nearest is not None)
    assert nearest is None or f"did you mean {nearest}?" in violation["message"]
    assert violation["message"].isascii()


def test_of_two_spellings_of_one_key_none_gets_through() -> None:
    """Go's decoder would let the later one win: a stranger's label over ours."""
    problem = refuse(make_manifest(Labels={"a": "good"}, labels={"a": "evil"}), ANY)
    assert [found["pointer"] for found in list_violations(problem)] == ["/labels"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"Image": 5}, "/Image"),
        ({"Cmd": "echo"}, "/Cmd"),
        ({"Cmd": ["echo", 5]}, "/Cmd/1"),
        ({"Cmd": ["echo", None]}, "/Cmd/1"),
        ({"Entrypoint": {"a": "b"}}, "/Entrypoint"),
        ({"Entrypoint": "sh -c"}, "/Entrypoint"),
        ({"Env": {"A": "b"}}, "/Env"),
        ({"Env": ["A"]}, "/Env/0"),
        ({"Env": ["A=b", "=b"]}, "/Env/1"),
        ({"Env": [["A", "b"]]}, "/Env/0"),
        ({"Labels": ["a=b"]}, "/Labels"),
        ({"Labels": {"a": 1}}, "/Labels/a"),
        ({"Tty": "yes"}, "/Tty"),
        ({"Tty": 1}, "/Tty"),
        ({"StopTimeout": "5"}, "/StopTimeout"),
        ({"StopTimeout": 1.5}, "/StopTimeout"),
        ({"StopTimeout": True}, "/StopTimeout"),
        ({"StopTimeout": 1e300}, "/StopTimeout"),
        ({"ExposedPorts": ["80/tcp"]}, "/ExposedPorts"),
        ({"ExposedPorts": {"80/tcp": {"a": 1}}}, "/ExposedPorts/80~1tcp"),
        ({"Volumes": {"/data": "x"}}, "/Volumes/~1data"),
        ({"HostConfig": []}, "/HostConfig"),
        ({"HostConfig": {"BlkioWeight": -1}}, "/HostConfig/BlkioWeight"),
        ({"HostConfig": {"Binds": "/a:/b"}}, "/HostConfig/Binds"),
        ({"HostConfig": {"Mounts": [[]]}}, "/HostConfig/Mounts/0"),
        ({"HostConfig": {"ConsoleSize": [1, 2, 3]}}, "/HostConfig/ConsoleSize"),
        ({"HostConfig": {"RestartPolicy": "no"}}, "/HostConfig/RestartPolicy"),
        ({"HostConfig": {"PortBindings": {"80": {}}}}, "/HostConfig/PortBindings/80"),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"n": []}}},
            "/NetworkingConfig/EndpointsConfig/n",
        ),
        ({"Image": "a\0b"}, "/Image"),
        ({"Cmd": ["a", "b\0"]}, "/Cmd/1"),
        ({"Env": ["A=\0"]}, "/Env/0"),
        ({"Labels": {"a": "\0"}}, "/Labels/a"),
        ({"Labels": {"a\0": "b"}}, "/Labels/a\0"),
        ({"Cmd": ["\ud800"]}, "/Cmd/0"),
        ({"Platform": 5}, "/Platform"),
        ({"Platform": "linux/../x/y"}, "/Platform"),
        ({"Image": None}, "/Image"),
        ({"Image": ""}, "/Image"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_where_it_stands(
    members: dict[str, Any], pointer: str
) -> None:
    problem = refuse(make_manifest(**members), ANY)
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    assert [found["pointer"] for found in list_violations(problem)] == [pointer]


def test_null_means_absent_at_every_level_but_in_arrays() -> None:
    nulls: dict[str, Any] = {"Cmd": None, "Labels": {"a": None, "b": "c"}, "Platform": None}
    nulls["HostConfig"] = {"NetworkMode": None, "LogConfig": {"Type": None}, "AutoRemove": None}
    admitted = accept(make_manifest(**nulls), BASELINE)
    assert admitted.platform is None
    assert admitted.body == {
        "Image": "busybox:job",
        "Labels": {"b": "c"},
        "HostConfig": {"LogConfig": {}},
    }


def test_whole_numbers_may_come_as_floats_and_leave_as_integers() -> None:
    admitted = accept(make_host(Memory=1e9, PidsLimit=-1.0), ANY)
    assert json.dumps(admitted.body["HostConfig"]) == '{"Memory": 1000000000, "PidsLimit": -1}'


@pytest.mark.parametrize(
    ("manifest", "pointer", "version"),
    [
        (make_host(Annotations={"a": "b"}), "/HostConfig/Annotations", (1, 43)),
        (make_host(ConsoleSize=[1, 2]), "/HostConfig/ConsoleSize", (1, 42)),
        (make_manifest(Healthcheck={"StartInterval": 1}), "/Healthcheck/StartInterval", (1, 44)),
        (
            make_host(Mounts=[{"Type": "bind", "BindOptions": {"CreateMountpoint": True}}]),
            "/HostConfig/Mounts/0/BindOptions/CreateMountpoint",
            (1, 42),
        ),
        (
            make_host(Mounts=[{"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": True}}]),
            "/HostConfig/Mounts/0/BindOptions/ReadOnlyForceRecursive",
            (1, 44),
        ),
        (
            make_host(Mounts=[{"Type": "volume", "VolumeOptions": {"Subpath": "a"}}]),
            "/HostConfig/Mounts/0/VolumeOptions/Subpath",
            (1, 45),
        ),
        (
            make_host(Mounts=[{"Type": "tmpfs", "TmpfsOptions": {"Options": [["exec"]]}}]),
            "/HostConfig/Mounts/0/TmpfsOptions/Options",
            (1, 46),
        ),
        (
            make_host(Mounts=[{"Type": "image", "ImageOptions": {"Subpath": "a"}}]),
            "/HostConfig/Mounts/0/ImageOptions",
            (1, 48),
        ),
        (
            make_manifest(NetworkingConfig={"EndpointsConfig": {"n": {"MacAddress": "a"}}}),
            "/NetworkingConfig/EndpointsConfig/n/MacAddress",
            (1, 44),
        ),
        (
            make_manifest(NetworkingConfig={"EndpointsConfig": {"n": {"GwPriority": 1}}}),
            "/NetworkingConfig/EndpointsConfig/n/GwPriority",
            (1, 48),
        ),
    ],
)
def test_a_key_that_the_engine_is_too_old_for_is_refused_with_the_version_it_needs(
    manifest: dict[str, Any], pointer: str, version: tuple[int, int]
) -> None:
    major, minor = version
    problem = refuse(manifest, ANY, (major, minor - 1))
    assert problem.code == 400
    (violation,) = list_violations(problem)
    assert violation["pointer"] == pointer
    assert f"{major}.{minor};" in violation["message"]
    assert accept(manifest, ANY, version).body


@pytest.mark.parametrize(
    ("manifest", "last"),
    [
        (make_host(KernelMemory=1), OLD),
        (make_host(KernelMemoryTCP=1), NEW),
        (make_manifest(MacAddress="02:42:ac:11:00:02"), NEW),
    ],
)
def test_a_key_that_the_engine_no_longer_knows_is_refused(
    manifest: dict[str, Any], last: tuple[int, int]
) -> None:
    assert accept(manifest, ANY, last).body
    assert refuse(manifest, ANY, (last[0], last[1] + 1)).code == 400


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
    problem = refuse(make_manifest(Labels={"a": "b", key: "evil"}, User="1000"), Policy(profile))
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
    "ports": lambda: make_host(PortBindings={str(i): [{}] * 100 for i in range(1000)}),
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
        refuse(manifest, Policy(Profile.RESTRICTED))

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
