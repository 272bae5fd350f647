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
class Items:
    """An array of at most ``most`` values of one kind."""

    kind: "Kind"
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Free:
    """An object whose keys are the user's; at most ``most`` values of one kind."""

    kind: "Kind"
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Struct:
    """An object whose keys are the engine's."""

    fields: Mapping[str, "Field"] = field(hash=False)


Kind = Leaf | Items | Free | Struct


@dataclass(frozen=True, slots=True)
class Field:
    """A known key: an engine older than ``since`` or newer than ``until`` ignores it silently."""

    kind: Kind
    since: Version | None = None
    until: Version | None = None


def _each(kind: Kind, *names: str) -> dict[str, Field]:
    return {name: Field(kind) for name in names}


_LIST: Final = Items(Leaf.TEXT)
_MAP: Final = Free(Leaf.TEXT)
# As many arguments as their limit of 32 KiB can hold.
_COMMAND: Final = Items(Leaf.TEXT, most=32_768)

_HEALTH = Struct(
    _each(_LIST, "Test")
    | _each(Leaf.WHOLE, "Interval", "Timeout", "StartPeriod", "Retries")
    | {"StartInterval": Field(Leaf.WHOLE, since=(1, 44))}
)
_DRIVER = Struct(_each(Leaf.TEXT, "Name") | _each(_MAP, "Options"))
_MOUNT = Struct(
    _each(Leaf.TEXT, "Type", "Source", "Target", "Consistency")
    | _each(Leaf.FLAG, "ReadOnly")
    | {
        "BindOptions": Field(
            Struct(
                _each(Leaf.TEXT, "Propagation")
                | _each(Leaf.FLAG, "NonRecursive")
                | {
                    "CreateMountpoint": Field(Leaf.FLAG, since=(1, 42)),
                    "ReadOnlyNonRecursive": Field(Leaf.FLAG, since=(1, 44)),
                    "ReadOnlyForceRecursive": Field(Leaf.FLAG, since=(1, 44)),
                }
            )
        ),
        "VolumeOptions": Field(
            Struct(
                _each(Leaf.FLAG, "NoCopy")
                | _each(_MAP, "Labels")
                | _each(_DRIVER, "DriverConfig")
                | {"Subpath": Field(Leaf.TEXT, since=(1, 45))}
            )
        ),
        "TmpfsOptions": Field(
            Struct(
                _each(Leaf.WHOLE, "SizeBytes")
                | _each(Leaf.COUNT, "Mode")
                | {"Options": Field(Items(_LIST), since=(1, 46))}
            )
        ),
        "ImageOptions": Field(Struct(_each(Leaf.TEXT, "Subpath")), since=(1, 48)),
        "ClusterOptions": Field(Struct({}), since=(1, 42)),
    }
)
_RATE = Items(Struct(_each(Leaf.TEXT, "Path") | _each(Leaf.COUNT, "Rate")))
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
        "BlkioWeightDevice": Field(
            Items(Struct(_each(Leaf.TEXT, "Path") | _each(Leaf.COUNT, "Weight")))
        ),
        "DeviceRequests": Field(
            Items(
                Struct(
                    _each(Leaf.TEXT, "Driver")
                    | _each(Leaf.WHOLE, "Count")
                    | _each(_LIST, "DeviceIDs")
                    | _each(Items(_LIST), "Capabilities")
                    | _each(_MAP, "Options")
                )
            )
        ),
        "Devices": Field(
            Items(Struct(_each(Leaf.TEXT, "PathOnHost", "PathInContainer", "CgroupPermissions")))
        ),
        "KernelMemory": Field(Leaf.WHOLE, until=(1, 41)),
        "KernelMemoryTCP": Field(Leaf.WHOLE, until=(1, 51)),
        "Ulimits": Field(
            Items(Struct(_each(Leaf.TEXT, "Name") | _each(Leaf.WHOLE, "Soft", "Hard")))
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
        "Annotations": Field(_MAP, since=(1, 43)),
        "ConsoleSize": Field(Items(Leaf.COUNT, most=2), since=(1, 42)),
        "LogConfig": Field(Struct(_each(Leaf.TEXT, "Type") | _each(_MAP, "Config"))),
        "Mounts": Field(Items(_MOUNT)),
        "PortBindings": Field(Free(Items(Struct(_each(Leaf.TEXT, "HostIp", "HostPort")), most=16))),
        "RestartPolicy": Field(
            Struct(_each(Leaf.TEXT, "Name") | _each(Leaf.WHOLE, "MaximumRetryCount"))
        ),
    }
)
_ENDPOINT = Struct(
    _each(_LIST, "Aliases", "Links")
    | _each(_MAP, "DriverOpts")
    | _each(Leaf.TEXT, "NetworkID")
    | {
        "GwPriority": Field(Leaf.WHOLE, since=(1, 48)),
        "IPAMConfig": Field(
            Struct(_each(Leaf.TEXT, "IPv4Address", "IPv6Address") | _each(_LIST, "LinkLocalIPs"))
        ),
        "MacAddress": Field(Leaf.TEXT, since=(1, 44)),
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
    | _each(Free(Leaf.NOTHING), "ExposedPorts", "Volumes")
    | {
        "Env": Field(Items(Leaf.VARIABLE, most=32_768)),
        "Healthcheck": Field(_HEALTH),
        "HostConfig": Field(_HOST),
        "MacAddress": Field(Leaf.TEXT, until=(1, 51)),
        "NetworkingConfig": Field(Struct(_each(Free(_ENDPOINT), "EndpointsConfig"))),
    }
)
"""A manifest: the create body and, beside it, ``Name`` and ``Platform``."""
