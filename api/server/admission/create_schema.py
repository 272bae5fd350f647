"""Every key of the engine API's create body, 1.41 to 1.52, with its type and its API versions.

Left out are the operational members of an endpoint (``Gateway``, ``IPAddress``, …): the engine
sets them itself and ignores what a create call says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

Version = tuple[int, int]

MAX_MOUNTS: Final = 100
"""Mounts of one kind: the engine makes a folder for each, most of them at the create call."""
MAX_TEXT: Final = 4096
"""Bytes of a text where nothing else is said: the longest path (Linux's PATH_MAX)."""


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
    """An array of at most ``most`` values of one kind, texts of at most ``longest`` bytes."""

    kind: "ValueKind"
    most: int = 1_000
    longest: int | None = MAX_TEXT


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object whose keys are the user's; otherwise like :class:`ListOf`."""

    kind: "ValueKind"
    most: int = 1_000
    longest: int | None = MAX_TEXT


@dataclass(frozen=True, slots=True)
class Struct:
    """An object whose keys are the engine's."""

    fields: Mapping[str, "KnownKey"] = field(hash=False)


ValueKind = Leaf | ListOf | MapOf | Struct


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A known key: an engine older than ``since`` or newer than ``until`` ignores it silently.

    A text has at most ``longest`` bytes: the engine holds it in memory, and repeats it in errors.
    """

    kind: ValueKind
    since: Version | None = None
    until: Version | None = None
    longest: int | None = MAX_TEXT


def _each(kind: ValueKind, *names: str, longest: int | None = MAX_TEXT) -> dict[str, KnownKey]:
    return {name: KnownKey(kind, longest=longest) for name in names}


_LIST: Final = ListOf(Leaf.TEXT)
_MAP: Final = MapOf(Leaf.TEXT)
# As many arguments as their limit of 32 KiB can hold.
_COMMAND: Final = ListOf(Leaf.TEXT, most=32_768, longest=None)

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
    | _each(_MAP, "StorageOpt", "Sysctls")
    | {
        "Annotations": KnownKey(_MAP, since=(1, 43)),
        "ConsoleSize": KnownKey(ListOf(Leaf.COUNT, most=2), since=(1, 42)),
        "LogConfig": KnownKey(Struct(_each(Leaf.TEXT, "Type") | _each(_MAP, "Config"))),
        "Binds": KnownKey(ListOf(Leaf.TEXT, most=MAX_MOUNTS)),
        "Mounts": KnownKey(ListOf(MOUNT, most=MAX_MOUNTS)),
        "Tmpfs": KnownKey(MapOf(Leaf.TEXT, most=MAX_MOUNTS)),
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
    _each(Leaf.TEXT, "Name", "Hostname", "WorkingDir")
    | _each(Leaf.TEXT, "Domainname", "StopSignal", longest=64)
    | _each(Leaf.TEXT, "Image", "Platform", "User", longest=512)
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
    | _each(MapOf(Leaf.NOTHING), "ExposedPorts")
    | {
        "Labels": KnownKey(MapOf(Leaf.TEXT, longest=None)),
        "Volumes": KnownKey(MapOf(Leaf.NOTHING, most=MAX_MOUNTS)),
        "Env": KnownKey(ListOf(Leaf.VARIABLE, most=32_768, longest=None)),
        "Healthcheck": KnownKey(_HEALTH),
        "HostConfig": KnownKey(_HOST),
        "MacAddress": KnownKey(Leaf.TEXT, until=(1, 51)),
        "NetworkingConfig": KnownKey(Struct(_each(MapOf(_ENDPOINT, most=32), "EndpointsConfig"))),
    }
)
"""A manifest: the create body and, beside it, ``Name`` and ``Platform``."""
