"""The adapter on the shared real engine, with a proxy between them that can do harm."""

from collections.abc import AsyncIterator, Iterator

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.interface import Event
from api.v1.job import Job
from api.v1.spec import JobSpec, encode
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.proxy import FaultProxy


def make_body(namespace: str, name: str, *command: str) -> dict[str, object]:
    """Return the body of a container called ``name`` that is a job."""
    labels = encode(JobSpec(), namespace=namespace, job_id=name, labels={})
    return {"Image": IMAGE, "Cmd": list(command or ("true",)), "Labels": labels}


async def read_to_end(events: AsyncIterator[Event]) -> None:
    """Read events until there are none, or the stream breaks."""
    async for _ in events:
        pass


async def inspect(engine: DockerEngine, ref: str) -> Job:
    """Inspect a job that is there."""
    job = await engine.inspect(ref)
    assert job is not None
    return job


@pytest.fixture
def proxy(private_engine: PrivateEngine) -> Iterator[FaultProxy]:
    """Return a proxy of this test's own in front of the shared engine."""
    with FaultProxy(private_engine.host) as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: FaultProxy, namespace: str) -> AsyncIterator[DockerEngine]:
    """Return the adapter behind the proxy, with a deadline that a busy machine keeps."""
    engine = DockerEngine(Endpoint(proxy.host), namespace, timeout=5.0)
    await engine.info()
    yield engine
    await engine.close()


@pytest.fixture
async def container(
    engine: DockerEngine, namespace: str, private_engine: PrivateEngine
) -> AsyncIterator[str]:
    """Return the id of a container that would sleep, not started."""
    container_id = (
        await engine.create(namespace, make_body(namespace, namespace, "sleep", "600"))
    ).uid
    yield container_id
    private_engine.docker("rm", "-f", "-v", container_id, check=False)
