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


def make_log(**options: str) -> dict[str, Any]:
    spelt = {key.replace("_", "-"): value for key, value in options.items()}
    return make_host(LogConfig={"Config": spelt})


ULIMITS = "/HostConfig/Ulimits"
LOGS = "/HostConfig/LogConfig/Config"
BULKY = {"a": "x", "b": "x" * 5000, "c": "x" * 4000}
BULKY_ENV = ["A=" + "x" * 4096, "B=" + "x" * 5000, "C=x"]
HOUR = 3_600_000_000_000
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
    # values that the engine itself works on
    *(
        (make_log(tag=tag), f"{LOGS}/tag", "logDrivers")
        for tag in (
            '{{pad "x" 100000000000000 0}}',
            "{{range $i, $e := .ContainerEnv}}{{$e}}{{end}}",
            '{{printf "%1000000000d" 1}}',
            "{{.Name | json}}",
            "{{.Command}}",
            "{{.ExtraAttributes nil}}",
            "{{ .Name -}}",
            "{{.Name",
            "{{",
            "a}}",
            "{{.Name}}" * 129,
            "{{.FullID}}" * 9,
            "x" * 129,
            "a\nb",
        )
    ),
    (
        make_host(LogConfig={"Type": "local", "Config": {"tag": "{{json .}}"}}),
        f"{LOGS}/tag",
        "logDrivers",
    ),
    (
        make_host(LogConfig={"Type": "json-file", "Config": {"tag": "{{json .}}"}}),
        f"{LOGS}/tag",
        "logDrivers",
    ),
    *(
        (make_log(max_file=count), f"{LOGS}/max-file", "logDrivers")
        for count in ("2000000000", "21", "0", "-1", "", "1e3", "0x10", " 1", "1\n")
    ),
    *(
        (make_log(max_size=size), f"{LOGS}/max-size", "logDrivers")
        for size in ("-1", "0", "1", "63k", "2g", "100t", "1p", "", "m", "9" * 20, "1.5m", "1m\n")
    ),
    *(
        (
            make_log(mode="non-blocking", max_buffer_size=size),
            f"{LOGS}/max-buffer-size",
            "logDrivers",
        )
        for size in ("100g", "9m", "0", "-1", "1", "8388609", "")
    ),
    (make_log(mode="never"), f"{LOGS}/mode", "logDrivers"),
    (make_log(compress="perhaps"), f"{LOGS}/compress", "logDrivers"),
    *(
        (make_log(**{key: value}), f"{LOGS}/{key.replace('_', '-')}", "logDrivers")
        for key in ("labels_regex", "env_regex")
        for value in ("((a{1000}){1000}){1000}", "x" * 129)
    ),
    *(
        (
            make_log(**{option.replace("-", "_"): value}) | {"Env": BULKY_ENV, "Labels": BULKY},
            LOGS,
            "logDrivers",
        )
        for option, value in (
            *(
                ("env", "A,B"),
                ("env", "B"),
                ("env-regex", "^A$"),
                ("labels", "b"),
            ),
            ("labels-regex", "x"),
        )
    ),
    (make_log(labels="x" * 1025), f"{LOGS}/labels", "logDrivers"),
    (make_log(env="a\nb"), f"{LOGS}/env", "logDrivers"),
    *(
        (make_manifest(Healthcheck={key: value}), f"/Healthcheck/{key}", "healthcheck")
        for key, value in (
            *(("Interval", 1_000_000), ("Interval", 1), ("Interval", 999_999_999)),
            *(("Interval", -1), ("Interval", 1 << 53), ("Timeout", 1_000_000), ("Timeout", -1)),
            *(("Timeout", 1 << 53), ("StartPeriod", -1), ("StartPeriod", 1 << 53)),
            *(("Retries", -1), ("Retries", 1 << 53), ("StartInterval", 1_000_000)),
        )
    ),
    *(
        (make_manifest(StopTimeout=value), "/StopTimeout", "stopTimeout")
        for value in (-1, 61, 3600, 1 << 53)
    ),
    *(
        (make_host(Ulimits=[{"Name": name, "Soft": 1, "Hard": 1}]), f"{ULIMITS}/0/Name", "ulimits")
        for name in ("rtprio", "nice", "rttime", "RTPRIO", "", "ulimit")
    ),
    (make_host(CpuRealtimePeriod=1), "/HostConfig/CpuRealtimePeriod", "realtime"),
    (make_host(CpuRealtimeRuntime=950000), "/HostConfig/CpuRealtimeRuntime", "realtime"),
    (make_host(CpusetCpus="0-4000000000"), "/HostConfig/CpusetCpus", "cpuset"),
    (make_host(CpusetMems="0-1," * 500), "/HostConfig/CpusetMems", "cpuset"),
    *(
        (
            make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": count}),
            "/HostConfig/RestartPolicy/MaximumRetryCount",
            "restartPolicy",
        )
        for count in (101, 1 << 31, 1 << 53)
    ),
    (
        make_host(BlkioWeightDevice=[{"Path": "/etc/shadow", "Weight": 10}]),
        "/HostConfig/BlkioWeightDevice/0/Path",
        "devices",
    ),
    *(
        (
            make_host(**{key: [{"Path": "/root/.ssh", "Rate": 1}]}),
            f"/HostConfig/{key}/0/Path",
            "devices",
        )
        for key in (
            *("BlkioDeviceReadBps", "BlkioDeviceReadIOps"),
            *("BlkioDeviceWriteBps", "BlkioDeviceWriteIOps"),
        )
    ),
    (
        make_host(BlkioDeviceReadBps=[{"Rate": 1}]),
        "/HostConfig/BlkioDeviceReadBps/0/Path",
        "devices",
    ),
    *(
        (make_manifest(WorkingDir=path), "/WorkingDir", "procPaths")
        for path in (
            *("/proc", "/proc/self/fd/8", "//proc/./1", "/tmp/../proc/self", "/../proc", "proc/1"),
            *("/dev/fd/8", "/proc/"),
        )
    ),
    *(
        (make_host(NetworkMode=name), "/HostConfig/NetworkMode", "hostNamespaces")
        for name in ("0f" * 32, "0123456789ab", "a", "12", "beef")
    ),
    (make_endpoint("n", NetworkID="0f" * 32), f"{ENDPOINTS}/n/NetworkID", "hostNamespaces"),
    (make_endpoint("abc123"), f"{ENDPOINTS}/abc123", "hostNamespaces"),
    *(
        (make_host(Tmpfs={"/t": options}), "/HostConfig/Tmpfs/~1t", "tmpfs")
        for options in ("rshared", "bind", "mpol=bind:0", "size=-1", "size=1m,huge=always")
    ),
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
    make_log(max_size="64k", max_file="20", compress="true", mode="non-blocking"),
    make_log(max_size="1g", max_file="1", mode="blocking"),
    make_log(mode="non-blocking", max_buffer_size="8m"),
    make_log(tag="job {{.Name}}/{{ .ID }}", labels="team,owner", env="A,B"),
    make_log(env="C", labels="a,c") | {"Env": BULKY_ENV, "Labels": BULKY},
    make_log(tag="{{.FullID}}" * 8),
    make_log(labels_regex="^(team|owner)[a-z]*$", env_regex="A.+"),
    make_manifest(StopTimeout=0),
    make_manifest(StopTimeout=60, WorkingDir="/srv/../proc2"),
    make_host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 100}),
    make_host(CpusetCpus="0-0,0", CpuRealtimePeriod=0, CpuRealtimeRuntime=0),
    make_host(Tmpfs={"/t": "rw,noexec,size=64m,mode=1777,nr_inodes=10k", "/u": ""}),
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
