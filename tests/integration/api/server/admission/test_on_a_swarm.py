"""What a swarm cannot do of a manifest is refused before it is asked; the rest is a service."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.swarm.engine import SwarmEngine
from tests.support.api import Api, manifest, serve
from tests.support.private_engine import PrivateEngine

HOST = {
    "NetworkMode": "none",
    "CpuShares": 5,
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
}
UNSUPPORTED: dict[str, Any] = {"Platform": "linux/arm/v7", "StdinOnce": True, "HostConfig": HOST}
POINTERS = [
    "/HostConfig/CpuShares",
    "/HostConfig/NetworkMode",
    "/HostConfig/RestartPolicy/Name",
    "/Platform",
    "/StdinOnce",
]


@pytest.fixture
async def api(private_manager: PrivateEngine, namespace: str) -> AsyncIterator[Api]:
    """Return the API in front of a swarm; whatever it recorded is removed."""
    engine = SwarmEngine(Endpoint(private_manager.host), namespace)
    async with serve(engine, namespace) as api:
        yield api
    left = list_services(private_manager, namespace)
    if left:
        private_manager.docker("service", "rm", *left)


def list_services(manager: PrivateEngine, namespace: str) -> list[str]:
    label = f"label=docker-job-dispatcher.namespace={namespace}"
    return manager.docker("service", "ls", "--quiet", "--filter", label).stdout.split()


@pytest.mark.parametrize("path", ["/job", "/job?dryRun=true"])
async def test_each_key_that_swarm_cannot_have_is_named(
    api: Api, private_manager: PrivateEngine, namespace: str, path: str
) -> None:
    reply = await api.post(manifest("job-1", **UNSUPPORTED), path)
    error = reply.body["error"]
    assert (reply.code, error["reason"]) == (400, "InvalidManifest")
    assert sorted(v["pointer"] for v in error["violations"]) == POINTERS
    assert all("Swarm" in violation["message"] for violation in error["violations"])
    assert list_services(private_manager, namespace) == []


async def test_what_the_profile_refuses_is_refused_first(api: Api) -> None:
    reply = await api.post(manifest("job-1", HostConfig=HOST | {"Privileged": True}))
    assert (reply.code, reply.body["error"]["reason"]) == (403, "Denied")


async def test_what_swarm_can_have_is_a_service(
    api: Api, private_manager: PrivateEngine, namespace: str
) -> None:
    members = {
        "Platform": "linux",
        "Job": {"OnNodeLoss": "Rerun"},
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}},
    }
    dry = await api.post(manifest("job-1", **members), "/job?dryRun=true")
    assert dry.code == 200
    assert list_services(private_manager, namespace) == []
    assert (await api.post(manifest("job-1", **members))).code == 201
    (service,) = list_services(private_manager, namespace)
    policy = private_manager.docker(
        "service", "inspect", service, "--format", "{{.Spec.TaskTemplate.RestartPolicy.Condition}}"
    )
    assert policy.stdout.strip() == "on-failure"
