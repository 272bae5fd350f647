"""Real processes on a real engine: no accepted manifest has the engine work without bound."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.private_engine import IMAGE, PrivateEngine, make_rootfs
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.waiting import wait_until

BOMB = '{{pad "x" 100000000000000 0}}'
HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"HostConfig": {"LogConfig": {"Config": {"tag": BOMB}}}}, "logDrivers"),
    ({"HostConfig": {"LogConfig": {"Config": {"max-file": "2000000000"}}}}, "logDrivers"),
    (
        {
            "HostConfig": {
                "LogConfig": {"Config": {"mode": "non-blocking", "max-buffer-size": "100g"}}
            }
        },
        "logDrivers",
    ),
    ({"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000}}, "healthcheck"),
    ({"StopTimeout": -1}, "stopTimeout"),
    ({"WorkingDir": "/proc/self/fd/8"}, "procPaths"),
    (
        {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1 << 53}}},
        "restartPolicy",
    ),
    (
        {"HostConfig": {"BlkioDeviceReadBps": [{"Path": "/etc/shadow", "Rate": 1}]}},
        "devices",
    ),
]
AT_THE_BOUND: dict[str, Any] = {
    "Cmd": ["sh", "-c", "seq 20000; sleep 1"],
    "StopTimeout": 60,
    "WorkingDir": "/tmp",
    "User": "1" * 9,
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000},
    "HostConfig": {
        "LogConfig": {
            "Type": "json-file",
            "Config": {
                "tag": "{{.Name}} {{.FullID}}",
                "max-size": "64k",
                "max-file": "20",
                "mode": "non-blocking",
                "max-buffer-size": "8m",
                "compress": "true",
                "labels-regex": "^.*$",
            },
        },
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 100},
        "Tmpfs": {"/t": "size=1m,mode=1777"},
        "CpusetCpus": "0",
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 100}],
    },
}


@pytest.fixture(scope="module")
def api(private_engine: PrivateEngine) -> Iterator[ApiProcess]:
    with ApiProcess(private_engine.host, "engine-values", ".") as process:
        yield process


@pytest.fixture
def controller(private_engine: PrivateEngine) -> Iterator[ControllerProcess]:
    with ControllerProcess(private_engine.host, "engine-values") as process:
        yield process


def make(name: str, **members: Any) -> dict[str, Any]:
    return {"Name": name, "Image": IMAGE, "Cmd": ["true"]} | members


def read_processor_seconds(pid: int) -> float:
    """Return the processor time of dockerd: user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(("members", "rule"), HOSTILE)
def test_a_value_that_the_engine_would_work_on_without_bound_is_refused(
    api: ApiProcess,
    private_engine: PrivateEngine,
    namespace: str,
    members: dict[str, Any],
    rule: str,
) -> None:
    reply = api.post(make(f"{namespace}-bad", **members))
    assert (reply.code, reply.body["error"]["reason"]) == (403, "Denied"), reply
    assert [found["rule"] for found in reply.body["error"]["violations"]] == [rule]
    assert private_engine.names(f"name={namespace}") == []


def test_with_values_at_their_bounds_a_job_runs_and_the_engine_lives(
    api: ApiProcess, controller: ControllerProcess, private_engine: PrivateEngine, namespace: str
) -> None:
    name = f"{namespace}-full"
    assert api.post(make(name, **AT_THE_BOUND)).code == 201
    before = private_engine.pid
    wait_until(lambda: api.get(f"/job/{name}").body["phase"] in {"Succeeded", "Failed"}, "the end")
    shown = api.get(f"/job/{name}").body
    assert shown["phase"] == "Succeeded", (shown, controller.log()[-2000:])
    assert (private_engine.pid, private_engine.docker("ps").returncode) == (before, 0)
    private_engine.docker("rm", "-f", name)


