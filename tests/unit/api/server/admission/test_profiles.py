"""Each refusal of each profile, and what widens it; the table is the specification."""

import json
from pathlib import Path
from typing import Any

import pydantic
import pytest

from api.server.admission.admit import AdmissionPolicy, choose_policy
from api.server.admission.create_schema import MANIFEST, Struct
from api.server.admission.settings import AdmissionSettings, Permissions, Profile
from api.server.filters.builtin import read_default
from api.server.filters.jq.program import JqProgram
from tests.support.manifests import (
    accept,
    list_rules,
    list_violations,
    make_host,
    make_policy,
    refuse,
)
from tests.support.verdicts import (
    ALLOWED_BY_BASELINE,
    REFUSED_BY_BASELINE,
    make_bind,
    make_driver,
    make_endpoint,
)

PRIVILEGED = AdmissionPolicy(Profile.PRIVILEGED)
BASELINE = AdmissionPolicy(Profile.BASELINE)


@pytest.mark.parametrize("profile", [Profile.BASELINE, Profile.RESTRICTED])
@pytest.mark.parametrize(("manifest", "pointer", "rule"), REFUSED_BY_BASELINE)
def test_baseline_and_restricted_refuse(
    manifest: dict[str, Any], pointer: str, rule: str, profile: Profile
) -> None:
    policy = make_policy(profile, images=["*"], networks=["n"])
    problem = refuse(manifest | {"User": "1000"}, policy)
    assert (problem.code, problem.reason) == (403, "Denied")
    assert list_rules(problem) == {(pointer, rule)}
    assert all(found["allow"] for found in list_violations(problem))
    for word in (profile, rule, pointer):
        assert word in problem.message
    assert problem.details["profile"] == profile


@pytest.mark.parametrize(("manifest", "pointer", "rule"), REFUSED_BY_BASELINE)
def test_privileged_takes_whatever_the_engine_takes(
    manifest: dict[str, Any], pointer: str, rule: str
) -> None:
    del pointer, rule
    expected = {key: manifest[key] for key in manifest if key != "Name"}
    assert accept(manifest, PRIVILEGED).body == expected


@pytest.mark.parametrize("profile", list(Profile))
def test_no_profile_takes_auto_remove(profile: Profile) -> None:
    manifest = make_host(AutoRemove=True) | {"User": "1000"}
    problem = refuse(manifest, make_policy(profile, images=["*"]))
    assert problem.code == 403
    assert list_rules(problem) == {("/HostConfig/AutoRemove", "autoRemove")}
    manifest = make_host(AutoRemove=False) | {"User": "1000"}
    assert accept(manifest, make_policy(profile, images=["*"])).body


@pytest.mark.parametrize("manifest", ALLOWED_BY_BASELINE)
def test_baseline_allows_what_stays_within_the_container(manifest: dict[str, Any]) -> None:
    expected = {key: manifest[key] for key in manifest if key != "Name"}
    assert accept(manifest, BASELINE).body == {"Healthcheck": {"Test": ["NONE"]}} | expected


@pytest.mark.parametrize("environment", [{}, {"JOB_TTL": "5", "JOB_NETWORK": "jobs"}])
def test_the_default_filters_manifest_passes_baseline(environment: dict[str, str]) -> None:
    """With its nulls; the engine is never told of those."""
    for document in ({"args": ["a"], "id": "one"}, {}):
        program = JqProgram(read_default(), environment)
        [manifest] = program.run(json.dumps(document), "/job").values
        body = accept(manifest, BASELINE, (1, 41)).body
        assert "null" not in json.dumps(body)
        assert ("Cmd" in body) == ("args" in document)
        assert "HostConfig" in body


