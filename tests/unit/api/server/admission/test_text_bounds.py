"""What the engine holds in memory for as long as a job is kept is bounded, under every profile."""

from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy
from api.server.admission.settings import Profile
from tests.support.manifests import accept, list_violations, make_host, make_manifest, refuse

ANY = AdmissionPolicy(Profile.PRIVILEGED)
LONG = "x" * 900_000

TOO_LONG: list[tuple[dict[str, Any], str, str]] = [
    (make_manifest(User=LONG), "/User", "512"),
    (make_manifest(User="€" * 171), "/User", "512"),
    (make_manifest(Image=LONG), "/Image", "512"),
    (make_manifest(Platform="a" * 600), "/Platform", "512"),
    (make_manifest(WorkingDir="/a" * 2500), "/WorkingDir", "4096"),
    (make_manifest(StopSignal=LONG), "/StopSignal", "64"),
    (make_manifest(Domainname="a" * 65), "/Domainname", "64"),
    (make_manifest(MacAddress=LONG), "/MacAddress", "4096"),
    (make_manifest(Healthcheck={"Test": ["CMD", LONG]}), "/Healthcheck/Test/1", "4096"),
    (make_manifest(Shell=["€" * 1366]), "/Shell/0", "4096"),
    (make_host(NetworkMode=LONG), "/HostConfig/NetworkMode", "4096"),
    (make_host(CapDrop=["ALL", LONG]), "/HostConfig/CapDrop/1", "4096"),
    (make_host(Tmpfs={"/t": LONG}), "/HostConfig/Tmpfs/~1t", "4096"),
    (make_host(LogConfig={"Config": {"tag": LONG}}), "/HostConfig/LogConfig/Config/tag", "4096"),
    (make_manifest(Env=["A=" + "x" * (100 << 10)] * 3), "/Env", "256 KiB"),
    (make_manifest(Env=["A=b"] * 32_768 + ["C=d"]), "/Env", "32768"),
    (make_manifest(Env=[f"A{i:05}=bc" for i in range(30_000)]), "/Env", "256 KiB"),
    (make_host(Dns=["x" * 700] * 100), "", "64 KiB"),
    (make_host(Tmpfs={"/x" * 35_000: ""}), "", "64 KiB"),
    (make_manifest(ExposedPorts={"x" * 70 + str(i): {} for i in range(1000)}), "", "64 KiB"),
    (make_manifest(Volumes={f"/{i}": {} for i in range(101)}), "/Volumes", "100"),
    (make_host(Binds=["data:/d"] * 101), "/HostConfig/Binds", "100"),
    (make_host(Mounts=[{"Type": "volume"}] * 101), "/HostConfig/Mounts", "100"),
    (make_host(Tmpfs={f"/{i}": "" for i in range(101)}), "/HostConfig/Tmpfs", "100"),
]


@pytest.mark.parametrize(("manifest", "pointer", "bound"), TOO_LONG)
def test_what_is_too_long_is_refused_with_its_pointer_and_its_bound(
    manifest: dict[str, Any], pointer: str, bound: str
) -> None:
    problem = refuse(manifest, ANY, (1, 47))
    assert (problem.code, problem.reason) == (400, "InvalidManifest")
    [found] = list_violations(problem)
    assert found["pointer"] == pointer
    assert bound in found["message"]
    assert len(problem.message) < 300


@pytest.mark.parametrize(
    "manifest",
    [
        make_manifest(User="x" * 512, Image="i" * 512, Domainname="a" * 64),
        make_manifest(WorkingDir="/x" * 2048),
        make_manifest(Shell=["€" * 1365]),
        make_manifest(Env=["A=" + "x" * 131_069]),
        make_manifest(Env=["A=b"] * 32_768),
        make_host(Dns=["x" * 600] * 100),
        make_host(Binds=["data:/d"] * 100, Tmpfs={f"/{i}": "" for i in range(100)}),
        make_manifest(Volumes={f"/{i}": {} for i in range(100)}),
    ],
)
def test_what_just_fits_is_taken(manifest: dict[str, Any]) -> None:
    assert accept(manifest, ANY).body
