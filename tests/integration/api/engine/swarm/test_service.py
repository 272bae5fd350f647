"""A service's container is the container that the same manifest makes on one engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from api.engine.docker.connection import Connection
from api.engine.docker.endpoint import Endpoint
from api.engine.errors import EngineRefusedError
from api.engine.swarm.container import SYSTEM_LABELS
from api.engine.swarm.service import make_service, name_service
from api.engine.swarm.unsupported import find_unsupported
from tests.support.manifests import make_host, make_manifest
from tests.support.private_engine import PrivateEngine, make_rootfs
from tests.support.swarm_manifests import ECHO, TEMPLATE, list_examples, make_mounting

pytestmark = pytest.mark.engine

OWN = frozenset(
    {
        *("Config/NetworkDisabled", "HostConfig/Runtime"),  # a start sets them
        "Config/StopTimeout",  # the service has it, and its stops say it
        "HostConfig/Isolation",  # two words for the default
        "HostConfig/RestartPolicy",  # Swarm runs a job again, not the node's engine
    }
)
"""What differs in each."""


@pytest.fixture(scope="module")
def manager() -> Iterator[PrivateEngine]:
    """Return an engine that is a swarm of its own, with resources of two kinds."""
    with PrivateEngine({"node-generic-resources": ["gpu=a", "gpu=b", "slot=1"]}) as engine:
        engine.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
        changes = ["-c", 'ENTRYPOINT ["echo"]', "-c", 'CMD ["image"]']
        engine.docker("import", *changes, "-", ECHO, stdin=make_rootfs())
        yield engine


class Swarm:
    """What the tests ask of one manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def version(self) -> tuple[int, int]:
        """The API version that is spoken."""
        return self._connection.api_version

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Send a request and return the JSON of its answer."""
        return await self._connection.call(
            method, path, lambda data: data, params=params, body=body, more=20
        )

    async def record(self, name: str, manifest: Mapping[str, Any]) -> str:
        """Create the service of a manifest and return its id."""
        version, platform = self.version, manifest.get("Platform")
        assert find_unsupported(manifest, version) == ()
        service = make_service(
            name_service("test", name), manifest, api_version=version, platform=platform
        )
        created = await self.call("POST", "services/create", service)
        return str(created["ID"])

    async def start(self, service: str) -> None:
        """Set a service to one replica; the manager itself may change it at the same moment."""
        while True:
            found = await self.call("GET", f"services/{service}")
            found["Spec"]["Mode"]["Replicated"]["Replicas"] = 1
            version = str(found["Version"]["Index"])
            path = f"services/{service}/update"
            try:
                await self.call("POST", path, found["Spec"], version=version)
            except EngineRefusedError as error:
                if "out of sequence" not in error.message:
                    raise
            else:
                return

    async def run(self, name: str, manifest: Mapping[str, Any]) -> str:
        """Start the service of a manifest and return its id."""
        service = await self.record(name, manifest)
        await self.start(service)
        return service

    async def wait(self, service: str, key: str, *states: str) -> Mapping[str, Any]:
        """Wait until the status of a task has ``key``, in one of ``states`` if any; return it."""
        filters = json.dumps({"service": [service]})
        async with asyncio.timeout(60):
            while True:
                tasks = await self.call("GET", "tasks", filters=filters)
                status: Mapping[str, Any] = tasks[0]["Status"] if tasks else {}
                if status.get(key) and (not states or status["State"] in states):
                    return status
                assert status.get("State") not in {"rejected", "failed"}, status
                await asyncio.sleep(0.05)

    async def show(self, name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Run a manifest and return what an inspect shows of the container."""
        status = await self.wait(await self.run(name, manifest), "ContainerStatus")
        container = status["ContainerStatus"]["ContainerID"]
        found: dict[str, Any] = await self.call("GET", f"containers/{container}/json")
        return found

    async def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create the container that the manifest makes on one engine, and inspect it."""
        body = {k: v for k, v in manifest.items() if k not in {"Name", "Platform"}}
        platform = {"platform": manifest["Platform"]} if "Platform" in manifest else {}
        created = await self.call("POST", "containers/create", body, **platform)
        found: dict[str, Any] = await self.call("GET", f"containers/{created['Id']}/json")
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder to mount: a volume keeps the one that it was made with."""
    return str(tmp_path_factory.mktemp("mounted"))


@pytest.fixture
async def swarm(manager: PrivateEngine) -> AsyncIterator[Swarm]:
    """Return the manager, asked in the newest version that both know."""
    connection = Connection(Endpoint(manager.host), timeout=10.0)
    await connection.negotiate()
    yield Swarm(connection)
    await connection.close()