WIDENED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        make_host(CapAdd=["CAP_NET_ADMIN", "net_raw"]),
        {"capabilities": ["NET_ADMIN", "cap_net_raw"]},
    ),
    (make_host(Devices=[{"PathOnHost": "/dev/fuse"}]), {"devices": ["/dev/fuse"]}),
    (make_host(Devices=[{"PathOnHost": "/dev//./fuse"}]), {"devices": ["/dev/fuse"]}),
    (make_host(DeviceRequests=[{"DeviceIDs": ["a", "b"]}]), {"devices": ["b", "a"]}),
    (make_host(DeviceRequests=[{"Count": -1, "Capabilities": [["gpu"]]}]), {"devices": ["gpu"]}),
    (make_host(NetworkMode="host"), {"networks": ["host"]}),
    (make_host(NetworkMode="container:other"), {"networks": ["container:other"]}),
    (make_endpoint("host"), {"networks": ["host"]}),
    (make_host(Binds=["/srv/data:/data"]), {"hostPaths": ["/srv/data"]}),
    (make_host(Binds=["/srv/data/a/b:/data:ro"]), {"hostPaths": ["/srv/data/"]}),
    (make_host(Binds=["//srv/./data//a:/data:ro"]), {"hostPaths": ["/srv/data"]}),
    (make_bind("/srv/data"), {"hostPaths": ["/opt", "/srv"]}),
    (make_driver(type="none", o="bind,ro", device="/srv/data"), {"hostPaths": ["/srv/data"]}),
    (make_host(Binds=["/home/a:/data"]), {"hostPaths": ["/"]}),
    (make_host(NetworkMode="abc123"), {"networks": ["abc123"]}),
    (make_endpoint("jobs", NetworkID="0f" * 32), {"networks": ["0f" * 32]}),
    (
        make_host(BlkioDeviceReadBps=[{"Path": "/dev/sda", "Rate": 1}]),
        {"devices": ["/dev/sda"]},
    ),
]


@pytest.mark.parametrize(("manifest", "allow"), WIDENED)
def test_a_permission_widens_baseline(manifest: dict[str, Any], allow: dict[str, Any]) -> None:
    assert refuse(manifest, BASELINE).code == 403
    expected = {key: manifest[key] for key in manifest if key != "Name"}
    body = accept(manifest, make_policy(**allow)).body
    assert body == {"Healthcheck": {"Test": ["NONE"]}} | expected


@pytest.mark.parametrize(
    ("manifest", "allow"),
    [
        (make_host(CapAdd=["SYS_ADMIN"]), {"capabilities": ["NET_ADMIN"]}),
        (make_host(CapAdd=["ALL"]), {"capabilities": ["NET_ADMIN"]}),
        (make_host(Devices=[{"PathOnHost": "/dev/fuse/../sda"}]), {"devices": ["/dev/fuse"]}),
        (make_host(Devices=[{"PathOnHost": "/dev/fuse2"}]), {"devices": ["/dev/fuse"]}),
        (make_host(Devices=[{"PathOnHost": "/dev"}]), {"devices": ["/dev/fuse"]}),
        (make_host(DeviceRequests=[{"DeviceIDs": ["a", "b"]}]), {"devices": ["a"]}),
        (make_host(DeviceRequests=[{"Capabilities": [["gpu"], ["x"]]}]), {"devices": ["gpu"]}),
        (
            make_host(DeviceRequests=[{"Capabilities": [["gpu"]], "Options": {"a": "b"}}]),
            {"devices": ["gpu"]},
        ),
        (make_host(NetworkMode="host"), {"networks": ["hosts", "HOST"]}),
        (make_host(PidMode="host"), {"networks": ["host"]}),
        (make_host(Binds=["/srv/database:/data"]), {"hostPaths": ["/srv/data"]}),
        (make_host(Binds=["/srv/data/../x:/data"]), {"hostPaths": ["/srv/data"]}),
        (make_host(Binds=["/SRV/data:/data"]), {"hostPaths": ["/srv/data"]}),
        (make_host(Binds=["/srv:/data"]), {"hostPaths": ["/srv/data"]}),
        (make_host(Binds=["/srv/data:/data:shared"]), {"hostPaths": ["/srv/data"]}),
        (make_bind("/srv", BindOptions={"Propagation": "rshared"}), {"hostPaths": ["/srv"]}),
        (make_driver(type="none", o="bind", device="/srv/../etc"), {"hostPaths": ["/srv"]}),
    ],
)
def test_a_permission_widens_no_more_than_it_names(
    manifest: dict[str, Any], allow: dict[str, Any]
) -> None:
    assert refuse(manifest, make_policy(**allow)).code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/.",
        "/proc",
        "/proc/1/root",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/sda",
        "/run",
        "/run/docker.sock",
        "/var",
        "/var/run",
        "/var/run/docker.sock",
        "/var/./run//docker.sock/",
        "/VAR/RUN/DOCKER.SOCK",
        "/var/run/containerd/containerd.sock",
        "/var/lib",
        "/var/lib/docker",
        "/var/lib/docker/volumes/x",
        "/etc",
        "/etc/docker",
        "/run/docker",
        "/run/docker/runtime-runc",
        "/var/run/docker/netns",
        "/run/containerd/io.containerd.runtime.v2.task",
        "/run/systemd/private",
        "/run/podman/podman.sock",
        "/run/user/1000/docker.sock",
        "/etc/systemd/system",
        "/var/lib/containers/storage",
        "/opt/jobs/filters",
        "/opt/jobs/filters/a.yaml",
        "/opt/jobs",
        "/opt",
        "/var/run/own.sock",
        "/run/own.sock",
    ],
)
def test_no_prefix_list_opens_what_holds_the_host_or_our_own_files(path: str) -> None:
    policy = AdmissionPolicy(
        Profile.BASELINE,
        Permissions.model_validate({"hostPaths": ["/", path.casefold()]}),
        guarded=("/opt/jobs/filters", "/run/own.sock"),
    )
    for manifest in (
        make_host(Binds=[f"{path}:/host"]),
        make_bind(path),
        make_driver(type="none", o="bind", device=path),
    ):
        assert {rule for _, rule in list_rules(refuse(manifest, policy))} == {"hostPaths"}


