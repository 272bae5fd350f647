"""The rules of the profile ``baseline``: nothing that reaches beyond the container."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.server.admission.images import check_images
from api.server.admission.mounts import check_mounts
from api.server.admission.paths import normalise
from api.server.admission.policy import AdmissionPolicy
from api.server.admission.settings import Profile
from api.server.admission.values import check_values
from api.server.admission.violations import Violation
from api.v1.quoting import point, quote

Body = Mapping[str, Any]
_PRIVILEGED: Final = "the profile privileged"

_VALUES: Final[Mapping[str, tuple[str, frozenset[object]]]] = {
    "Privileged": ("privileged", frozenset({False})),
    "PidMode": ("hostNamespaces", frozenset({""})),
    "IpcMode": ("hostNamespaces", frozenset({"", "none", "private", "shareable"})),
    "UTSMode": ("hostNamespaces", frozenset({""})),
    "UsernsMode": ("hostNamespaces", frozenset({""})),
    "CgroupnsMode": ("hostNamespaces", frozenset({"", "private"})),
    "Cgroup": ("cgroups", frozenset({""})),
    "CgroupParent": ("cgroups", frozenset({""})),
    "Runtime": ("runtime", frozenset({""})),
    "Isolation": ("runtime", frozenset({"", "default"})),
    "OomKillDisable": ("oom", frozenset({False})),
    "PublishAllPorts": ("hostPorts", frozenset({False})),
    "ContainerIDFile": ("hostPaths", frozenset({""})),
}
"""Members of HostConfig: their rule and the values allowed."""

_EMPTY: Final = {
    "Annotations": "annotations",
    "DeviceCgroupRules": "devices",
    "Links": "links",
    "PortBindings": "hostPorts",
    "StorageOpt": "storage",
    "Sysctls": "sysctls",
    "VolumesFrom": "volumesFrom",
}
"""Members of HostConfig that must be empty, and their rule."""

_ABSENT: Final = ("MaskedPaths", "ReadonlyPaths")
"""Members of HostConfig that even an empty array changes: it opens the paths of ``/proc``."""

_THROTTLES: Final = (
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
)
"""Members of HostConfig with paths of the host: the engine's answer tells whether one exists."""

_ID: Final = re.compile("[0-9a-f]+")
_UNSHARED: Final = frozenset({"", "default", "bridge", "none"})
"""Networks that ``restricted`` takes: on the default one nobody is found by name."""
_SECURITY: Final = frozenset({"no-new-privileges", "no-new-privileges:true"})
_LOG_DRIVERS: Final = frozenset({"", "json-file", "local", "none"})
# What only shapes the files: an unnamed driver is the engine's default, which may be a remote one.
_LOG_OPTIONS: Final = frozenset(
    [
        "compress",
        "env",
        "env-regex",
        "labels",
        "labels-regex",
        "max-buffer-size",
        "max-file",
        "max-size",
        "mode",
        "tag",
    ]
)


def check_baseline(body: Body, policy: AdmissionPolicy) -> Iterator[Violation]:
    """Yield every violation of ``baseline`` in a rebuilt manifest."""
    host: Body = body.get("HostConfig", {})
    yield from _check_values(host)
    yield from _check_restarts(host.get("RestartPolicy", {}))
    yield from _check_logs(host.get("LogConfig", {}))
    yield from _check_capabilities(host, policy)
    yield from _check_devices(host, policy)
    yield from _check_networks(body, policy)
    yield from check_mounts(host, policy)
    yield from check_values(body)
    yield from check_images(body, policy)


def _check_values(host: Body) -> Iterator[Violation]:
    for key, (rule, allowed) in _VALUES.items():
        if key in host and host[key] not in allowed:
            yield _deny(key, f"{_show(host[key])} is not allowed", rule)
    for key, rule in _EMPTY.items():
        if host.get(key):
            yield _deny(key, "must be empty", rule)
    for key in _ABSENT:
        if key in host:
            yield _deny(key, "must be absent, for an empty array too opens /proc", "procPaths")
    if host.get("OomScoreAdj", 0) < 0:
        yield _deny("OomScoreAdj", "must not be negative", "oom")
    for index, option in enumerate(host.get("SecurityOpt", ())):
        if option not in _SECURITY:
            message = f"{quote(option)} is not allowed, only no-new-privileges"
            yield _deny(f"SecurityOpt/{index}", message, "securityOptions")


