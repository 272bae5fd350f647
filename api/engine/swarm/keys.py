"""What becomes of each key of a manifest on Swarm: nothing is left out by mistake.

A key is a path of a manifest, ``*`` for any place in an array and any key of the user's. What
stands in none of the tables is refused. What stands below a key that is refused as a whole, or
below one that carries over as it is, needs no line.
"""

from collections.abc import Mapping
from typing import Final

Version = tuple[int, int]

_MOUNT: Final = "/HostConfig/Mounts/*"
_ENDPOINT: Final = "/NetworkingConfig/EndpointsConfig/*"

TAKEN: Final = frozenset(
    [
        *("/Name", "/Platform", "/Image", "/Labels", "/Hostname", "/User", "/WorkingDir"),
        *("/Entrypoint", "/Cmd", "/Env", "/Tty", "/OpenStdin", "/StopSignal", "/StopTimeout"),
        *("/Volumes", "/Healthcheck"),
        *(
            f"/Healthcheck/{key}"
            for key in ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
        ),
        *("/HostConfig", "/HostConfig/Binds", "/HostConfig/Tmpfs", "/HostConfig/VolumeDriver"),
        *("/HostConfig/ShmSize", "/HostConfig/GroupAdd", "/HostConfig/ReadonlyRootfs"),
        *("/HostConfig/Init", "/HostConfig/Sysctls", "/HostConfig/CapAdd", "/HostConfig/CapDrop"),
        *("/HostConfig/Isolation", "/HostConfig/SecurityOpt", "/HostConfig/NetworkMode"),
        *("/HostConfig/Dns", "/HostConfig/DnsOptions", "/HostConfig/DnsSearch"),
        "/HostConfig/ExtraHosts",
        *(f"/HostConfig/PortBindings{key}" for key in ("", "/*", "/*/*")),
        *(f"/HostConfig/PortBindings/*/*/{key}" for key in ("HostIp", "HostPort")),
        *("/HostConfig/Memory", "/HostConfig/MemoryReservation", "/HostConfig/MemorySwap"),
        *("/HostConfig/MemorySwappiness", "/HostConfig/NanoCpus", "/HostConfig/PidsLimit"),
        *("/HostConfig/DeviceRequests", "/HostConfig/DeviceRequests/*"),
        *("/HostConfig/DeviceRequests/*/Count", "/HostConfig/DeviceRequests/*/Capabilities"),
        *("/HostConfig/Ulimits", "/HostConfig/Ulimits/*"),
        *(f"/HostConfig/Ulimits/*/{key}" for key in ("Name", "Soft", "Hard")),
        *("/HostConfig/LogConfig", "/HostConfig/LogConfig/Type", "/HostConfig/LogConfig/Config"),
        *("/HostConfig/RestartPolicy", "/HostConfig/RestartPolicy/Name"),
        "/HostConfig/RestartPolicy/MaximumRetryCount",
        *("/HostConfig/Mounts", _MOUNT),
        *(f"{_MOUNT}/{key}" for key in ("Type", "Source", "Target", "ReadOnly")),
        *(f"{_MOUNT}/BindOptions{key}" for key in ("", "/Propagation", "/NonRecursive")),
        *(f"{_MOUNT}/VolumeOptions{key}" for key in ("", "/NoCopy", "/Labels", "/Subpath")),
        *(f"{_MOUNT}/VolumeOptions/DriverConfig{key}" for key in ("", "/Name", "/Options")),
        *(f"{_MOUNT}/TmpfsOptions{key}" for key in ("", "/SizeBytes", "/Mode", "/Options")),
        f"{_MOUNT}/ClusterOptions",
        *("/NetworkingConfig", "/NetworkingConfig/EndpointsConfig", _ENDPOINT),
        *(f"{_ENDPOINT}/{key}" for key in ("NetworkID", "Aliases", "DriverOpts")),
    ]
)
"""What a service has by another name; values that it cannot have are told beside the mapping."""

SINCE: Final[Mapping[str, Version]] = {"/HostConfig/OomScoreAdj": (1, 46)}
"""What a service has from an API version on that is not the manifest's; an older one drops it."""

WITHOUT_EFFECT: Final = frozenset(
    [
        *("/AttachStderr", "/AttachStdin", "/AttachStdout"),  # nobody attaches to a job's start
        f"{_MOUNT}/Consistency",  # Docker Desktop's, and only there
    ]
)
"""What changes nothing for a job on any engine."""

_NONE: Final = "Swarm has no such setting"
_CPUS: Final = f"{_NONE}: it limits and places by NanoCpus"
_BLOCK: Final = "Swarm does not limit block devices"
_NODE: Final = "Swarm gives a job nothing of the node's own namespaces"
_WINDOWS: Final = "Swarm limits no containers of Windows so"