@pytest.mark.usefixtures("controller")
def test_an_images_health_check_takes_no_processor_of_the_engine(
    api: ApiProcess, private_engine: PrivateEngine, namespace: str
) -> None:
    """One that probes every millisecond took a core; the manifest names none, or leaves it open."""
    image = f"probing:{namespace}"
    change = "HEALTHCHECK --interval=1ms --timeout=1s CMD true"
    private_engine.docker("import", "-c", change, "-", image, stdin=make_rootfs())
    names = [f"{namespace}-none", f"{namespace}-open"]
    documents = [
        make(names[0], Image=image, Cmd=["sleep", "30"]),
        make(names[1], Image=image, Cmd=["sleep", "30"], Healthcheck={"Retries": 3}),
    ]
    for document in documents:
        assert api.post(document).code == 201
    wait_until(
        lambda: all(api.get(f"/job/{name}").body["phase"] == "Running" for name in names),
        "both at work",
    )
    began, used = time.monotonic(), read_processor_seconds(private_engine.pid)
    time.sleep(4)
    share = (read_processor_seconds(private_engine.pid) - used) / (time.monotonic() - began)
    none, inherited = (private_engine.inspect(name)["Config"]["Healthcheck"] for name in names)
    private_engine.docker("rm", "-f", *names)
    private_engine.docker("rmi", image)
    assert none["Test"] == ["NONE"]
    assert inherited["Interval"] == 30_000_000_000
    assert share < 0.2


def test_no_prefix_opens_the_engines_data_root_wherever_it_lies(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    """It holds the variables of every container."""
    config = tmp_path / "filter.yaml"
    config.write_text(
        "apiVersion: docker-job-dispatcher/v1\nkind: Filter\nmetadata: {name: any}\n"
        "spec:\n  path: /job\n  filter: .\n"
        f"  admission: {{allow: {{hostPaths: [{private_engine.folder}]}}}}\n"
    )
    allowed = private_engine.folder / "shared"
    allowed.mkdir(exist_ok=True)
    with ApiProcess(private_engine.host, namespace, "--from-file", str(config)) as api:
        for path in ("data", "data/containers", "."):
            bind = f"{private_engine.folder}/{path}:/stolen"
            reply = api.post(make(f"{namespace}-thief", HostConfig={"Binds": [bind]}))
            assert reply.code == 403, path
            assert reply.body["error"]["violations"][0]["rule"] == "hostPaths"
        fine = make(f"{namespace}-fine", HostConfig={"Binds": [f"{allowed}:/shared"]})
        assert api.post(fine).code == 201
    private_engine.docker("rm", "-f", f"{namespace}-fine")


def test_what_an_image_hands_on_counts_as_the_manifests_own(
    api: ApiProcess, private_engine: PrivateEngine, namespace: str
) -> None:
    """Labels of 3.6 MB took 3.6 GB of dockerd in 80 containers, past every limit of manifests."""
    image = f"heavy:{namespace}"
    changes = [w for n in range(4) for w in ("-c", f"LABEL big{n}={'x' * 5000}")]
    private_engine.docker("import", *changes, "-", image, stdin=make_rootfs())
    for user, code in (("", 400), ("1000", 400)):
        reply = api.post(make(f"{namespace}-heavy", Image=image, User=user))
        assert (reply.code, reply.body["error"]["reason"]) == (code, "InvalidManifest")
        assert reply.body["error"]["violations"][0]["pointer"] == "/Image"
    odd = f"odd:{namespace}"
    private_engine.docker("import", "-c", "WORKDIR /proc/self", "-", odd, stdin=make_rootfs())
    assert api.post(make(f"{namespace}-odd", Image=odd)).code == 403
    assert private_engine.names(f"name={namespace}") == []
    private_engine.docker("rmi", image, odd)
    gone = api.post(make(f"{namespace}-gone", Image=odd))
    assert gone.code in {400, 403}
    for strange in ("../containers/json?x=", "a/../b", "UPPER", "a b", "%2e%2e/x", "none:such"):
        reply = api.post(make(f"{namespace}-strange", Image=strange))
        assert reply.code == 400, (strange, reply)
        assert reply.body["error"]["reason"] in {"EngineRefused", "ImageNotFound"}, (strange, reply)
