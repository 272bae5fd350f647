"""One adapter lives through all that happens to its engine: freezes, kills and restarts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import OUTAGES, EngineTimeoutError, EngineUnavailableError
from api.v1.job import Status
from tests.integration.api.engine.docker.conftest import inspect, make_body, read_to_end
from tests.support.engine_versions import Differs, has_containerd_store
from tests.support.private_engine import PrivateEngine, frozen

pytestmark = pytest.mark.engine
NS = "restarts"


@pytest.fixture(scope="module")
def own_engine() -> Iterator[PrivateEngine]:
    """Return an engine that these tests may stop and freeze."""
    with PrivateEngine() as engine:
        yield engine


@pytest.fixture
async def adapter(own_engine: PrivateEngine) -> AsyncIterator[DockerEngine]:
    adapter = DockerEngine(Endpoint(own_engine.host), NS, timeout=5.0)
    yield adapter
    await adapter.close()


async def start_a_sleeper(adapter: DockerEngine, name: str) -> str:
    body = make_body(NS, name, "sleep", "600") | {"StopTimeout": 1}
    container_id = (await adapter.create(name, body)).uid
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
    async with adapter.events() as events:
        await asyncio.to_thread(own_engine.stop)
        with contextlib.suppress(*OUTAGES):
            await asyncio.wait_for(read_to_end(events), 20)
    with pytest.raises(EngineUnavailableError):
        await inspect(adapter, container_id)
    await asyncio.to_thread(own_engine.start)
    seen = await inspect(adapter, container_id)
    assert (seen.status, seen.exit_code) == (Status.EXITED, 137)
    assert await adapter.info() == info
    async with adapter.events():
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
    own_engine: PrivateEngine, adapter: DockerEngine, differs: Differs
) -> None:
    ids = [
        (await adapter.create(name, make_body(NS, name, "sleep", "600"))).uid
        for name in ("silent-0", "silent-1")
    ]
    await inspect(adapter, ids[1])  # its image, which may be containerd's, is read once
    with frozen(own_engine.containerd_pid):
        with pytest.raises(EngineTimeoutError):
            await adapter.start(ids[0])
        gives_up = differs(26, "a start whose caller has left is given up")
        # not before containerd answers, if it has the images too
        if gives_up and not has_containerd_store():
            end = time.monotonic() + 20
            while not (seen := await inspect(adapter, ids[0])).error:
                assert time.monotonic() < end, "the start was not given up"
                await asyncio.sleep(0.05)
            assert seen.is_pending
            assert "context canceled" in seen.error
        else:
            with pytest.raises(EngineTimeoutError):
                await inspect(adapter, ids[0])
        assert (await inspect(adapter, ids[1])).status is Status.CREATED
        if has_containerd_store():
            # a list asks containerd for the image of each row: the whole engine is silent
            for ask in (adapter.list, adapter.ping):
                with pytest.raises(EngineTimeoutError):
                    await ask()
        else:
            assert [row.status for row in await adapter.list()] == [Status.CREATED] * 2
            await adapter.ping()
    if gives_up:
        assert (await inspect(adapter, ids[0])).is_pending
        await adapter.start(ids[0])
    end = time.monotonic() + 60
    while (await inspect(adapter, ids[0])).status is not Status.RUNNING:
        assert time.monotonic() < end, "the start that was sent never took effect"
        await asyncio.sleep(0.05)
    await asyncio.to_thread(own_engine.docker, "rm", "-f", *ids)


async def test_the_out_of_memory_killer_is_told_apart(
    own_engine: PrivateEngine, adapter: DockerEngine
) -> None:
    hungry = ["sh", "-c", "x=x; while true; do x=$x$x; done"]
    limits = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    body = make_body(NS, "hungry", *hungry) | {"HostConfig": limits}
    container_id = (await adapter.create("hungry", body)).uid
    await adapter.start(container_id)
    end = time.monotonic() + 60
    while (seen := await inspect(adapter, container_id)).status is not Status.EXITED:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    assert seen.oom_killed
    assert seen.exit_code == 137
    await adapter.remove(container_id)
    del own_engine


async def test_an_engine_that_shuts_down_is_asked_to_start_nothing_more(differs: Differs) -> None:
    """Some go on to answer on the connections that they have until the last container ends."""
    with PrivateEngine({"shutdown-timeout": 5}) as engine:
        adapter = DockerEngine(Endpoint(engine.host), NS, timeout=5.0)
        try:
            stubborn = make_body(NS, "stubborn", "sh", "-c", "trap '' TERM; sleep 600")
            last = (await adapter.create("stubborn", stubborn | {"StopTimeout": 5})).uid
            waiting = (await adapter.create("waiting", make_body(NS, "waiting"))).uid
            await adapter.start(last)
            stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
            end = time.monotonic() + 5
            while engine.socket.exists() and time.monotonic() < end:
                await asyncio.sleep(0.01)
            if differs(26, "an engine that shuts down closes idle connections at once"):
                with pytest.raises(EngineUnavailableError):
                    await inspect(adapter, waiting)
            else:
                assert (await inspect(adapter, waiting)).is_pending
            with pytest.raises(EngineUnavailableError):
                await adapter.start(waiting)
            await stopping
            await asyncio.to_thread(engine.start)
            await wait_until_it_serves(adapter)
            assert (await inspect(adapter, waiting)).is_pending
            await adapter.start(waiting)
        finally:
            await adapter.close()
