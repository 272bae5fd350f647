"""Manifests that a container and a service's container must come out of alike, one key at least."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from api.v1.wishes import NodeLoss, Wishes, encode_wishes
from tests.support.manifests import make_host, make_manifest

SECOND: Final = 1_000_000_000
TEMPLATE: Final = '{{.Node.ID}} {{{{{"\\n\n\t\x01\u2028ü`}} {{- x -}}'
"""What Go would take for a template, or refuse; with all that its literals must escape."""
ECHO: Final = "busybox:echo"
"""An image with an entrypoint and a command of its own."""

OLD: Final = (1, 41)
AS_MOUNTS: Final = frozenset(
    {
        *("Config/Volumes", "HostConfig/Binds", "HostConfig/Mounts", "HostConfig/Tmpfs"),
        *("HostConfig/ShmSize", "HostConfig/VolumeDriver"),
    }
)
"""Members of an inspected container that Swarm says as mounts, which are compared themselves."""


@dataclass(frozen=True, slots=True)
class Example:
    """A manifest that Swarm can have from the API version ``since`` on.

    ``differs`` are the members of an inspected container that may differ, each with its reason.
    """

    name: str
    manifest: dict[str, Any] = field(hash=False)
    since: tuple[int, int] = OLD
    differs: frozenset[str] = frozenset()


def list_examples(folder: str) -> list[Example]:
    """Return the manifests; ``folder`` is a path that is there on the node."""
    return [
        *_list_processes(),
        *_list_settings(),
        *_list_newer(),
        Example("mounts", make_mounting(folder), differs=AS_MOUNTS),
    ]


def _list_processes() -> Iterator[Example]:
    yield Example(
        "process",
        make_manifest(
            Platform="linux/amd64",
            Hostname="{{.Node.ID}}",
            User="12:34",
            WorkingDir="/tmp",
            Env=["A=b", f"B={TEMPLATE}", "C{{=d", "E=}}{"],
            Entrypoint=["sh", "-c"],
            Cmd=["true # {{.Node.ID}}", "x"],
            Labels={
                "a": "{{b",
                "docker-job-dispatcher.name": "c",
                "com.docker.swarm.constraints": '["node.role == manager"]',
            },
            StopSignal="SIGUSR1",
            StopTimeout=7,
            Tty=True,
            OpenStdin=True,
            HostConfig={
                "GroupAdd": ["56"],
                "ReadonlyRootfs": True,
                "Init": False,
                "CapAdd": ["NET_ADMIN"],
                "CapDrop": ["ALL"],
            },
        ),
    )
    yield Example("arguments", make_manifest(Image=ECHO, Cmd=["of", "mine"]))
    yield Example("entrypoint", make_manifest(Image=ECHO, Entrypoint=["true"]))
    yield Example("image", make_manifest(Image=ECHO))
    yield Example(
        "no-entrypoint",
        make_manifest(Image=ECHO, Entrypoint=[], Cmd=["true"]),
    )


def _list_settings() -> Iterator[Example]:
    yield Example(
        "limits",
        make_manifest(
            Cmd=["true"],
            Healthcheck={
                "Test": ["CMD", "true"],
                "Interval": 5 * SECOND,
                "Timeout": 2 * SECOND,
                "StartPeriod": 3 * SECOND,
                "Retries": 4,
            },
            HostConfig={
                "Memory": 64 << 20,
                "MemorySwap": 128 << 20,
                "MemorySwappiness": -1,
                "MemoryReservation": 32 << 20,
                "NanoCpus": 500_000_000,
                "PidsLimit": 99,
                "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
                "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "1"},
                "Isolation": "default",
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "tag": "{{.ID}}"}},
                "RestartPolicy": {"Name": "no"},
            },
        ),
        differs=frozenset({"HostConfig/MemoryReservation"}),  # the manager's alone
    )
    yield Example(
        "names",
        make_host(
            Dns=["192.0.2.1"],
            DnsSearch=["example.org"],
            DnsOptions=["ndots:2"],
            ExtraHosts=["one:192.0.2.2", "six:2001:db8::1"],
            PortBindings={"80/tcp": [{"HostPort": "18080"}], "81/udp": [{"HostIp": ""}]},
            LogConfig={"Type": "", "Config": {"max-size": "2m"}},
            Init=True,
        )
        | {"Cmd": ["true"]},
        differs=frozenset({"Config/ExposedPorts"}),  # what is published is exposed, too
    )
    yield Example(
        "retries",
        make_manifest(
            Cmd=["true"],
            Labels=encode_wishes(Wishes(on_node_loss=NodeLoss.RERUN)),
            HostConfig={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}},
        ),
    )
    yield Example("host", make_host(NetworkMode="host") | {"Cmd": ["true"]})


def _list_newer() -> Iterator[Example]:
    yield Example(
        "hardened",
        make_manifest(
            Cmd=["true"],
            Healthcheck={"Test": ["NONE"], "StartInterval": 6 * SECOND},
            HostConfig={"SecurityOpt": ["no-new-privileges=true"]},
        ),
        since=(1, 44),
    )
    subpath = {"Type": "volume", "Source": "sub", "Target": "/sub"}
    yield Example(
        "subpath",
        make_host(Mounts=[subpath | {"VolumeOptions": {"Subpath": "a"}}]) | {"Cmd": ["true"]},
        since=(1, 45),
    )
    options = {"Options": [["exec"]]}
    yield Example(
        "tmpfs-options",
        make_host(
            OomScoreAdj=300,
            Mounts=[{"Type": "tmpfs", "Target": "/exec", "TmpfsOptions": options}],
        )
        | {"Cmd": ["true"]},
        since=(1, 46),
    )


def make_mounting(folder: str) -> dict[str, Any]:
    """Return a manifest that mounts in every form; its job shows what is mounted."""
    driver = {"Name": "local", "Options": {"type": "none", "o": "bind", "device": folder}}
    labelled = {"Labels": {"a": TEMPLATE}, "NoCopy": True}
    return make_manifest(
        Cmd=["cat", "/proc/mounts"],
        Volumes={"/volume": {}, "/bound/": {}},
        HostConfig={
            "ShmSize": 32 << 20,
            "VolumeDriver": "local",
            "Binds": [f"{folder}:/bound:ro,private", "bound:/{{x}}:nocopy,cached", "/unnamed"],
            "Tmpfs": {"/tmpfs": "size=1m,mode=0700,ro,noexec", "/plain-tmpfs": ""},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": folder,
                    "Target": "/{{.Node.ID}}",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "private", "NonRecursive": True},
                },
                {
                    "Type": "volume",
                    "Source": "driven",
                    "Target": "/driven",
                    "VolumeOptions": labelled | {"DriverConfig": driver},
                },
                {
                    "Type": "volume",
                    "Source": "labelled",
                    "Target": "/labelled",
                    "VolumeOptions": labelled,
                },
                {
                    "Type": "tmpfs",
                    "Target": "/sized",
                    "TmpfsOptions": {"SizeBytes": 2 << 20, "Mode": 0o750},
                },
            ],
        },
    )
