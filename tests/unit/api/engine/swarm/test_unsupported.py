"""What Swarm cannot do of a manifest is told, with its place, and nothing else is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from api.engine.swarm.keys import REFUSED, REFUSED_IF_PRESENT, SINCE
from api.engine.swarm.unsupported import find_unsupported
from api.server.admission.create_schema import MANIFEST, Leaf, ListOf, MapOf, Struct
from api.v1.wishes import NodeLoss, Wishes, encode_wishes
from tests.support.manifests import fill, make_host, make_manifest

OLD, NEW = (1, 41), (1, 51)


def find(manifest: Mapping[str, Any], version: tuple[int, int] = NEW) -> set[str]:
    """Return the pointers of what Swarm cannot do; each message must name Swarm."""
    found = find_unsupported(manifest, version)
    for one in found:
        assert "Swarm" in one.message
    pointers = [one.pointer for one in found]
    assert len(pointers) == len({*pointers})
    return {*pointers}


def name_mounts(**mount: Any) -> dict[str, Any]:
    return make_host(Mounts=[{"Type": "volume", "Source": "data", "Target": "/data"} | mount])


def name_constraints(text: str) -> dict[str, Any]:
    return make_manifest(Labels={"com.docker.swarm.constraints": text})


HOST = "/HostConfig"
CONSTRAINED = "/Labels/com.docker.swarm.constraints"
REFUSALS: list[tuple[dict[str, Any], str]] = [
    # what each key of the tables says is tested below; here are values
    (make_manifest(Platform="linux/arm/v7"), "/Platform"),
    (make_manifest(Platform="plan9"), "/Platform"),
    (make_manifest(Image="ab" * 32), "/Image"),
    (make_manifest(Entrypoint=[]), "/Entrypoint"),
    (make_manifest(Entrypoint=[], Cmd=[]), "/Entrypoint"),
    (make_manifest(StopTimeout=-1), "/StopTimeout"),
    (make_manifest(Labels={"com.docker.swarm.task": "x"}), "/Labels/com.docker.swarm.task"),
    (name_constraints("[1]"), CONSTRAINED),
    (name_constraints("{}"), CONSTRAINED),
    (name_constraints("["), CONSTRAINED),
    (name_constraints('["node.label.disk==ssd"]'), CONSTRAINED),
    (name_constraints('["node.role=manager"]'), CONSTRAINED),
    (name_constraints('["node.role==a\\nb"]'), CONSTRAINED),
    (make_host(NetworkMode="none"), f"{HOST}/NetworkMode"),
    (make_host(NetworkMode="container:other"), f"{HOST}/NetworkMode"),
    (
        make_manifest(NetworkingConfig={"EndpointsConfig": {"none": {}}}),
        "/NetworkingConfig/EndpointsConfig/none",
    ),
    (
        make_manifest(NetworkingConfig={"EndpointsConfig": {"a/b": {"NetworkID": "none"}}}),
        "/NetworkingConfig/EndpointsConfig/a~1b",
    ),
    (
        make_manifest(NetworkingConfig={"EndpointsConfig": {"default": {"Aliases": ["a"]}}}),
        "/NetworkingConfig/EndpointsConfig/default",
    ),
    (make_host(Memory=1 << 30, MemorySwap=1 << 30), f"{HOST}/MemorySwap"),
    (make_host(Memory=1 << 30, MemorySwap=-1), f"{HOST}/MemorySwap"),
    (make_host(MemorySwappiness=0), f"{HOST}/MemorySwappiness"),
    (make_host(Isolation="hyper-v"), f"{HOST}/Isolation"),
    (make_host(SecurityOpt=["no-new-privileges", "label=disable"]), f"{HOST}/SecurityOpt/1"),
    (make_host(ExtraHosts=["a:::1", "a"]), f"{HOST}/ExtraHosts/1"),
    (make_host(ExtraHosts=["a b:::1"]), f"{HOST}/ExtraHosts/0"),
    (make_host(ExtraHosts=["a:"]), f"{HOST}/ExtraHosts/0"),
    (make_host(RestartPolicy={"Name": "always"}), f"{HOST}/RestartPolicy/Name"),
    (
        make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3}),
        f"{HOST}/RestartPolicy/Name",
    ),
    (make_host(Binds=["/a:/b:z"]), f"{HOST}/Binds/0"),
    (make_host(Binds=["/a:/b:nocopy"]), f"{HOST}/Binds/0"),
    (make_host(Binds=["a:/b:slave"]), f"{HOST}/Binds/0"),
    (make_host(Binds=["/a:/b:ro:rw"]), f"{HOST}/Binds/0"),
    (make_host(Binds=["/b"], VolumeDriver="nfs"), f"{HOST}/VolumeDriver"),
    (make_host(VolumeDriver="nfs") | {"Volumes": {"/b": {}}}, f"{HOST}/VolumeDriver"),
    (make_host(Tmpfs={"/a": "size=50%"}), f"{HOST}/Tmpfs/~1a"),
    (make_host(Tmpfs={"/a": "size=1m,uid=5"}), f"{HOST}/Tmpfs/~1a"),
    (make_host(Tmpfs={"/a": "mode=0"}), f"{HOST}/Tmpfs/~1a"),
    (name_mounts(Type="image"), f"{HOST}/Mounts/0/Type"),
    (name_mounts(Type=""), f"{HOST}/Mounts/0/Type"),
    (name_mounts(Type="Volume"), f"{HOST}/Mounts/0/Type"),
    (
        name_mounts(Source="", VolumeOptions={"DriverConfig": {"Name": "nfs"}}),
        f"{HOST}/Mounts/0/VolumeOptions/DriverConfig",
    ),
    (
        name_mounts(Source="", VolumeOptions={"DriverConfig": {"Options": {"o": "bind"}}}),
        f"{HOST}/Mounts/0/VolumeOptions/DriverConfig",
    ),
    (make_host(PortBindings={"80-81/tcp": [{}]}), f"{HOST}/PortBindings/80-81~1tcp"),
    (make_host(PortBindings={"80": [{}, {}]}), f"{HOST}/PortBindings/80"),
    (make_host(PortBindings={"80": [{"HostIp": "::1"}]}), f"{HOST}/PortBindings/80/0/HostIp"),
    (make_host(PortBindings={"80": [{"HostPort": "1-9"}]}), f"{HOST}/PortBindings/80/0/HostPort"),
    (make_host(DeviceRequests=[{"Count": 1}]), f"{HOST}/DeviceRequests/0/Capabilities"),
    (
        make_host(DeviceRequests=[{"Count": 1, "Capabilities": [["gpu", "nvidia"]]}]),
        f"{HOST}/DeviceRequests/0/Capabilities",
    ),
    (
        make_host(DeviceRequests=[{"Count": -1, "Capabilities": [["gpu"]]}]),
        f"{HOST}/DeviceRequests/0/Count",
    ),
    (
        make_host(DeviceRequests=[{"Count": 1, "Capabilities": [["gpu"]], "Driver": "nvidia"}]),
        f"{HOST}/DeviceRequests/0/Driver",
    ),
]


@pytest.mark.parametrize(("manifest", "pointer"), REFUSALS)
def test_a_value_that_swarm_cannot_have_is_told(manifest: dict[str, Any], pointer: str) -> None:
    assert find(manifest) == {pointer}


ACCEPTED: list[dict[str, Any]] = [
    make_manifest(),
    make_manifest(Platform="linux"),
    make_manifest(Platform="arm64"),
    make_manifest(Platform="linux/arm64/v8"),
    make_manifest(Platform="Windows/AMD64"),
    make_manifest(Image="sha256:" + "ab" * 32),
    make_manifest(Entrypoint=[], Cmd=["true"]),
    make_manifest(Entrypoint=[""], Cmd=["true"]),
    make_manifest(StopTimeout=0, AttachStdout=True, ExposedPorts={}, Healthcheck={}),
    make_manifest(Labels={"com.docker.swarm.tasks": "x", "com.docker.stack.image": "y"}),
    name_constraints("[]"),
    name_constraints('["node.role == manager", "Engine.Labels.a-b.c!=x y/*", "node.ip==::1/64"]'),
    make_manifest(
        NetworkingConfig={"EndpointsConfig": {"default": {}, "a": {"IPAMConfig": {}, "Links": []}}}
    ),
    make_host(NetworkMode="default"),
    make_host(NetworkMode="", IpcMode="", Privileged=False, CpuShares=0, Devices=[]),
    make_host(Memory=1 << 30, MemorySwap=2 << 30, MemorySwappiness=-1, PidsLimit=-1),
    make_host(MemorySwap=-1),
    make_host(SecurityOpt=["no-new-privileges=true", "no-new-privileges:false"]),
    make_host(RestartPolicy={"Name": "no", "MaximumRetryCount": 0}),
    make_host(LogConfig={"Type": "", "Config": {"max-size": "1m"}}),
    make_host(Binds=["/a:/b:ro,rslave,cached", "a:/c:nocopy", "/d"], VolumeDriver="local"),
    make_host(Tmpfs={"/a": "", "/b": "rw,noexec,size=1M,mode=01777", "/c": "exec"}),
    make_host(PortBindings={"80/tcp": [{"HostPort": "8080"}], "81": [], "82/sctp": [{}]}),
    name_mounts(Source="", VolumeOptions={"DriverConfig": {"Name": "local"}}),
    name_mounts(Type="cluster"),
]


@pytest.mark.parametrize("manifest", ACCEPTED)
def test_what_swarm_can_do_or_what_asks_for_nothing_passes(manifest: dict[str, Any]) -> None:
    assert find(manifest) == set()


def nest(kind: Any, keys: Sequence[str], leaf: Callable[[Any], Any]) -> tuple[Any, str]:
    """Return a value of ``kind`` that holds a leaf at the place ``keys``, and its pointer."""
    if not keys:
        return leaf(kind), ""
    key, *rest = keys
    inner = kind.fields[key].kind if isinstance(kind, Struct) else kind.kind
    value, pointer = nest(inner, rest, leaf)
    match kind:
        case ListOf():
            return [value], f"/0{pointer}"
        case MapOf():
            return {"any": value}, f"/any{pointer}"
        case _:
            return {key: value}, f"/{key}{pointer}"


def fill_whole(kind: Any) -> Any:
    return fill(kind, lambda _: True)


def make_empty(kind: Any) -> Any:
    return {Leaf.TEXT: "", Leaf.FLAG: False, Leaf.WHOLE: 0, Leaf.COUNT: 0}.get(
        kind, [] if isinstance(kind, ListOf) else {}
    )


@pytest.mark.parametrize("place", [*REFUSED, *REFUSED_IF_PRESENT])
def test_a_key_that_no_service_has_is_told(place: str) -> None:
    manifest, pointer = nest(MANIFEST, place.split("/")[1:], fill_whole)
    told = {one.pointer: one.message for one in find_unsupported(make_manifest(**manifest), NEW)}
    assert told[pointer] == {**REFUSED, **REFUSED_IF_PRESENT}[place]


@pytest.mark.parametrize("place", [*REFUSED, *REFUSED_IF_PRESENT])
def test_an_empty_value_is_told_where_it_asks_for_something(place: str) -> None:
    manifest, pointer = nest(MANIFEST, place.split("/")[1:], make_empty)
    assert (pointer in find(make_manifest(**manifest))) == (place in REFUSED_IF_PRESENT)


def test_a_key_that_no_table_has_is_told_whatever_it_holds() -> None:
    assert find(make_host(Newest=0)) == {"/HostConfig/Newest"}


@pytest.mark.parametrize("place", SINCE)
def test_a_key_that_an_older_manager_drops_is_told(place: str) -> None:
    manifest, pointer = nest(MANIFEST, place.split("/")[1:], fill_whole)
    since = SINCE[place]
    assert find(make_manifest(**manifest), since) == set()
    assert find(make_manifest(**manifest), (since[0], since[1] - 1)) == {pointer}


def test_what_lies_in_a_value_depends_on_the_version_too() -> None:
    hardened = make_host(SecurityOpt=["no-new-privileges:true"], Tmpfs={"/a": "exec"})
    assert find(hardened, (1, 46)) == set()
    assert find(hardened, (1, 45)) == {"/HostConfig/Tmpfs/~1a"}
    assert find(hardened, OLD) == {"/HostConfig/Tmpfs/~1a", "/HostConfig/SecurityOpt/0"}
    (message,) = {
        found.message for found in find_unsupported(hardened, OLD) if "Security" in found.pointer
    }
    assert "1.44" in message
    assert "1.41" in message


def test_a_job_is_retried_only_if_it_may_run_again_after_the_loss_of_a_node() -> None:
    retried = make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3})
    wishes = encode_wishes(Wishes(on_node_loss=NodeLoss.RERUN))
    assert find(retried | {"Labels": wishes}) == set()