def test_all_violations_of_all_rules_come_in_one_answer() -> None:
    manifest = make_host(Privileged=True, PidMode="host", Binds=["/:/a", "/etc:/b"])
    assert list_rules(refuse(manifest, AdmissionPolicy(Profile.RESTRICTED))) == {
        ("/HostConfig/Privileged", "privileged"),
        ("/HostConfig/PidMode", "hostNamespaces"),
        ("/HostConfig/Binds/0", "hostPaths"),
        ("/HostConfig/Binds/1", "hostPaths"),
        ("/Image", "images"),
        ("/User", "nonRoot"),
    }


def test_a_filter_config_chooses_its_profile_and_an_unset_one_means_the_processs() -> None:
    unset = AdmissionSettings.model_validate({"allow": {"hostPaths": ["/srv"]}})
    own = AdmissionSettings.model_validate({"profile": "restricted"})
    assert choose_policy(Profile.PRIVILEGED, own).profile is Profile.RESTRICTED
    chosen = choose_policy(Profile.BASELINE, unset, guarded=("/opt",))
    assert (chosen.profile, chosen.allow.host_paths) == (Profile.BASELINE, ("/srv",))
    assert chosen.guarded == ("/opt",)


@pytest.mark.parametrize(
    "allow",
    [
        {"hostPaths": ["srv"]},
        {"hostPaths": ["/srv/../etc"]},
        {"hostPaths": [""]},
        {"hostPaths": ["C:\\data"]},
        {"capabilities": [""]},
        {"images": [""]},
        {"memory": 0},
        {"pids": 0},
        {"hostpaths": ["/srv"]},
        {"privileged": True},
    ],
)
def test_a_permission_that_cannot_be_meant_is_refused_when_it_is_read(
    allow: dict[str, Any],
) -> None:
    with pytest.raises(pydantic.ValidationError):
        Permissions.model_validate(allow)


HARMLESS = {
    *("BlkioWeight", "CapDrop", "ConsoleSize", "CpuCount", "CpuPercent"),
    *("CpuPeriod", "CpuQuota", "CpuShares"),
    *("Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd"),
    *("IOMaximumBandwidth", "IOMaximumIOps", "Init", "KernelMemory", "KernelMemoryTCP"),
    *("MemoryReservation", "MemorySwappiness", "NanoCpus", "ReadonlyRootfs", "ShmSize"),
}
"""Members of HostConfig that shape the container's own inside or lower its share."""


def test_each_member_of_the_host_config_is_judged_or_known_to_be_harmless() -> None:
    """A key that is added to the table must be thought about."""
    refused = {pointer.split("/")[2] for _, pointer, _ in REFUSED_BY_BASELINE if "Host" in pointer}
    judged = refused | {"AutoRemove", "Memory", "MemorySwap", "PidsLimit"}
    host = MANIFEST.fields["HostConfig"].kind
    assert isinstance(host, Struct)
    assert judged | HARMLESS == set(host.fields)
    assert not judged & HARMLESS


def test_every_rule_stands_in_the_documents_table() -> None:
    text = (Path(__file__).parents[5] / "api/server/admission/README.md").read_text()
    rules = {rule for _, _, rule in REFUSED_BY_BASELINE}
    for rule in rules | {"autoRemove", "nonRoot", "images", "memory", "networks", "pids"}:
        assert f"`{rule}`" in text
