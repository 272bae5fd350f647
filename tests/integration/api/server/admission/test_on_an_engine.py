"""What admission lets through is on the engine as it was meant; what it refuses, nowhere."""

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineError
from api.server.admission.admit import AdmissionPolicy, admit
from api.server.admission.create_schema import MANIFEST, Struct, ValueKind
from api.server.admission.settings import Profile
from api.server.http.problem import Problem
from tests.support.manifests import make_host, make_manifest, make_policy
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.verdicts import ALLOWED_BY_BASELINE, REFUSED_BY_BASELINE

BASELINE = AdmissionPolicy(Profile.BASELINE)
HOST_NETWORK = make_policy(networks=["host"])
RESTRICTED = make_policy(Profile.RESTRICTED, images=["busybox:*"])


class Recording:
    """An engine reached as the API reaches it: only what is admitted is created."""

    def __init__(self, engine: DockerEngine, private: PrivateEngine, name: str) -> None:
        self.engine = engine
        self.private = private
        self.name = name
        self.created: list[str] = []

    async def record(self, manifest: Mapping[str, Any], policy: AdmissionPolicy) -> dict[str, Any]:
        """Admit and create; return what the engine then shows."""
        version = (await self.engine.info()).api_version
        named = dict(manifest) | {"Name": self.make_name()}
        admitted = admit(named, policy, api_version=version)
        return await self.create(admitted.name, admitted.body)

    async def create(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create without asking admission."""
        container = (await self.engine.create(name, body)).uid
        self.created.append(container)
        return self.private.inspect(container)

    async def run(self, shown: Mapping[str, Any]) -> str:
        """Start a container, wait for its end and return what it printed."""
        await self.engine.start(shown["Id"])
        end = time.monotonic() + 60
        while self.private.inspect(shown["Id"])["State"]["Status"] != "exited":
            assert time.monotonic() < end
        return self.private.docker("logs", shown["Id"]).stdout

    def make_name(self) -> str:
        return f"{self.name}-{len(self.created)}"

    def list_held(self) -> list[str]:
        """Return the names of this test's containers on the engine."""
        return [name for name in self.private.names() if name.startswith(self.name)]


@pytest.fixture
async def recording(
    docker_engine: DockerEngine, private_engine: PrivateEngine, namespace: str
) -> AsyncIterator[Recording]:
    recording = Recording(docker_engine, private_engine, namespace)
    yield recording
    for container in recording.created:
        private_engine.docker("rm", "-f", "-v", container)


BYPASSES: list[tuple[str, dict[str, Any], tuple[str, str], object]] = [
    (
        "a key in lower case",
        {"hostconfig": {"privileged": True}},
        ("HostConfig", "Privileged"),
        True,
    ),
    (
        "a key with a long s",
        {"Ho\u017ftConfig": {"Privileged": True}},
        ("HostConfig", "Privileged"),
        True,
    ),
    (
        "a key with a Kelvin sign",
        {"HostConfig": {"Networ\u212aMode": "host"}},
        ("HostConfig", "NetworkMode"),
        "host",
    ),
    (
        "a second spelling of a key",
        {"Labels": {"owner": "good"}, "labels": {"owner": "evil"}},
        ("Config", "Labels"),
        {"owner": "evil"},
    ),
    (
        "a volume that binds the host",
        {
            "HostConfig": {
                "Mounts": [
                    {
                        "Type": "volume",
                        "Target": "/host",
                        "VolumeOptions": {
                            "DriverConfig": {
                                "Name": "local",
                                "Options": {"type": "none", "o": "bind", "device": "/"},
                            }
                        },
                    }
                ]
            }
        },
        ("HostConfig", "Privileged"),
        False,
    ),
]


@pytest.mark.parametrize(
    ("members", "shown", "danger"), [case[1:] for case in BYPASSES], ids=[c[0] for c in BYPASSES]
)
async def test_a_bypass_that_the_engine_falls_for_is_closed(
    recording: Recording, members: dict[str, Any], shown: tuple[str, str], danger: object
) -> None:
    """Sent as it is, it works; so admission alone stands between it and the host."""
    naive = {"Image": IMAGE, "Cmd": ["/bin/busybox", "ls", "/host/proc/self"]} | members
    before = await recording.create(f"{recording.name}-naive", naive)
    part, key = shown
    assert before[part][key] == danger
    with pytest.raises(Problem) as caught:
        await recording.record(naive, BASELINE)
    assert caught.value.code in {400, 403}
    assert recording.list_held() == [f"{recording.name}-naive"]


async def test_the_volume_bypass_reads_the_host_when_nobody_judges_it(
    recording: Recording, private_engine: PrivateEngine
) -> None:
    (private_engine.folder / "secret").write_text("of the host")
    options = {"type": "none", "o": "bind", "device": str(private_engine.folder)}
    mount = {
        "Type": "volume",
        "Target": "/host",
        "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}},
    }
    manifest = make_host(Mounts=[mount]) | {"Cmd": ["/bin/cat", "/host/secret"]}
    with pytest.raises(Problem):
        await recording.record(manifest, BASELINE)
    assert recording.list_held() == []
    shown = await recording.record(manifest, AdmissionPolicy(Profile.PRIVILEGED))
    assert await recording.run(shown) == "of the host"
    allowed = make_policy(hostPaths=[str(private_engine.folder)])
    assert await recording.run(await recording.record(manifest, allowed)) == "of the host"


@pytest.mark.parametrize("profile", [Profile.BASELINE, Profile.RESTRICTED])
async def test_no_refused_manifest_leaves_anything_on_the_engine(
    recording: Recording, profile: Profile
) -> None:
    volumes = recording.private.docker("volume", "ls", "-q").stdout
    for manifest, pointer, _ in REFUSED_BY_BASELINE:
        with pytest.raises(Problem) as caught:
            await recording.record(manifest | {"User": "1000"}, make_policy(profile, images=["*"]))
        # This engine knows some of the keys not at all: that is refused before the profile.
        assert caught.value.code in {400, 403}, pointer
        assert pointer in str(caught.value.details["violations"])
    assert recording.list_held() == []
    assert recording.private.docker("volume", "ls", "-q").stdout == volumes


@pytest.mark.parametrize("manifest", ALLOWED_BY_BASELINE)
async def test_an_admitted_manifest_is_on_the_engine_as_it_was_meant(
    recording: Recording, manifest: dict[str, Any]
) -> None:
    shown = await recording.record(manifest | {"Cmd": ["/bin/true"]}, BASELINE)
    for key, value in manifest.get("HostConfig", {}).items():
        assert contains(shown["HostConfig"].get(key), value), key
    assert contains(shown["HostConfig"], {"Privileged": False, "PidMode": "", "UTSMode": ""})


def contains(shown: object, meant: object) -> bool:
    """Tell whether ``shown`` says all of ``meant``; the engine adds defaults, null is empty."""
    if isinstance(meant, dict) and isinstance(shown, dict):
        return all(contains(shown.get(key), value) for key, value in meant.items())
    if isinstance(meant, list) and isinstance(shown, list):
        return len(shown) == len(meant) and all(map(contains, shown, meant))
    return shown == meant or (shown is None and not meant)


async def test_a_restricted_job_runs_without_any_privilege(recording: Recording) -> None:
    manifest = make_manifest(User="1000:1000", Cmd=["/bin/cat", "/proc/self/status"])
    shown = await recording.record(manifest, RESTRICTED)
    host = shown["HostConfig"]
    assert (host["PidsLimit"], host["Memory"]) == (512, 1 << 30)
    assert host["CapDrop"] == ["ALL"]
    lines = (await recording.run(shown)).splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert {status[key].strip("0") for key in ("CapEff", "CapPrm", "CapBnd")} == {""}
    assert set(status["Uid"].split()) == {"1000"}


async def test_a_key_newer_than_the_engine_would_vanish_and_is_refused(
    recording: Recording,
) -> None:
    version = (await recording.engine.info()).api_version
    members = {"Healthcheck": {"Test": ["NONE"], "StartInterval": 1_000_000_000}}
    known = version >= (1, 44)
    name = f"{recording.name}-naive"
    shown = await recording.create(name, {"Image": IMAGE, "Cmd": ["/bin/true"]} | members)
    assert ("StartInterval" in shown["Config"]["Healthcheck"]) is known
    if known:
        assert await recording.record(make_manifest(Cmd=["/bin/true"], **members), BASELINE)
    else:
        with pytest.raises(Problem, match=r"needs the engine's API version 1\.44"):
            await recording.record(make_manifest(Cmd=["/bin/true"], **members), BASELINE)
        assert recording.list_held() == [name]


async def test_the_hosts_network_under_its_id_is_not_the_hosts_namespace(
    recording: Recording,
) -> None:
    """Admission reads names and refuses what may be an id; one that is allowed does no harm."""
    network = recording.private.docker("network", "ls", "-q", "-f", "name=host").stdout.strip()
    show = {"Cmd": ["/bin/busybox", "readlink", "/proc/self/ns/net"]}
    of_host = f"{Path(f'/proc/{recording.private.pid}/ns/net').readlink()}\n"
    by_name = await recording.record(make_host(NetworkMode="host") | show, HOST_NETWORK)
    assert await recording.run(by_name) == of_host
    for beginning in (network, network[:5], network[0]):
        with pytest.raises(Problem, match="the beginning of any network's id"):
            await recording.record(make_host(NetworkMode=beginning) | show, BASELINE)
    allowed = make_policy(networks=[network])
    by_id = await recording.record(make_host(NetworkMode=network) | show, allowed)
    assert await recording.run(by_id) not in {"", of_host}


RICH = make_manifest(
    Cmd=["/bin/true"],
    Healthcheck={"Test": ["NONE"]},
    ExposedPorts={"80/tcp": {}},
    StopSignal="SIGTERM",
    StopTimeout=5,
    Shell=["/bin/sh"],
    ArgsEscaped=True,
    NetworkDisabled=True,
    MacAddress="02:42:ac:11:00:02",
    HostConfig={
        "Mounts": [{"Type": "tmpfs", "Target": "/t"}],
        "Sysctls": {"net.ipv4.ip_forward": "0"},
        "Tmpfs": {"/u": ""},
        "Init": True,
    },
)
NOT_SHOWN = {
    "Config": set[str](),
    "HostConfig": {"Annotations", "StorageOpt", "KernelMemoryTCP"},
}
"""Keys of the table that this engine's inspect omits: empty, or newer."""


async def test_the_table_spells_every_key_as_the_engine_does(recording: Recording) -> None:
    shown = await recording.record(RICH, AdmissionPolicy(Profile.PRIVILEGED))
    besides = {"Name", "Platform", "HostConfig", "NetworkingConfig"}
    version = (await recording.engine.info()).api_version
    for part, kind, other in (
        ("Config", MANIFEST, besides),
        ("HostConfig", MANIFEST.fields["HostConfig"].kind, set[str]()),
    ):
        known = list_keys(kind, version) - other
        assert known - set(shown[part]) <= NOT_SHOWN[part]
        assert set(shown[part]) - known <= {"ConsoleSize"}  # before 1.42, for Windows only


def list_keys(kind: ValueKind, version: tuple[int, int]) -> set[str]:
    assert isinstance(kind, Struct)
    return {
        key
        for key, known in kind.fields.items()
        if (known.since or version) <= version <= (known.until or version)
    }


AT_THE_BOUND: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # what is taken, and one more
    ({"Env": ["A=" + "x" * 131_069]}, {"Env": ["A=" + "x" * 131_070]}),
    ({"Env": ["A=" + "é" * 65_534]}, {"Env": ["A=" + "é" * 65_535]}),
    ({"Hostname": "h" * 64}, {"Hostname": "h" * 65}),
    ({"Hostname": "é" * 32}, {"Hostname": "é" * 33}),
    ({"User": "2147483647"}, {"User": "2147483648"}),
    (
        {"HostConfig": {"Tmpfs": {"/" + "x" * 255: ""}}},
        {"HostConfig": {"Tmpfs": {"/" + "x" * 256: ""}}},
    ),
    (
        {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 64}]}},
        {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 65, "Hard": 64}]}},
    ),
]


@pytest.mark.parametrize(("taken", "refused"), AT_THE_BOUND)
async def test_what_no_kernel_starts_is_refused_and_what_one_starts_runs(
    recording: Recording, taken: dict[str, Any], refused: dict[str, Any]
) -> None:
    """On the engine itself, what is refused cannot start, or fails without a word."""
    base = make_host(NetworkMode="none") | {"Image": IMAGE, "Cmd": ["true"]}
    for members, works in ((taken, True), (refused, False)):
        host = base["HostConfig"] | members.get("HostConfig", {})
        manifest = base | members | {"HostConfig": host}
        if works:
            shown = await recording.record(manifest, HOST_NETWORK)
        else:
            with pytest.raises(Problem) as caught:
                await recording.record(manifest, HOST_NETWORK)
            assert (caught.value.code, caught.value.reason) == (400, "InvalidManifest")
            body = {key: value for key, value in manifest.items() if key != "Name"}
            shown = await recording.create(recording.make_name(), body)
        try:
            await recording.run(shown)
        except EngineError:
            assert not works
            continue
        code = recording.private.inspect(shown["Id"])["State"]["ExitCode"]
        assert (code == 0) is works
