"""The service that a manifest makes, by value; tests/integration has it run."""

from typing import Any

import pytest

from api.engine.swarm.service import make_service, name_service
from tests.support.manifests import make_host, make_manifest
from tests.support.swarm_manifests import SECOND

OLD = (1, 41)


def make(manifest: dict[str, Any], **options: Any) -> dict[str, Any]:
    options = {"api_version": OLD, "platform": None} | options
    return make_service("djd-1", manifest, **options)


def test_a_service_is_recorded_without_a_replica_and_never_restarted() -> None:
    labels = {"a": "b"}
    assert make({"Image": "busybox:job", "Cmd": ["true"], "Labels": labels}) == {
        "Name": "djd-1",
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "busybox:job",
                "Labels": labels,
                "Args": ["true"],
                "StopGracePeriod": 10 * SECOND,
            },
            "RestartPolicy": {"Condition": "none"},
        },
        "Mode": {"Replicated": {"Replicas": 0}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": []},
    }


@pytest.mark.parametrize(
    ("members", "command", "arguments"),
    [
        ({}, None, None),
        ({"Entrypoint": ["a"]}, ["a"], None),
        ({"Cmd": ["b"]}, None, ["b"]),
        ({"Entrypoint": ["a"], "Cmd": ["b"]}, ["a"], ["b"]),
        ({"Entrypoint": [], "Cmd": ["b"]}, [""], ["b"]),
        ({"Entrypoint": ["a"], "Cmd": []}, ["a"], None),
    ],
)
def test_a_node_takes_of_the_image_what_the_manifest_leaves_to_it(
    members: dict[str, Any], command: object, arguments: object
) -> None:
    spec = make(make_manifest(**members))["TaskTemplate"]["ContainerSpec"]
    assert (spec.get("Command"), spec.get("Args")) == (command, arguments)


def test_what_is_limited_is_reserved_so_that_swarm_places_by_it() -> None:
    host = {"Memory": 1 << 30, "NanoCpus": 5, "PidsLimit": 7}
    limits = {"MemoryBytes": 1 << 30, "NanoCPUs": 5, "Pids": 7}
    reservations = {"MemoryBytes": 1 << 30, "NanoCPUs": 5}
    resources = {"Limits": limits, "Reservations": reservations}
    assert make(make_host(**host))["TaskTemplate"]["Resources"] == resources
    host |= {"MemoryReservation": 1 << 20}
    reservations["MemoryBytes"] = 1 << 20
    assert make(make_host(**host))["TaskTemplate"]["Resources"] == resources
    assert "Resources" not in make(make_host(PidsLimit=-1, Memory=0))["TaskTemplate"]


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", {"OS": "linux"}),
        ("arm64", {"Architecture": "arm64"}),
        ("Linux/X86_64", {"OS": "linux", "Architecture": "amd64"}),
        ("linux/arm64/v8", {"OS": "linux", "Architecture": "arm64"}),
    ],
)
def test_a_platform_chooses_nodes(platform: str, expected: dict[str, str]) -> None:
    template = make(make_manifest(), platform=platform)["TaskTemplate"]
    assert template["Placement"] == {"Platforms": [expected]}


def test_constraints_choose_nodes() -> None:
    """By the label of the Swarm that came before: to one engine it says nothing."""
    labels = {"com.docker.swarm.constraints": '["node.labels.disk==ssd", "node.role != manager"]'}
    template = make(make_manifest(Labels=labels), platform="linux")["TaskTemplate"]
    assert template["Placement"] == {
        "Constraints": ["node.labels.disk==ssd", "node.role != manager"],
        "Platforms": [{"OS": "linux"}],
    }
    assert template["ContainerSpec"]["Labels"] == labels


@pytest.mark.parametrize(
    ("mode", "endpoints", "expected"),
    [
        ("", {}, []),
        ("default", {"default": {}}, []),
        ("bridge", {}, [{"Target": "bridge"}]),
        ("a", {}, [{"Target": "a"}]),
        ("a", {"a": {"Aliases": ["x"], "Links": []}}, [{"Target": "a", "Aliases": ["x"]}]),
        ("a", {"b": {"NetworkID": "a"}}, [{"Target": "a"}]),
        ("a", {"b": {}}, [{"Target": "a"}, {"Target": "b"}]),
        ("", {"b": {"DriverOpts": {"k": "v"}}}, [{"Target": "b", "DriverOpts": {"k": "v"}}]),
    ],
)
def test_networks_go_by_their_names(
    mode: str, endpoints: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    manifest = make_host(NetworkMode=mode) | {"NetworkingConfig": {"EndpointsConfig": endpoints}}
    assert make(manifest)["TaskTemplate"].get("Networks", []) == expected


def test_ports_are_published_by_the_node_that_runs_the_job() -> None:
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81": [{}], "82/udp": []}
    assert make(make_host(PortBindings=bindings))["EndpointSpec"]["Ports"] == [
        {"TargetPort": 80, "Protocol": "tcp", "PublishMode": "host", "PublishedPort": 8080},
        {"TargetPort": 81, "Protocol": "tcp", "PublishMode": "host"},
    ]


def test_what_is_mounted_at_a_place_already_stays_there() -> None:
    manifest = make_host(
        ShmSize=5,
        Binds=["/srv:/a"],
        Tmpfs={"/b": ""},
        Mounts=[{"Type": "tmpfs", "Target": "/dev/shm/"}],
    ) | {"Volumes": {"/a/": {}, "/b": {}, "/c": {}, "//c": {}, "/d/../c": {}}}
    mounts = make(manifest)["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert [mount["Target"] for mount in mounts] == ["/dev/shm/", "/a", "/b", "/c", "//c"]


def test_an_unnamed_volume_is_made_by_the_nodes_own_driver() -> None:
    """A driver, even by that name, would have the node make a second one, which stays for ever."""
    options = {"Labels": {"a": "b"}, "DriverConfig": {"Name": "local"}}
    manifest = make_host(
        VolumeDriver="local",
        Binds=["/a"],
        Mounts=[{"Type": "volume", "Target": "/b", "VolumeOptions": options}],
    ) | {"Volumes": {"/c": {}}}
    assert make(manifest)["TaskTemplate"]["ContainerSpec"]["Mounts"] == [
        {"Type": "volume", "Target": "/b", "VolumeOptions": {"Labels": {"a": "b"}}},
        {"Type": "volume", "Target": "/a"},
        {"Type": "volume", "Target": "/c"},
    ]


def test_only_a_manager_that_knows_it_is_told_of_the_way_to_more_privileges() -> None:
    manifest = make_host(SecurityOpt=["no-new-privileges"])
    spec = make(manifest, api_version=(1, 44))["TaskTemplate"]["ContainerSpec"]
    assert spec["Privileges"] == {"NoNewPrivileges": True}
    manifest = make_host(SecurityOpt=["no-new-privileges:false"])
    assert "Privileges" not in make(manifest, api_version=(1, 44))["TaskTemplate"]["ContainerSpec"]


def test_a_services_name_is_its_own_whatever_the_job_is_called() -> None:
    """A service's name has 63 characters, no dot, and no case."""
    names = {
        name_service(namespace, name)
        for namespace, name in [("a", "b.c"), ("a", "b.C"), ("a", "x" * 128), ("A", "b.c")]
    }
    assert len(names) == 4
    for name in names:
        assert name == name.lower()
        assert len(name) <= 63
        assert name.removeprefix("djd-").isalnum()
    assert name_service("default", "job-1") == "djd-433a95b6c39bbe2aaf968c63f57f13a1a174c846"
