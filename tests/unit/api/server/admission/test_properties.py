"""Whatever a filter makes up, nothing that the engine could misread comes out of admission."""

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.server.admission.admit import AdmissionPolicy, Admitted, admit
from api.server.admission.create_schema import MANIFEST, Struct
from api.server.admission.paths import is_guarded, is_within, normalise
from api.server.admission.settings import Permissions, Profile
from api.server.http.problem import Problem
from tests.support.manifests import MANIFESTS, find_stray_keys, make_values

ALLOW = Permissions.model_validate({"hostPaths": ["/srv/data", "/"], "images": ["**"]})
POLICIES = [AdmissionPolicy(profile, ALLOW) for profile in Profile]
BODY = Struct({k: v for k, v in MANIFEST.fields.items() if k not in {"Name", "Platform"}})
VERSIONS = st.sampled_from([(1, 41), (1, 44), (1, 48), (1, 51), (1, 52)])

fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def name_it(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest | {"Name": "job-1", "Image": "busybox:job", "Platform": None}


@fuzz
@given(MANIFESTS, st.sampled_from(POLICIES), VERSIONS, st.booleans())
def test_what_is_admitted_holds_known_keys_only(
    manifest: dict[str, Any], policy: AdmissionPolicy, version: tuple[int, int], named: bool
) -> None:
    found = try_to_admit(name_it(manifest) if named else manifest, policy, version)
    if isinstance(found, Problem):
        assert found.code in {400, 403}
        assert found.details["violations"]
    else:
        assert find_stray_keys(BODY, found.body) == []


def try_to_admit(
    manifest: object, policy: AdmissionPolicy, version: tuple[int, int]
) -> Admitted | Problem:
    try:
        return admit(manifest, policy, api_version=version)
    except Problem as problem:
        return problem


def list_parts() -> st.SearchStrategy[dict[str, Any]]:
    """Return one or two members at a time: a whole host config is hardly ever admitted."""
    host = MANIFEST.fields["HostConfig"].kind
    assert isinstance(host, Struct)

    def take(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({key: make_values(host.fields[key].kind) for key in keys})

    return st.lists(st.sampled_from(sorted(host.fields)), max_size=2, unique=True).flatmap(take)


@fuzz
@given(list_parts(), st.sampled_from(POLICIES[1:]))
def test_what_baseline_or_restricted_admit_reaches_no_further_than_the_container(
    host: dict[str, Any], policy: AdmissionPolicy
) -> None:
    manifest = name_it({"HostConfig": host, "User": "1000"})
    found = try_to_admit(manifest, policy, (1, 51))
    if isinstance(found, Admitted):
        built: Any = found.body["HostConfig"]
        check_containment(built)
        if policy.profile is Profile.RESTRICTED:
            assert built["CapDrop"] == ["ALL"]
            assert 0 < built["PidsLimit"] <= ALLOW.pids
            assert 0 < built["Memory"] <= ALLOW.memory
            assert "no-new-privileges:true" in built["SecurityOpt"]


def check_containment(host: Mapping[str, Any]) -> None:
    assert not host.get("Privileged")
    assert not host.get("AutoRemove")
    for key in ("CapAdd", "Devices", "DeviceCgroupRules", "DeviceRequests", "VolumesFrom"):
        assert not host.get(key), key
    for key in ("Sysctls", "StorageOpt", "Annotations", "Runtime", "CgroupParent"):
        assert not host.get(key), key
    for key in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        mode = host.get(key, "")
        assert mode != "host", key
        assert ":" not in mode, key
    assert host.get("RestartPolicy", {}).get("Name", "") not in {"always", "unless-stopped"}
    for bind in host.get("Binds", []):
        if bind.startswith(("/", ".", "~")) and ":" in bind:
            check_path(bind.split(":")[0])
    for mount in host.get("Mounts", []):
        if mount["Type"] == "bind":
            check_path(mount["Source"])
        device = mount.get("VolumeOptions", {}).get("DriverConfig", {}).get("Options", {})
        if device:
            check_path(device["device"])


def check_path(path: str) -> None:
    normal = normalise(path)
    assert normal is not None
    assert any(is_within(normal, prefix) for prefix in ALLOW.host_paths)
    assert not is_guarded(normal)


@given(st.lists(st.sampled_from(["/", "//", "/./", "/../", "srv", "data", "proc", "a b", "."])))
def test_a_path_in_normal_form_has_one_meaning(pieces: list[str]) -> None:
    path = "".join(pieces)
    normal = normalise(path)
    if normal is None:
        assert not path.startswith("/") or ".." in path
    else:
        assert normalise(normal) == normal
        assert "//" not in normal
        assert not {".", ".."} & set(normal.split("/"))
