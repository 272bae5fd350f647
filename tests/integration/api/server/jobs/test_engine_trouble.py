"""Requests while the engine, or the way to it, fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from tests.support.api import Api, manifest, serve
from tests.support.private_engine import PrivateEngine
from tests.support.processes import Reply
from tests.support.proxy import FaultProxy

CREATE = r"^POST .*/containers/create"


@pytest.fixture
def proxy(private_engine: PrivateEngine) -> Iterator[FaultProxy]:
    with FaultProxy(private_engine.host) as running:
        yield running


@pytest.fixture
async def shaky(proxy: FaultProxy, namespace: str) -> AsyncIterator[Api]:
    """Return a client of the application whose engine is behind ``proxy``."""
    async with serve(DockerEngine(Endpoint(proxy.host), namespace, timeout=3.0), namespace) as api:
        await _until(lambda: api.get("/health/ready"), 204)
        yield api


async def _until(look: Callable[[], Awaitable[Reply]], code: int) -> Reply:
    async with asyncio.timeout(60):
        while (reply := await look()).code != code:
            await asyncio.sleep(0.05)
        return reply


@pytest.mark.parametrize("spoil", ["cut", "lose_reply"])
async def test_a_create_whose_reply_is_lost_is_one_container_and_201(
    proxy: FaultProxy, shaky: Api, private_engine: PrivateEngine, name: str, spoil: str
) -> None:
    getattr(proxy, spoil)(CREATE, times=1)
    reply = await shaky.post(manifest(name))
    assert (reply.code, reply.body["uid"]) == (201, private_engine.inspect(name)["Id"])
    assert proxy.count(CREATE) == 1
    assert (await shaky.post(manifest(name))).code == 200


async def test_a_create_with_a_truncated_reply_is_one_container_and_201(
    proxy: FaultProxy, shaky: Api, private_engine: PrivateEngine, name: str
) -> None:
    proxy.truncate(CREATE, 20, times=1)
    reply = await shaky.post(manifest(name))
    assert (reply.code, reply.body["uid"]) == (201, private_engine.inspect(name)["Id"])


@pytest.mark.parametrize("spoil", ["reset", "block", "half_close"])
async def test_a_create_that_did_not_arrive_is_502_and_can_be_asked_for_again(
    proxy: FaultProxy, shaky: Api, private_engine: PrivateEngine, name: str, spoil: str
) -> None:
    getattr(proxy, spoil)(CREATE, times=1)
    reply = await shaky.post(manifest(name))
    assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineUnavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert name not in private_engine.names()
    assert (await shaky.post(manifest(name))).code == 201


async def test_a_full_disk_is_502_and_its_text_stays_in_the_log(
    proxy: FaultProxy, shaky: Api, name: str
) -> None:
    proxy.answer(CREATE, 500, '{"message": "mkdir /data: no space left on device"}', times=1)
    with capture_logs([merge_contextvars]) as log:
        reply = await shaky.post(manifest(name))
    assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineFailed")
    assert "space" not in str(reply)
    causes = {line.get("request_id"): str(line.get("cause")) for line in log}
    assert "no space left on device" in causes[reply.body["error"]["requestId"]]


async def test_a_name_that_a_dying_rival_holds_is_taken_over(
    proxy: FaultProxy, shaky: Api, private_engine: PrivateEngine, name: str
) -> None:
    proxy.answer(CREATE, 409, '{"message": "Conflict. The name is in use"}', times=2)
    reply = await shaky.post(manifest(name))
    assert (reply.code, reply.body["uid"]) == (201, private_engine.inspect(name)["Id"])


async def test_an_engine_of_another_kind_that_says_500_for_a_taken_name_is_understood(
    proxy: FaultProxy, shaky: Api, name: str
) -> None:
    first = await shaky.post(manifest(name))
    proxy.answer(CREATE, 500, '{"message": "that name is already in use"}', times=1)
    second = await shaky.post(manifest(name))
    assert (second.code, second.body["uid"]) == (200, first.body["uid"])


async def test_an_engine_that_is_away_is_502_and_unready_until_it_returns(
    proxy: FaultProxy, shaky: Api, name: str
) -> None:
    await shaky.post(manifest(name))
    proxy.refuse()
    posted, shown = await shaky.post(manifest(f"{name}-2")), await shaky.get(f"/job/{name}")
    for reply in (posted, shown):
        assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineUnavailable")
        assert "retry-after" in reply.headers
    # an answer of the last second may still say that the engine is there
    await _until(lambda: shaky.get("/health/ready"), 503)
    assert (await shaky.get("/health/live")).code == 204
    verbose = await shaky.get("/health/ready?verbose")
    assert (verbose.code, verbose.body["ready"]) == (503, False)
    assert verbose.body["engine"]["error"]
    assert verbose.body["engine"]["version"]
    proxy.listen()
    await _until(lambda: shaky.get("/health/ready"), 204)
    assert (await shaky.post(manifest(f"{name}-2"))).code == 201


async def test_an_engine_that_accepts_and_says_nothing_is_502_in_time(
    proxy: FaultProxy, shaky: Api, name: str
) -> None:
    proxy.block("")
    async with asyncio.timeout(60):
        # an answer of the last second may still say that the engine is there
        posted, _ = await asyncio.gather(
            shaky.post(manifest(name)), _until(lambda: shaky.get("/health/ready"), 503)
        )
    assert posted.code == 502


async def test_an_engine_silent_from_the_start_keeps_nobody_waiting_for_others(
    proxy: FaultProxy, namespace: str, name: str
) -> None:
    proxy.block("")
    async with (
        serve(DockerEngine(Endpoint(proxy.host), namespace, timeout=1.0), namespace) as api,
        asyncio.timeout(15),  # one after another, they would take half a minute
    ):
        posts = (api.post(manifest(f"{name}-{number}")) for number in range(15))
        gets = (api.get(f"/job/{name}-{number}") for number in range(15))
        replies = await asyncio.gather(*posts, *gets)
        assert {reply.code for reply in replies} == {502}
        proxy.heal()
        # whoever asks while the engine is asked who it is shares that answer, be it a timeout
        await _until(lambda: api.post(manifest(name)), 201)


async def test_readiness_in_detail_names_engine_and_filters(shaky: Api) -> None:
    reply = await _until(lambda: shaky.get("/health/ready?verbose"), 200)
    assert reply.body["ready"] is True
    assert reply.body["engine"]["error"] is None
    assert reply.body["filters"]["generation"] == 1
    assert reply.body["filters"]["error"] is None
