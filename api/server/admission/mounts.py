"""The rules of ``baseline`` for what a job may mount, in all the forms the engine knows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.server.admission.paths import is_guarded, is_within, normalise
from api.server.admission.policy import AdmissionPolicy
from api.server.admission.violations import Violation
from api.v1.quoting import point, quote

RULE: Final = "hostPaths"
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
_BIND_OPTIONS: Final = frozenset(
    [
        "ro",
        "rw",
        "z",
        "Z",
        "nocopy",
        "consistent",
        "cached",
        "delegated",
        "default",
        "private",
        "rprivate",
        "slave",
        "rslave",
    ]
)
_PROPAGATIONS: Final = frozenset({"", "private", "rprivate", "slave", "rslave"})
_MOUNT_TYPES: Final = frozenset({"bind", "volume", "tmpfs", "image"})
_LOCAL_OPTIONS: Final = frozenset({"type", "o", "device"})
_MOUNT_FLAGS: Final = frozenset({"bind", "rbind", "ro", "rw"})
_ONLY_PRIVILEGED: Final = "the profile privileged"

Host = Mapping[str, Any]


def check_mounts(host: Host, policy: AdmissionPolicy) -> Iterator[Violation]:
    """Yield what the host config mounts against the rules: Binds, Mounts and VolumeDriver."""
    for index, bind in enumerate(host.get("Binds", ())):
        yield from _check_bind(bind, point("/HostConfig/Binds", index), policy)
    for index, mount in enumerate(host.get("Mounts", ())):
        yield from _check_mount(mount, point("/HostConfig/Mounts", index), policy)
    if host.get("VolumeDriver", "") not in {"", "local"}:
        yield _deny("/HostConfig/VolumeDriver", "only the driver local is allowed")


def _check_bind(bind: str, pointer: str, policy: AdmissionPolicy) -> Iterator[Violation]:
    """Judge ``[source:]target[:options]``; the engine splits it at colons, too."""
    parts = bind.split(":")
    if len(parts) > 3:  # noqa: PLR2004 - source, target and options
        yield _deny(pointer, "is not of the form source:target:options")
        return
    source, target, options = ("", parts[0], "") if len(parts) == 1 else (*parts, "")[:3]
    if not target.startswith("/"):
        yield _deny(pointer, "its target is not an absolute path")
    if not source and len(parts) > 1:
        yield _deny(pointer, "its source is empty")
    elif source and not _VOLUME.fullmatch(source):
        yield from _check_path(source, pointer, policy)
    if options and not set(options.split(",")) <= _BIND_OPTIONS:
        yield _deny(pointer, f"the options {quote(options)} are not all harmless")


def _check_mount(mount: Host, pointer: str, policy: AdmissionPolicy) -> Iterator[Violation]:
    kind, source = mount.get("Type", ""), mount.get("Source", "")
    if kind not in _MOUNT_TYPES:
        yield _deny(f"{pointer}/Type", "only bind, volume, tmpfs and image are allowed")
    elif kind == "bind":
        yield from _check_path(source, f"{pointer}/Source", policy)
    elif kind == "volume" and source and not _VOLUME.fullmatch(source):
        yield _deny(f"{pointer}/Source", f"{quote(source)} is not the name of a volume")
    if mount.get("BindOptions", {}).get("Propagation", "") not in _PROPAGATIONS:
        yield _deny(f"{pointer}/BindOptions/Propagation", "mounts must not spread to the host")
    driver = mount.get("VolumeOptions", {}).get("DriverConfig", {})
    yield from _check_driver(driver, f"{pointer}/VolumeOptions/DriverConfig", policy)


def _check_driver(driver: Host, pointer: str, policy: AdmissionPolicy) -> Iterator[Violation]:
    """Judge a volume driver: with options, ``local`` mounts whatever the host can mount."""
    if driver.get("Name", "") not in {"", "local"}:
        yield _deny(f"{pointer}/Name", "only the driver local is allowed")
    options = driver.get("Options", {})
    if not options:
        return
    flags = set(options.get("o", "").split(","))
    if (
        not options.keys() <= _LOCAL_OPTIONS
        or options.get("type", "none") not in {"", "none"}
        or not flags <= _MOUNT_FLAGS
        or not flags & {"bind", "rbind"}
    ):
        yield _deny(
            f"{pointer}/Options",
            "only a bind (type none, o bind, device) of a host path is allowed",
        )
        return
    yield from _check_path(options.get("device", ""), f"{pointer}/Options/device", policy)


def _check_path(path: str, pointer: str, policy: AdmissionPolicy) -> Iterator[Violation]:
    normal = normalise(path)
    if normal is None:
        yield _deny(pointer, f"{quote(path)} is not an absolute path without '..'")
        return
    if is_guarded(normal, policy.guarded):
        yield Violation(
            pointer,
            f"{quote(path)} is, holds or lies within a path that would open the host",
            RULE,
            _ONLY_PRIVILEGED,
        )
    elif not any(is_within(normal, prefix) for prefix in policy.allow.host_paths):
        yield Violation(
            pointer,
            f"the host path {quote(path)} is not among those allowed",
            RULE,
            "hostPaths of the filter config",
        )


def _deny(pointer: str, message: str) -> Violation:
    return Violation(pointer, message, RULE, _ONLY_PRIVILEGED)
