"""Whatever a manifest says is in its service, or is told: nothing is dropped in silence."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.engine.swarm.keys import SINCE, TAKEN
from api.engine.swarm.service import make_service
from api.engine.swarm.unsupported import find_unsupported
from api.server.admission.create_schema import MANIFEST, Struct
from api.server.admission.sanitize import sanitize
from tests.support.manifests import make_host, make_manifest, make_values
from tests.support.swarm_manifests import list_examples

CARRIED = {*TAKEN, *SINCE}
NEWEST = (1, 51)
VERSIONS = st.sampled_from([(1, 41), (1, 44), (1, 46), (1, 51)])
HOST = MANIFEST.fields["HostConfig"].kind


def make_members(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return up to three members of a struct: of a whole one something is always told."""
    assert isinstance(kind, Struct)
    fields = {key: known.kind for key, known in kind.fields.items() if key != "HostConfig"}
    return st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: make_values(fields[key]) for key in keys})
    )


BODIES = st.builds(
    lambda top, host: make_manifest(**top | {"HostConfig": host}),
    make_members(MANIFEST),
    make_members(HOST),
)


def list_members(body: Any, place: str = "", pointer: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield place, pointer and value of each member that carries over by itself."""
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        starred = f"{place}/*"
        here = starred if starred in CARRIED else f"{place}/{key}"
        there = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if any(other.startswith(f"{here}/") for other in CARRIED):
            yield from list_members(value, here, there)
        elif here in CARRIED:
            yield here, there, value


def remove(body: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    """Return ``body`` without the member at ``pointer``."""
    copied: Any = deepcopy(dict(body))
    *above, last = [
        key.replace("~1", "/").replace("~0", "~") for key in pointer.removeprefix("/").split("/")
    ]
    found = copied
    for key in above:
        found = found[int(key)] if isinstance(found, list) else found[key]
    del found[last]
    result: dict[str, Any] = copied
    return result


def asks_for_nothing(place: str, value: Any, body: Mapping[str, Any]) -> bool:
    """Tell whether a service without the member is the same because it says what holds anyway."""
    host: Mapping[str, Any] = body.get("HostConfig", {})
    says: object = None
    match place.rpartition("/")[2]:
        case "PidsLimit" | "MemorySwap" | "MemorySwappiness":
            says = value < 0 or value == 2 * host.get("Memory", 0)
        case "MemoryReservation":
            says = value == host.get("Memory")
        case "NetworkMode" | "NetworkID":
            says = value == "default" or value in list_networks(body)
        case "Name" if "RestartPolicy" in place:
            says = value == "no"
        case "MaximumRetryCount":
            says = host["RestartPolicy"].get("Name") != "on-failure"
        case "Volumes" | "Binds":
            says = host.get("VolumeDriver", "local") != "local"  # told, and the cause
        case "VolumeDriver":
            says = value == "local" or not (host.get("Binds") or body.get("Volumes"))
        case "SecurityOpt":
            says = not any("no-new-privileges" in option for option in value)
    return bool(says) or not value or place == "/Name"


def list_networks(body: Mapping[str, Any]) -> set[str]:
    endpoints = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    return {*endpoints, *(endpoint.get("NetworkID") for endpoint in endpoints.values())}


ENDPOINT = {"NetworkID": "c", "Aliases": ["a"], "DriverOpts": {"a": "b"}}
FOUND = [
    *(example.manifest for example in list_examples("/srv/{{a}}")),
    # what only a swarm has
    make_host(DeviceRequests=[{"Count": 2, "Capabilities": [["gpu"]]}], NetworkMode="b"),
    make_manifest(NetworkingConfig={"EndpointsConfig": {"b": ENDPOINT}}, HostConfig={}),
    make_host(Mounts=[{"Type": "cluster", "Source": "a", "Target": "/a", "ClusterOptions": {}}]),
]


@pytest.mark.parametrize("body", FOUND)
def test_each_member_of_a_good_manifest_changes_its_service(body: dict[str, Any]) -> None:
    assert find_unsupported(body, NEWEST) == ()
    assert find_lost(body, NEWEST) == []


def test_each_key_that_a_service_has_stands_in_one_of_those_manifests() -> None:
    """A key that is added to the tables is shown to arrive, in the integration tests too."""
    found = {place for body in FOUND for place, _, _ in list_members(body)}
    leaves = {p for p in CARRIED if not any(other.startswith(f"{p}/") for other in CARRIED)}
    assert leaves - found == set()


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES, VERSIONS)
def test_each_member_is_told_or_changes_the_service(
    manifest: dict[str, Any], version: tuple[int, int]
) -> None:
    body, _ = sanitize(manifest, version)
    assert find_lost(body, version) == []


def find_lost(body: Mapping[str, Any], version: tuple[int, int]) -> list[str]:
    """Return the pointers of what is neither told nor in the service."""
    told = [one.pointer for one in find_unsupported(body, version)]
    service = make_service("a", body, api_version=version, platform=body.get("Platform"))
    lost = []
    for place, pointer, value in list_members(body):
        if asks_for_nothing(place, value, body) or any(_share_item(pointer, p) for p in told):
            continue
        rest = remove(body, pointer)
        without = make_service("a", rest, api_version=version, platform=rest.get("Platform"))
        if without == service:
            lost.append(pointer)
    return lost


def _share_item(pointer: str, other: str) -> bool:
    """Tell whether one is told with the other: a mount that is told is no part of the service."""
    same_item = pointer.split("/")[1:4] == other.split("/")[1:4]
    return same_item or f"{other}/".startswith(f"{pointer}/")
