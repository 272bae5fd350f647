"""What the profile ``baseline`` refuses, and where and by which rule; and what it allows."""

from typing import Any

from tests.support.manifests import make_host, make_manifest


def make_bind(source: str, **members: Any) -> dict[str, Any]:
    return make_host(Mounts=[{"Type": "bind", "Source": source, "Target": "/t"} | members])


def make_driver(**options: str) -> dict[str, Any]:
    driver = {"Name": "local", "Options": options}
    return make_host(Mounts=[{"Type": "volume", "VolumeOptions": {"DriverConfig": driver}}])


def make_endpoint(name: str, **members: Any) -> dict[str, Any]:
    return make_manifest(NetworkingConfig={"EndpointsConfig": {name: members}})


DRIVER = "/HostConfig/Mounts/0/VolumeOptions/DriverConfig"
ENDPOINTS = "/NetworkingConfig/EndpointsConfig"

REFUSED_BY_BASELINE: list[tuple[dict[str, Any], str, str]] = [
    (make_host(Privileged=True), "/HostConfig/Privileged", "privileged"),
    (make_host(CapAdd=["SYS_ADMIN"]), "/HostConfig/CapAdd/0", "capabilities"),
    (make_host(CapAdd=["all"]), "/HostConfig/CapAdd/0", "capabilities"),
    (
        make_host(Devices=[{"PathOnHost": "/dev/sda"}]),
        "/HostConfig/Devices/0/PathOnHost",
        "devices",
    ),
    (make_host(Devices=[{}]), "/HostConfig/Devices/0/PathOnHost", "devices"),
    (make_host(DeviceCgroupRules=["a *:* rwm"]), "/HostConfig/DeviceCgroupRules", "devices"),
    (make_host(DeviceRequests=[{"Count": -1}]), "/HostConfig/DeviceRequests/0", "devices"),
    (
        make_host(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["vendor.com/gpu=all"]}]),
        "/HostConfig/DeviceRequests/0",
        "devices",
    ),
    (make_host(VolumesFrom=["other"]), "/HostConfig/VolumesFrom", "volumesFrom"),
    (make_host(VolumeDriver="sshfs"), "/HostConfig/VolumeDriver", "hostPaths"),
    (make_host(NetworkMode="host"), "/HostConfig/NetworkMode", "hostNamespaces"),
    (make_host(NetworkMode="container:other"), "/HostConfig/NetworkMode", "hostNamespaces"),
    (make_endpoint("host"), f"{ENDPOINTS}/host", "hostNamespaces"),
    (make_endpoint("container:other"), f"{ENDPOINTS}/container:other", "hostNamespaces"),
    (make_endpoint("n", NetworkID="host"), f"{ENDPOINTS}/n/NetworkID", "hostNamespaces"),
    (make_endpoint("n", DriverOpts={"a": "b"}), f"{ENDPOINTS}/n/DriverOpts", "sysctls"),
    (make_host(PidMode="host"), "/HostConfig/PidMode", "hostNamespaces"),
    (make_host(PidMode="container:other"), "/HostConfig/PidMode", "hostNamespaces"),
    (make_host(IpcMode="host"), "/HostConfig/IpcMode", "hostNamespaces"),
    (make_host(IpcMode="container:other"), "/HostConfig/IpcMode", "hostNamespaces"),
    (make_host(UTSMode="host"), "/HostConfig/UTSMode", "hostNamespaces"),
    (make_host(UsernsMode="host"), "/HostConfig/UsernsMode", "hostNamespaces"),
    (make_host(CgroupnsMode="host"), "/HostConfig/CgroupnsMode", "hostNamespaces"),
    (make_host(Cgroup="container:other"), "/HostConfig/Cgroup", "cgroups"),
    (make_host(CgroupParent="/"), "/HostConfig/CgroupParent", "cgroups"),
    (make_host(SecurityOpt=["seccomp=unconfined"]), "/HostConfig/SecurityOpt/0", "securityOptions"),
    (
        make_host(SecurityOpt=["apparmor=unconfined"]),
        "/HostConfig/SecurityOpt/0",
        "securityOptions",
    ),
    (make_host(SecurityOpt=["label=disable"]), "/HostConfig/SecurityOpt/0", "securityOptions"),
    (
        make_host(SecurityOpt=["systempaths=unconfined"]),
        "/HostConfig/SecurityOpt/0",
        "securityOptions",
    ),
    (
        make_host(SecurityOpt=["no-new-privileges", "no-new-privileges:false"]),
        "/HostConfig/SecurityOpt/1",
        "securityOptions",
    ),
    (make_host(Sysctls={"net.ipv4.ip_forward": "1"}), "/HostConfig/Sysctls", "sysctls"),
    (make_host(Runtime="kata"), "/HostConfig/Runtime", "runtime"),
    (make_host(Isolation="process"), "/HostConfig/Isolation", "runtime"),
    (make_host(OomKillDisable=True), "/HostConfig/OomKillDisable", "oom"),
    (make_host(OomScoreAdj=-1), "/HostConfig/OomScoreAdj", "oom"),
    (make_host(MaskedPaths=[]), "/HostConfig/MaskedPaths", "procPaths"),
    (make_host(ReadonlyPaths=[]), "/HostConfig/ReadonlyPaths", "procPaths"),
    (make_host(StorageOpt={"size": "10G"}), "/HostConfig/StorageOpt", "storage"),
    (make_host(LogConfig={"Type": "syslog"}), "/HostConfig/LogConfig/Type", "logDrivers"),
    (make_host(LogConfig={"Type": "Local"}), "/HostConfig/LogConfig/Type", "logDrivers"),
    (
        make_host(LogConfig={"Config": {"fluentd-address": "a:1"}}),
        "/HostConfig/LogConfig/Config/fluentd-address",
        "logDrivers",
    ),
    (
        make_host(RestartPolicy={"Name": "always"}),
        "/HostConfig/RestartPolicy/Name",
        "restartPolicy",
    ),
    (
        make_host(RestartPolicy={"Name": "unless-stopped"}),
        "/HostConfig/RestartPolicy/Name",
        "restartPolicy",
    ),
    (
        make_host(RestartPolicy={"Name": "on-failure"}),
        "/HostConfig/RestartPolicy/MaximumRetryCount",
        "restartPolicy",
    ),
    (
        make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 0}),
        "/HostConfig/RestartPolicy/MaximumRetryCount",
        "restartPolicy",
    ),
    (
        make_host(Annotations={"org.systemd.property.X": "1"}),
        "/HostConfig/Annotations",
        "annotations",
    ),
    (make_host(Links=["database:db"]), "/HostConfig/Links", "links"),
    (
        make_host(PortBindings={"80/tcp": [{"HostPort": "80"}]}),
        "/HostConfig/PortBindings",
        "hostPorts",
    ),
    (make_host(PublishAllPorts=True), "/HostConfig/PublishAllPorts", "hostPorts"),
    (make_host(ContainerIDFile="/etc/id"), "/HostConfig/ContainerIDFile", "hostPaths"),
    (make_host(Mounts=[{"Type": "npipe"}]), "/HostConfig/Mounts/0/Type", "hostPaths"),
    (make_host(Mounts=[{"Type": "cluster"}]), "/HostConfig/Mounts/0/Type", "hostPaths"),
    (make_host(Mounts=[{"Source": "/etc"}]), "/HostConfig/Mounts/0/Type", "hostPaths"),
    (make_host(Mounts=[{"Type": "Bind", "Source": "/"}]), "/HostConfig/Mounts/0/Type", "hostPaths"),
    (
        make_host(Mounts=[{"Type": "volume", "Source": "/etc"}]),
        "/HostConfig/Mounts/0/Source",
        "hostPaths",
    ),
    (make_driver(type="none", o="bind", device="/"), f"{DRIVER}/Options/device", "hostPaths"),
    (make_driver(type="none", o="bind"), f"{DRIVER}/Options/device", "hostPaths"),
    (make_driver(o="rbind,ro", device="/etc"), f"{DRIVER}/Options/device", "hostPaths"),
    (make_driver(type="nfs", o="addr=10.0.0.1", device=":/x"), f"{DRIVER}/Options", "hostPaths"),
    (make_driver(type="ext4", device="/dev/sda1"), f"{DRIVER}/Options", "hostPaths"),
    (make_driver(type="none", o="bind,suid", device="/srv"), f"{DRIVER}/Options", "hostPaths"),
    (make_driver(TYPE="none", O="bind", device="/"), f"{DRIVER}/Options", "hostPaths"),
    (
        make_host(Mounts=[{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}]),
        f"{DRIVER}/Name",
        "hostPaths",
    ),
    (make_host(Binds=["/etc:/etc:ro"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["./data:/data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["../data:/data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["~/data:/data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=[":/data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["data:relative"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["data:/data:rshared"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["C:\\data:/data"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_host(Binds=["c:/data:/data:ro"]), "/HostConfig/Binds/0", "hostPaths"),
    (make_bind("/etc"), "/HostConfig/Mounts/0/Source", "hostPaths"),
    (make_bind(""), "/HostConfig/Mounts/0/Source", "hostPaths"),
    (make_bind("data"), "/HostConfig/Mounts/0/Source", "hostPaths"),
    (make_bind("\\\\.\\pipe\\docker_engine"), "/HostConfig/Mounts/0/Source", "hostPaths"),
]


ALLOWED_BY_BASELINE = [
    make_host(
        Privileged=False,
        CapAdd=[],
        CapDrop=["NET_RAW"],
        Devices=[],
        PidMode="",
        IpcMode="private",
        CgroupnsMode="private",
        SecurityOpt=["no-new-privileges", "no-new-privileges:true"],
        OomKillDisable=False,
        OomScoreAdj=500,
        Sysctls={},
        ReadonlyRootfs=True,
        Init=True,
        Ulimits=[{"Name": "nofile", "Soft": 10, "Hard": 20}],
        Tmpfs={"/tmp": "size=1m"},
    ),
    make_host(NetworkMode="none"),
    make_host(NetworkMode="bridge"),
    make_host(NetworkMode="jobs"),
    make_endpoint("jobs", Aliases=["a"], IPAMConfig={"IPv4Address": "10.0.0.2"}),
    make_host(RestartPolicy={"Name": "no"}),
    make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 2}),
    make_host(LogConfig={"Type": "local", "Config": {"max-size": "1m"}}),
    make_host(Binds=["data:/data", "data:/data2:ro,nocopy", "/anonymous"]),
    make_host(Mounts=[{"Type": "volume", "Source": "data", "Target": "/d"}]),
    make_host(
        Mounts=[
            {
                "Type": "volume",
                "Target": "/d",
                "VolumeOptions": {"DriverConfig": {"Name": "local"}},
            }
        ]
    ),
    make_host(Mounts=[{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096}}]),
]
