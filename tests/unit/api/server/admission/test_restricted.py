"""The profile ``restricted``: never root, no privilege to gain, limits, and listed images only."""

from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy
from api.server.admission.settings import Profile
from tests.support.manifests import (
    accept,
    list_rules,
    make_host,
    make_manifest,
    make_policy,
    refuse,
)
from tests.support.verdicts import make_endpoint

BASELINE = AdmissionPolicy()
RESTRICTED = make_policy(Profile.RESTRICTED, images=["busybox:*"])


def test_restricted_forces_its_limits_on_a_job_that_asks_for_none() -> None:
    host = accept(make_manifest(User="1000"), RESTRICTED).body["HostConfig"]
    assert host == {
        "SecurityOpt": ["no-new-privileges:true"],
        "CapDrop": ["ALL"],
        "PidsLimit": 512,
        "Memory": 1 << 30,
    }


def test_restricted_keeps_lower_limits_and_forces_the_rest() -> None:
    asked = make_host(
        PidsLimit=5,
        Memory=8 << 20,
        MemorySwap=8 << 20,
        CapDrop=["NET_RAW"],
        SecurityOpt=["no-new-privileges"],
        Init=True,
    )
    assert accept(asked | {"User": "1000:1000"}, RESTRICTED).body["HostConfig"] == {
        "PidsLimit": 5,
        "Memory": 8 << 20,
        "MemorySwap": 8 << 20,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Init": True,
    }


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("PidsLimit", 513, "pids"),
        ("PidsLimit", -1, "pids"),
        ("Memory", (1 << 30) + 1, "memory"),
        ("Memory", -1, "memory"),
        ("MemorySwap", (2 << 30) + 1, "memory"),
        ("MemorySwap", -1, "memory"),
    ],
)
def test_restricted_refuses_higher_limits_unless_allowed(key: str, value: int, rule: str) -> None:
    manifest = make_host(**{key: value}) | {"User": "1000"}
    assert list_rules(refuse(manifest, RESTRICTED)) == {(f"/HostConfig/{key}", rule)}
    wide = make_policy(Profile.RESTRICTED, images=["**"], memory=4 << 30, pids=4096)
    assert value < 0 or accept(manifest, wide).body


@pytest.mark.parametrize(
    "user",
    [None, "", "root", "0", "00", "0:0", "0:1000", "root:1000", "nobody", "+1", "-1", " 1", "1\n"],
)
def test_restricted_refuses_every_user_that_may_be_root(user: str | None) -> None:
    problem = refuse(make_manifest(User=user), RESTRICTED)
    assert list_rules(problem) == {("/User", "nonRoot")}


@pytest.mark.parametrize("user", ["1", "1000", "65534:65534", "1000:users"])
def test_restricted_takes_users_by_number(user: str) -> None:
    assert accept(make_manifest(User=user), RESTRICTED).body["User"] == user


@pytest.mark.parametrize(
    ("image", "patterns", "taken"),
    [
        ("busybox:job", [], False),
        ("busybox:job", ["busybox:job"], True),
        ("busybox:job", ["busybox"], False),
        ("busybox:job", ["debian:*", "busybox:*"], True),
        ("busybox:job@sha256:00", ["busybox:job"], False),
        ("debian.example.org/evil", ["debian*"], False),
        ("Busybox:job", ["busybox:*"], False),
        ("registry.example/team/app:1", ["registry.example/*"], False),
        ("registry.example/team/app:1", ["registry.example/team/*"], True),
        ("registry.example/team/app:1", ["registry.example/**"], True),
        ("registry.example", ["registry.example/**"], False),
        ("registry.example.org/app", ["registry.example/**"], False),
        ("sha256:0123", ["busybox:*"], False),
        ("anything/at:all", ["**"], True),
    ],
)
def test_restricted_takes_only_listed_images(image: str, patterns: list[str], taken: bool) -> None:
    policy = make_policy(Profile.RESTRICTED, images=patterns)
    manifest = make_manifest(Image=image, User="1000")
    if taken:
        assert accept(manifest, policy).body["Image"] == image
    else:
        assert list_rules(refuse(manifest, policy)) == {("/Image", "images")}


@pytest.mark.parametrize(
    ("manifest", "pointer"),
    [
        (make_host(NetworkMode="jobs"), "/HostConfig/NetworkMode"),
        (make_host(NetworkMode="dispatcher_api"), "/HostConfig/NetworkMode"),
        (make_endpoint("jobs"), "/NetworkingConfig/EndpointsConfig/jobs"),
        (
            make_endpoint("none", NetworkID="jobs"),
            "/NetworkingConfig/EndpointsConfig/none/NetworkID",
        ),
    ],
)
def test_restricted_joins_only_networks_that_are_listed(
    manifest: dict[str, Any], pointer: str
) -> None:
    manifest = manifest | {"User": "1000"}
    assert list_rules(refuse(manifest, RESTRICTED)) == {(pointer, "networks")}
    listed = make_policy(Profile.RESTRICTED, images=["**"], networks=["jobs", "dispatcher_api"])
    assert accept(manifest, listed).body
    assert accept(manifest, BASELINE).body


@pytest.mark.parametrize("name", ["", "default", "bridge", "none"])
def test_restricted_takes_the_default_network_and_none(name: str) -> None:
    assert accept(make_host(NetworkMode=name) | {"User": "1000"}, RESTRICTED).body


def test_an_image_list_counts_under_baseline_and_for_mounted_images_too() -> None:
    policy = make_policy(images=["busybox:job"])
    mounts = [{"Type": "image", "Source": "evil:1", "Target": "/i"}]
    assert accept(make_manifest(), policy).body
    assert accept(make_host(Mounts=mounts), BASELINE).body
    assert list_rules(refuse(make_manifest(Image="evil:1"), policy)) == {("/Image", "images")}
    found = list_rules(refuse(make_host(Mounts=mounts), policy))
    assert found == {("/HostConfig/Mounts/0/Source", "images")}