def _check_restarts(restart: Body) -> Iterator[Violation]:
    name = restart.get("Name", "")
    if name not in {"", "no", "on-failure"}:
        yield _deny("RestartPolicy/Name", "a job must end: no or on-failure", "restartPolicy")
    elif name == "on-failure" and restart.get("MaximumRetryCount", 0) < 1:
        message = (
            "on-failure needs a maximum from 1 on: 0 and none are without end to the engine; for no"
            " retry let Name be no"
        )
        yield _deny("RestartPolicy/MaximumRetryCount", message, "restartPolicy")


def _check_logs(log: Body) -> Iterator[Violation]:
    if log.get("Type", "") not in _LOG_DRIVERS:
        message = f"{quote(log['Type'])} is not one of json-file, local and none"
        yield _deny("LogConfig/Type", message, "logDrivers")
    for option in log.get("Config", {}):
        if option not in _LOG_OPTIONS:
            pointer = point("LogConfig/Config", option)
            yield _deny(pointer, "is not an option of json-file or local", "logDrivers")


def _check_capabilities(host: Body, policy: AdmissionPolicy) -> Iterator[Violation]:
    for index, name in enumerate(host.get("CapAdd", ())):
        if name.upper().removeprefix("CAP_") not in policy.allow.capabilities:
            pointer = f"CapAdd/{index}"
            message = f"{quote(name)} is not allowed"
            yield _deny(pointer, message, "capabilities", "capabilities")


def _check_devices(host: Body, policy: AdmissionPolicy) -> Iterator[Violation]:
    allowed = set(policy.allow.devices)
    for index, device in enumerate(host.get("Devices", ())):
        path = device.get("PathOnHost", "")
        if normalise(path) not in allowed:
            message = f"the device {quote(path)} is not allowed"
            yield _deny(f"Devices/{index}/PathOnHost", message, "devices", "devices")
    for key in _THROTTLES:
        for index, device in enumerate(host.get(key, ())):
            if normalise(device.get("Path", "")) not in allowed:
                message = f"the device {quote(device.get('Path', ''))} is not allowed"
                yield _deny(f"{key}/{index}/Path", message, "devices", "devices")
    for index, request in enumerate(host.get("DeviceRequests", ())):
        kinds = [kind for group in request.get("Capabilities", ()) for kind in group]
        wanted = request.get("DeviceIDs", []) or kinds
        if not wanted or not allowed.issuperset(wanted) or request.get("Options"):
            message = "its DeviceIDs (without any, its Capabilities) are not all allowed"
            yield _deny(f"DeviceRequests/{index}", message, "devices", "devices")


def _check_networks(body: Body, policy: AdmissionPolicy) -> Iterator[Violation]:
    mode = body.get("HostConfig", {}).get("NetworkMode", "")
    yield from _check_network(mode, "/HostConfig/NetworkMode", policy)
    endpoints = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    for name, endpoint in endpoints.items():
        pointer = point("/NetworkingConfig/EndpointsConfig", name)
        yield from _check_network(name, pointer, policy)
        # The engine takes the id before the name.
        yield from _check_network(endpoint.get("NetworkID", ""), f"{pointer}/NetworkID", policy)
        if endpoint.get("DriverOpts"):
            message = "must be empty, for it can set sysctls"
            yield Violation(f"{pointer}/DriverOpts", message, "sysctls", _PRIVILEGED)


def _check_network(name: str, pointer: str, policy: AdmissionPolicy) -> Iterator[Violation]:
    rule = "hostNamespaces"
    if name in policy.allow.networks:
        return
    if name == "host" or ":" in name:
        message = f"the network {quote(name)} is not the container's own"
    elif _ID.fullmatch(name):
        # the engine takes the beginning of an id for the network, the host's too
        message = f"{quote(name)} may be the beginning of any network's id"
    elif policy.profile is Profile.RESTRICTED and name not in _UNSHARED:
        rule, message = "networks", f"the network {quote(name)} is not among those allowed"
    else:
        return
    yield Violation(pointer, message, rule, "networks of the filter config")


def _show(value: object) -> str:
    return quote(value) if isinstance(value, str) else str(value).lower()


def _deny(key: str, message: str, rule: str, permission: str | None = None) -> Violation:
    allow = f"{permission} of the filter config" if permission else _PRIVILEGED
    return Violation(f"/HostConfig/{key}", message, rule, allow)
