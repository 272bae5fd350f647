"""Every call ends: by an answer, or by an error at its deadline."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineTimeoutError
from tests.integration.api.engine.docker.conftest import inspect
from tests.support.private_engine import IMAGE
from tests.support.proxy import FaultProxy

BODY = {"Image": IMAGE, "Cmd": ["true"]}
REF = "f" * 64


async def subscribe(engine: DockerEngine) -> None:
    async with engine.events():
        pass


CALLS: dict[str, Callable[[DockerEngine], Awaitable[object]]] = {
    "create": lambda engine: engine.create("never-made", BODY),
    "inspect": lambda engine: engine.inspect(REF),
    "list": lambda engine: engine.list(),
    "start": lambda engine: engine.start(REF),
    "remove": lambda engine: engine.remove(REF),
    "ping": lambda engine: engine.ping(),
    "info": lambda engine: engine.info(),
    "events": subscribe,
}


async def test_no_call_waits_beyond_its_deadline(engine: DockerEngine, proxy: FaultProxy) -> None:
    proxy.block("")
    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *(call(engine) for call in CALLS.values()), return_exceptions=True
        )
    assert {
        name: type(result) for name, result in zip(CALLS, results, strict=True)
    } == dict.fromkeys(CALLS, EngineTimeoutError)


async def test_a_reply_that_stalls_midway_ends_at_the_deadline(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    proxy.stall("GET .*/containers/json", 100)
    async with asyncio.timeout(60):
        with pytest.raises(EngineTimeoutError):
            await engine.list()


async def test_after_a_timeout_the_connection_is_given_up(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.lose_reply("/json", times=1)
    with pytest.raises(EngineTimeoutError):
        await engine.inspect(container)
    assert (await inspect(engine, container)).uid == container


async def test_a_call_that_hangs_holds_up_no_other(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.block(f"containers/{REF}/json")
    hanging = asyncio.create_task(engine.inspect(REF))
    for _ in range(5):
        assert (await inspect(engine, container)).uid == container
    with pytest.raises(EngineTimeoutError):
        await hanging
