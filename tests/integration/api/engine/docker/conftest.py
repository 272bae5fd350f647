"""The adapter on the shared real engine, with a proxy between them that can do harm."""

from collections.abc import AsyncIterator, Iterator

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.proxy import FaultProxy

LABEL = "adapter.test"


@pytest.fixture
def proxy(private_engine: PrivateEngine) -> Iterator[FaultProxy]:
    """Return a proxy of this test's own in front of the shared engine."""
    with FaultProxy(private_engine.host) as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: FaultProxy) -> AsyncIterator[DockerEngine]:
    """Return the adapter behind the proxy, its deadline short, its version agreed on."""
    engine = DockerEngine(Endpoint(proxy.host), timeout=1.0)
    await engine.info()
    yield engine
    await engine.close()


@pytest.fixture
async def container(
    engine: DockerEngine, namespace: str, private_engine: PrivateEngine
) -> AsyncIterator[str]:
    """Return the id of a container that would sleep, not started."""
    body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "Labels": {LABEL: namespace}}
    container_id = await engine.create(namespace, body)
    yield container_id
    private_engine.docker("rm", "-f", "-v", container_id, check=False)
