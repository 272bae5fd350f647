"""Every key of the engine API's create body, 1.41 to 1.52, with its type and its API versions.

Left out are the operational members of an endpoint (``Gateway``, ``IPAddress``, …): the engine
sets them itself and ignores what a create call says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

Version = tuple[int, int]


class Leaf(Enum):
    """A value without members; its text is what a refusal says was expected."""

    TEXT = "a string"
    FLAG = "true or false"
    WHOLE = "a whole number"
    COUNT = "a whole number that is not negative"
    NOTHING = "an empty object"
    VARIABLE = 'a string of the form "NAME=value"'


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of at most ``most`` values of one kind."""

    kind: "ValueKind"
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object whose keys are the user's; at most ``most`` values of one kind."""

    kind: "ValueKind"
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Struct:
    """An object whose keys are the engine's."""

    fields: Mapping[str, "KnownKey"] = field(hash=False)


ValueKind = Leaf | ListOf | MapOf | Struct


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A known key: an engine older than ``since`` or newer than ``until`` ignores it silently."""

    kind: ValueKind
    since: Version | None = None
    until: Version | None = None


def _each(kind: ValueKind, *names: str) -> dict[str, KnownKey]:
    return {name: KnownKey(kind) for name in names}


_LIST: Final = ListOf(Leaf.TEXT)
_MAP: Final = MapOf(Leaf.TEXT)
# As many arguments as their limit of 32 KiB can hold.
_COMMAND: Final = ListOf(Leaf.TEXT, most=32_768)

_HEALTH = Struct(
    _each(_LIST, "Test")
    | _each(Leaf.WHOLE, "Interval", "Timeout", "StartPeriod", "Retries")
    | {"StartInterval": KnownKey(Leaf.WHOLE, since=(1, 44))}
)
_DRIVER = Struct(_each(Leaf.TEXT, "Name") | _each(_MAP, "Options"))
MOUNT: Final = Struct(
    _each(Leaf.TEXT, "Type", "Source", "Target", "Consistency")
    | _each(Leaf.FLAG, "ReadOnly")
    | {
        "BindOptions": KnownKey(
            Struct(
                _each(Leaf.TEXT, "Propagation")
                | _each(Leaf.FLAG, "NonRecursive")
                | {
                    "CreateMountpoint": KnownKey(Leaf.FLAG, since=(1, 42)),
                    "ReadOnlyNonRecursive": KnownKey(Leaf.FLAG, since=(1, 44)),
                    "ReadOnlyForceRecursive": KnownKey(Leaf.FLAG, since=(1, 44)),
                }
            )
        ),
        "VolumeOptions": KnownKey(
            Struct(
                _each(Leaf.FLAG, "NoCopy")
                | _each(_MAP, "Labels")
                | _each(_DRIVER, "DriverConfig")
                | {"Subpath": KnownKey(Leaf.TEXT, since=(1, 45))}
            )
        ),
        "TmpfsOptions": KnownKey(
            Struct(
                _each(Leaf.WHOLE, "SizeBytes")
                | _each(Leaf.COUNT, "Mode")
                | {"Options": KnownKey(ListOf(_LIST), since=(1, 46))}
            )
        ),
        "ImageOptions": KnownKey(Struct(_each(Leaf.TEXT, "Subpath")), since=(1, 48)),
        "ClusterOptions": KnownKey(Struct({}), since=(1, 42)),
    }
)
_RATE = ListOf(Struct(_each(Leaf.TEXT, "Path") | _each(Leaf.COUNT, "Rate")))
_RESOURCES: Final = (
    _each(Leaf.TEXT, "CgroupParent", "CpusetCpus", "CpusetMems")
    | _each(Leaf.FLAG, "OomKillDisable")
    | _each(
        Leaf.WHOLE,
        "CpuCount",
        "CpuPercent",
        "CpuPeriod",
        "CpuQuota",
        "CpuRealtimePeriod",
        "CpuRealtimeRuntime",
        "CpuShares",
        "Memory",
        "MemoryReservation",
        "MemorySwap",
        "MemorySwappiness",
        "NanoCpus",
        "PidsLimit",
    )
    | _each(Leaf.COUNT, "BlkioWeight", "IOMaximumBandwidth", "IOMaximumIOps")
    | {
        "BlkioWeightDevice": KnownKey(
            ListOf(Struct(_each(Leaf.TEXT, "Path") | _each(Leaf.COUNT, "Weight")))
        ),
        "DeviceRequests": KnownKey(
            ListOf(
                Struct(
                    _each(Leaf.TEXT, "Driver")
                    | _each(Leaf.WHOLE, "Count")
                    | _each(_LIST, "DeviceIDs")
                    | _each(ListOf(_LIST), "Capabilities")
                    | _each(_MAP, "Options")
                )
            )
        ),
        "Devices": KnownKey(
            ListOf(Struct(_each(Leaf.TEXT, "PathOnHost", "PathInContainer", "CgroupPermissions")))
        ),
        "KernelMemory": KnownKey(Leaf.WHOLE, until=(1, 41)),
        "KernelMemoryTCP": KnownKey(Leaf.WHOLE, until=(1, 51)),
        "Ulimits": KnownKey(
            ListOf(Struct(_each(Leaf.TEXT, "Name") | _each(Leaf.WHOLE, "Soft", "Hard")))
        ),
    }
    | _each(_LIST, "DeviceCgroupRules")
    | _each(
        _RATE,
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
    )
)
_HOST = Struct(
    _RESOURCES
    | _each(
        Leaf.TEXT,
        "Cgroup",
        "CgroupnsMode",
        "ContainerIDFile",
        "IpcMode",
        "Isolation",
        "NetworkMode",
        "PidMode",
        "Runtime",
        "UTSMode",
        "UsernsMode",
        "VolumeDriver",
    )
    | _each(Leaf.FLAG, "AutoRemove", "Init", "Privileged", "PublishAllPorts", "ReadonlyRootfs")
    | _each(Leaf.WHOLE, "OomScoreAdj", "ShmSize")
    | _each(
        _LIST,
        "Binds",
        "CapAdd",
        "CapDrop",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "GroupAdd",
        "Links",
        "MaskedPaths",
        "ReadonlyPaths",
        "SecurityOpt",
        "VolumesFrom",
    )
    | _each(_MAP, "StorageOpt", "Sysctls", "Tmpfs")
    | {
        "Annotations": KnownKey(_MAP, since=(1, 43)),
        "ConsoleSize": KnownKey(ListOf(Leaf.COUNT, most=2), since=(1, 42)),
        "LogConfig": KnownKey(Struct(_each(Leaf.TEXT, "Type") | _each(_MAP, "Config"))),
        "Mounts": KnownKey(ListOf(MOUNT)),
        "PortBindings": KnownKey(
            MapOf(ListOf(Struct(_each(Leaf.TEXT, "HostIp", "HostPort")), most=16))
        ),
        "RestartPolicy": KnownKey(
            Struct(_each(Leaf.TEXT, "Name") | _each(Leaf.WHOLE, "MaximumRetryCount"))
        ),
    }
)
_ENDPOINT = Struct(
    _each(_LIST, "Aliases", "Links")
    | _each(_MAP, "DriverOpts")
    | _each(Leaf.TEXT, "NetworkID")
    | {
        "GwPriority": KnownKey(Leaf.WHOLE, since=(1, 48)),
        "IPAMConfig": KnownKey(
            Struct(_each(Leaf.TEXT, "IPv4Address", "IPv6Address") | _each(_LIST, "LinkLocalIPs"))
        ),
        "MacAddress": KnownKey(Leaf.TEXT, since=(1, 44)),
    }
)

MANIFEST: Final = Struct(
    _each(
        Leaf.TEXT,
        "Name",
        "Platform",
        "Domainname",
        "Hostname",
        "Image",
        "StopSignal",
        "User",
        "WorkingDir",
    )
    | _each(
        Leaf.FLAG,
        "ArgsEscaped",
        "AttachStderr",
        "AttachStdin",
        "AttachStdout",
        "NetworkDisabled",
        "OpenStdin",
        "StdinOnce",
        "Tty",
    )
    | _each(Leaf.WHOLE, "StopTimeout")
    | _each(_COMMAND, "Cmd", "Entrypoint")
    | _each(_LIST, "OnBuild", "Shell")
    | _each(_MAP, "Labels")
    | _each(MapOf(Leaf.NOTHING), "ExposedPorts", "Volumes")
    | {
        "Env": KnownKey(ListOf(Leaf.VARIABLE, most=32_768)),
        "Healthcheck": KnownKey(_HEALTH),
        "HostConfig": KnownKey(_HOST),
        "MacAddress": KnownKey(Leaf.TEXT, until=(1, 51)),
        "NetworkingConfig": KnownKey(Struct(_each(MapOf(_ENDPOINT), "EndpointsConfig"))),
    }
)
"""A manifest: the create body and, beside it, ``Name`` and ``Platform``."""