REFUSED: Final[Mapping[str, str]] = {
    "/ArgsEscaped": _NONE,
    "/Domainname": f"{_NONE}: Hostname may hold the whole name",
    "/ExposedPorts": "Swarm exposes what PortBindings publishes, and nothing else",
    "/MacAddress": "Swarm chooses the hardware address of a job",
    "/NetworkDisabled": "Swarm runs no job without a network",
    "/OnBuild": _NONE,
    "/Shell": f"{_NONE}: begin the health check with CMD and the shell",
    "/StdinOnce": _NONE,
    "/HostConfig/Annotations": _NONE,
    "/HostConfig/AutoRemove": "Swarm keeps a job until it is removed",
    "/HostConfig/BlkioDeviceReadBps": _BLOCK,
    "/HostConfig/BlkioDeviceReadIOps": _BLOCK,
    "/HostConfig/BlkioDeviceWriteBps": _BLOCK,
    "/HostConfig/BlkioDeviceWriteIOps": _BLOCK,
    "/HostConfig/BlkioWeight": _BLOCK,
    "/HostConfig/BlkioWeightDevice": _BLOCK,
    "/HostConfig/Cgroup": _NONE,
    "/HostConfig/CgroupParent": f"{_NONE}: a node's engine chooses",
    "/HostConfig/CgroupnsMode": f"{_NONE}: a node's engine chooses",
    "/HostConfig/ConsoleSize": _NONE,
    "/HostConfig/ContainerIDFile": "Swarm writes no file on a node",
    "/HostConfig/CpuCount": _WINDOWS,
    "/HostConfig/CpuPercent": _WINDOWS,
    "/HostConfig/CpuPeriod": _CPUS,
    "/HostConfig/CpuQuota": _CPUS,
    "/HostConfig/CpuRealtimePeriod": _NONE,
    "/HostConfig/CpuRealtimeRuntime": _NONE,
    "/HostConfig/CpuShares": _CPUS,
    "/HostConfig/CpusetCpus": _CPUS,
    "/HostConfig/CpusetMems": _NONE,
    "/HostConfig/DeviceCgroupRules": "Swarm passes no device of a node into a job",
    "/HostConfig/DeviceRequests/*/DeviceIDs": "Swarm chooses which of a node's resources a job has",
    "/HostConfig/DeviceRequests/*/Driver": "Swarm leaves the driver of a resource to the node",
    "/HostConfig/DeviceRequests/*/Options": "Swarm leaves the driver of a resource to the node",
    "/HostConfig/Devices": "Swarm passes no device of a node into a job",
    "/HostConfig/IOMaximumBandwidth": _WINDOWS,
    "/HostConfig/IOMaximumIOps": _WINDOWS,
    "/HostConfig/IpcMode": _NODE,
    "/HostConfig/KernelMemory": _NONE,
    "/HostConfig/KernelMemoryTCP": _NONE,
    "/HostConfig/Links": "Swarm links no containers: name a network that the jobs share",
    "/HostConfig/OomKillDisable": _NONE,
    "/HostConfig/PidMode": _NODE,
    "/HostConfig/Privileged": "Swarm runs no job with all privileges: name them in CapAdd",
    "/HostConfig/PublishAllPorts": "Swarm publishes what PortBindings names, and nothing else",
    "/HostConfig/Runtime": f"{_NONE}: a node's engine chooses",
    "/HostConfig/StorageOpt": _NONE,
    "/HostConfig/UTSMode": _NODE,
    "/HostConfig/UsernsMode": _NODE,
    "/HostConfig/VolumesFrom": "Swarm shares no volumes of another container: name the volume",
    f"{_MOUNT}/BindOptions/CreateMountpoint": "Swarm makes no folder on a node",
    f"{_MOUNT}/BindOptions/ReadOnlyForceRecursive": _NONE,
    f"{_MOUNT}/BindOptions/ReadOnlyNonRecursive": _NONE,
    f"{_MOUNT}/ImageOptions": "Swarm mounts no images",
    f"{_ENDPOINT}/GwPriority": _NONE,
    f"{_ENDPOINT}/IPAMConfig": "Swarm chooses the address of a job",
    f"{_ENDPOINT}/Links": "Swarm links no containers: use Aliases",
    f"{_ENDPOINT}/MacAddress": "Swarm chooses the hardware address of a job",
}
"""What no service has, and why; a value that asks for nothing (``""``, 0, ``[]``) is let pass."""

REFUSED_IF_PRESENT: Final[Mapping[str, str]] = {
    "/HostConfig/MaskedPaths": "Swarm leaves the paths of /proc as the node's engine has them",
    "/HostConfig/ReadonlyPaths": "Swarm leaves the paths of /proc as the node's engine has them",
}
"""The same, where an empty array asks for something, too."""
