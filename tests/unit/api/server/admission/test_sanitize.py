"""A manifest is rebuilt from known keys; whatever else it holds is told, all at once."""

import json
from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy
from api.server.admission.create_schema import MANIFEST
from api.server.admission.settings import Profile
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

ANY = AdmissionPolicy(Profile.PRIVILEGED)
BASELINE = AdmissionPolicy()


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
    problem = refuse(make_manifest(User="1000", **members), AdmissionPolicy(profile))
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    # what the profile would refuse besides comes behind it
    violation = list_violations(problem)[0]
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
        "Healthcheck": {"Test": ["NONE"]},
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
    # what the profile would refuse besides comes behind it
    violation = list_violations(problem)[0]
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


SUGGESTED: list[tuple[dict[str, Any], str | None]] = [
    (make_host(Mounts=[{"Name": "data"}]), "Source"),
    (make_host(Mounts=[{"name": "data"}]), "Source"),
    (make_host(Mounts=[{"Destination": "/data"}]), "Target"),
    (make_host(Mounts=[{"dst": "/data"}]), "Target"),
    (make_host(Mounts=[{"RW": False}]), "ReadOnly"),
    (make_host(Mounts=[{"readonly": True}]), "ReadOnly"),
    (make_host(Mounts=[{"Propagation": "private"}]), "BindOptions/Propagation"),
    (make_host(Mounts=[{"Image": "a"}]), None),
    (make_host(Devices=[{"Image": "a"}]), None),
    (make_host(Ulimits=[{"Memory": 1}]), None),
    (make_manifest(NetworkingConfig={"EndpointsConfig": {"n": {"Cmd": 1}}}), None),
    (make_manifest(command=["a"]), "/Cmd"),
    (make_manifest(args=["a"]), "/Cmd"),
    (make_manifest(Environment=["A=1"]), "/Env"),
    (make_manifest(mem_limit=1), "/HostConfig/Memory"),
    (make_manifest(restart="no"), "/HostConfig/RestartPolicy"),
    (make_host(container_name="a"), "/Name"),
]


@pytest.mark.parametrize(("manifest", "meant"), SUGGESTED)
def test_what_is_suggested_fits_where_the_key_stands(
    manifest: dict[str, Any], meant: str | None
) -> None:
    [found] = list_violations(refuse(manifest, AdmissionPolicy(Profile.PRIVILEGED)))
    if meant is None:
        assert "did you mean" not in found["message"]
    else:
        assert found["message"].endswith(f"did you mean {meant}?")