def find_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of two inspected containers that are not the same, with both values."""
    found = {
        f"{part}/{key}": (one[part].get(key), other[part].get(key))
        for part in ("Config", "HostConfig")
        for key in {*one[part], *other[part]}
    }
    found |= {key: (one[key], other[key]) for key in ("Path", "Args")}
    found["Mounts"] = (list_mounts(one), list_mounts(other))
    return {key: (a, b) for key, (a, b) in found.items() if (a or None) != (b or None)}


def list_mounts(container: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Return what is mounted, without names that an engine made up, and a tmpfs's two words."""
    return sorted(
        (
            mount["Destination"],
            mount["Type"],
            mount["Source"] if mount["Type"] == "bind" else "",
            "" if len(name := mount.get("Name", "")) == 64 else name,
            mount["RW"],
            mount["Propagation"],
        )
        for mount in container["Mounts"]
        if mount["Type"] != "tmpfs"
    )


async def test_a_services_container_is_the_one_that_the_manifest_makes(
    swarm: Swarm, folder: str
) -> None:
    examples = [e for e in list_examples(folder) if e.since <= swarm.version]
    made = await asyncio.gather(*(swarm.show(e.name, e.manifest) for e in examples))
    expected = await asyncio.gather(*(swarm.create(e.manifest) for e in examples))
    for example, container, model in zip(examples, made, expected, strict=True):
        labels = container["Config"]["Labels"]
        for key in SYSTEM_LABELS:
            del labels[key]
        differences = find_differences(model, container)
        own = OWN if "Hostname" in example.manifest else OWN | {"Config/Hostname"}
        assert differences.keys() - own == example.differs, (example.name, differences)


async def test_each_form_of_a_mount_is_the_same_in_the_job(
    swarm: Swarm, manager: PrivateEngine, folder: str
) -> None:
    manifest = make_mounting(folder)
    service = await swarm.run("shown", manifest)
    status = await swarm.wait(service, "ContainerStatus", "complete")
    shown = manager.docker("logs", status["ContainerStatus"]["ContainerID"]).stdout
    container = await swarm.create(manifest)
    model = manager.docker("start", "--attach", container["Id"]).stdout
    assert list_lines(shown) == list_lines(model)
    assert {"/bound", "/{{x}}", "/unnamed", "/tmpfs", "/volume", "/dev/shm"} <= {*list_lines(shown)}
    for name in ("driven", "labelled"):
        volume = await swarm.call("GET", f"volumes/{name}")
        assert volume["Labels"] == {"a": TEMPLATE}


def list_lines(mounts: str) -> dict[str, tuple[str, str]]:
    """Return type and options by target; an engine's own names of what is mounted differ."""
    words = [line.split(" ") for line in mounts.splitlines()]
    return {target: (kind, options) for _, target, kind, options, *_ in words if target != "/"}


async def test_a_job_on_an_overlay_takes_no_address_before_it_runs(
    swarm: Swarm, manager: PrivateEngine
) -> None:
    """A network has 254 addresses, and any number of jobs may wait."""
    network = manager.docker("network", "create", "--driver", "overlay", "jobs").stdout.strip()
    endpoint = {"Aliases": ["me"], "DriverOpts": {"a": "b"}}
    manifest = make_host(NetworkMode="jobs") | {
        "NetworkingConfig": {"EndpointsConfig": {"jobs": endpoint}}
    }
    found = await swarm.call("GET", f"services/{await swarm.record('overlay', manifest)}")
    assert found["Spec"]["TaskTemplate"]["Networks"] == [{"Target": network, **endpoint}]
    assert not found["Endpoint"].get("VirtualIPs")


async def test_swarm_refuses_a_job_without_a_network_by_itself(swarm: Swarm) -> None:
    service = make_service("none", make_manifest(), api_version=swarm.version, platform=None)
    service["TaskTemplate"]["Networks"] = [{"Target": "none"}]
    with pytest.raises(EngineRefusedError):
        await swarm.call("POST", "services/create", service)


async def test_a_job_has_the_resources_that_it_requests_or_waits(swarm: Swarm) -> None:
    """This is how an operator caps the jobs of a node: each requests one of its slots."""
    requests = [{"Count": 1, "Capabilities": [["slot"]]}, {"Count": 2, "Capabilities": [["gpu"]]}]
    # with an init its process heeds the signal that ends the engine
    manifest = make_host(DeviceRequests=requests, Init=True) | {"Cmd": ["sleep", "600"]}
    first = await swarm.show("first", manifest)
    assert {"DOCKER_RESOURCE_SLOT=1", "DOCKER_RESOURCE_GPU=a,b"} <= {*first["Config"]["Env"]}
    second = await swarm.wait(await swarm.run("second", manifest), "Err", "pending")
    assert "insufficient resources" in second["Err"]


async def test_a_job_waits_for_a_node_that_has_what_it_asks_for(swarm: Swarm) -> None:
    constraints = {"com.docker.swarm.constraints": '["node.role == worker"]'}
    for name, manifest, cause in (
        ("memory", make_host(Memory=1 << 50), "insufficient resources"),
        ("processors", make_host(NanoCpus=10**15), "insufficient resources"),
        ("platform", make_manifest(Platform="linux/s390x"), "unsupported platform"),
        ("constraint", make_manifest(Labels=constraints), "scheduling constraints not satisfied"),
    ):
        status = await swarm.wait(await swarm.run(name, manifest), "Err", "pending")
        assert cause in status["Err"]
