from collections.abc import AsyncIterator

import pytest

from api.engine.docker.engine import DockerEngine
from tests.support.api import Api, serve


@pytest.fixture
async def api(docker_engine: DockerEngine, namespace: str) -> AsyncIterator[Api]:
    """Return a client of the application on the real engine; documents are manifests."""
    async with serve(docker_engine, namespace) as served:
        yield served


@pytest.fixture
def name(namespace: str) -> str:
    """Return a job's name that no other test uses."""
    return namespace.replace("test", "job")
