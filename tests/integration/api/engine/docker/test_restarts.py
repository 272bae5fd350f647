"""One adapter lives through all that happens to its engine: freezes, kills and restarts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import OUTAGES, EngineTimeoutError, EngineUnavailableError
from api.v1.job import Status
from tests.support.private_engine import IMAGE, PrivateEngine, frozen

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def own_engine() -> Iterator[PrivateEngine]:
    """Return an engine that these tests may stop and freeze."""
    with PrivateEngine() as engine:
        yield engine


@pytest.fixture
async def adapter(own_engine: PrivateEngine) -> AsyncIterator[DockerEngine]:
    adapter = DockerEngine(Endpoint(own_engine.host), timeout=2.0)
    yield adapter
    await adapter.close()


async def start_a_sleeper(adapter: DockerEngine, name: str) -> str:
    body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "StopTimeout": 1}
    container_id = await adapter.create(name, body)
    await adapter.start(container_id)
    return container_id


async def wait_until_it_serves(adapter: DockerEngine) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            await adapter.ping()
        except OUTAGES:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_restart_ends_the_streams_and_the_adapter_goes_on(
    own_engine: PrivateEngine, adapter: DockerEngine
) -> None:
    info = await adapter.info()
    container_id = await start_a_sleeper(adapter, "restarted")
    async with adapter.events(["never.seen"]) as events:
        await asyncio.to_thread(own_engine.stop)
        with pytest.raises((StopAsyncIteration, *OUTAGES)):
            await asyncio.wait_for(anext(events), 20)
    with pytest.raises(EngineUnavailableError):
        await adapter.inspect(container_id)
    await asyncio.to_thread(own_engine.start)
    seen = await adapter.inspect(container_id)
    assert (seen.status, seen.exit_code) == (Status.EXITED, 137)
    assert await adapter.info() == info
    async with adapter.events([]):
        await adapter.remove(container_id)


async def test_a_frozen_engine_runs_into_deadlines_and_is_back_when_it_thaws(
    own_engine: PrivateEngine, adapter: DockerEngine
) -> None:
    await adapter.ping()
    with frozen(own_engine.pid):
        results = await asyncio.gather(
            adapter.ping(), adapter.inspect("f" * 64), return_exceptions=True
        )
        assert [type(result) for result in results] == [EngineTimeoutError, EngineTimeoutError]
    await wait_until_it_serves(adapter)


async def test_with_containerd_frozen_one_container_is_silent_and_the_rest_answers(
    own_engine: PrivateEngine, adapter: DockerEngine
) -> None:
    ids = [
        await adapter.create(f"silent-{number}", {"Image": IMAGE, "Cmd": ["sleep", "600"]})
        for number in range(2)
    ]
    with frozen(own_engine.containerd_pid):
        with pytest.raises(EngineTimeoutError):
            await adapter.start(ids[0])
        with pytest.raises(EngineTimeoutError):
            await adapter.inspect(ids[0])
        assert (await adapter.inspect(ids[1])).status is Status.CREATED
        assert [row.status for row in await adapter.list()] == [Status.CREATED] * 2
        await adapter.ping()
    end = time.monotonic() + 60
    while (await adapter.inspect(ids[0])).status is not Status.RUNNING:
        assert time.monotonic() < end, "the start that was sent never took effect"
        await asyncio.sleep(0.05)
    await asyncio.to_thread(own_engine.docker, "rm", "-f", *ids)


async def test_the_out_of_memory_killer_is_told_apart(
    own_engine: PrivateEngine, adapter: DockerEngine
) -> None:
    hungry = ["sh", "-c", "x=x; while true; do x=$x$x; done"]
    limits = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    body = {"Image": IMAGE, "Cmd": hungry, "HostConfig": limits}
    container_id = await adapter.create("hungry", body)
    await adapter.start(container_id)
    end = time.monotonic() + 60
    while (seen := await adapter.inspect(container_id)).status is not Status.EXITED:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    assert seen.oom_killed
    assert seen.exit_code == 137
    await adapter.remove(container_id)
    del own_engine


async def test_an_engine_that_shuts_down_is_asked_to_start_nothing_more() -> None:
    """It goes on to answer on the connections that it has until its last container has ended."""
    with PrivateEngine({"shutdown-timeout": 5}) as engine:
        adapter = DockerEngine(Endpoint(engine.host), timeout=2.0)
        try:
            stubborn = {"Image": IMAGE, "Cmd": ["sh", "-c", "trap '' TERM; sleep 600"]}
            last = await adapter.create("stubborn", stubborn | {"StopTimeout": 5})
            waiting = await adapter.create("waiting", {"Image": IMAGE, "Cmd": ["true"]})
            await adapter.start(last)
            stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
            end = time.monotonic() + 5
            while engine.socket.exists() and time.monotonic() < end:
                await asyncio.sleep(0.01)
            assert (await adapter.inspect(waiting)).is_startable
            with pytest.raises(EngineUnavailableError):
                await adapter.start(waiting)
            assert (await adapter.inspect(waiting)).is_startable
            await stopping
            await asyncio.to_thread(engine.start)
            await wait_until_it_serves(adapter)
            await adapter.start(waiting)
        finally:
            await adapter.close()
