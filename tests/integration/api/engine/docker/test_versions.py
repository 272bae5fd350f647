"""The API version: agreed on at first contact, and again when the engine was exchanged."""

import json

import pytest

from api.engine.docker.connection import NEWEST_API
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineRefusedError
from tests.integration.api.engine.docker.conftest import inspect
from tests.support.proxy import FaultProxy

TOO_NEW = "client version 1.50 is too new. Maximum supported API version is 1.41"
TOO_OLD = "client version 1.40 is too old. Minimum supported API version is 1.44"


def offer(newest: str, oldest: str) -> str:
    return json.dumps({"Version": "0", "ApiVersion": newest, "MinAPIVersion": oldest})


@pytest.mark.parametrize("text", [TOO_NEW, TOO_OLD])
async def test_a_call_in_a_version_no_longer_spoken_is_repeated_in_the_right_one(
    engine: DockerEngine, proxy: FaultProxy, container: str, text: str
) -> None:
    before = proxy.counts["GET /version"]
    proxy.answer("/start", 400, json.dumps({"message": text}), times=1)
    await engine.start(container)
    assert proxy.counts["GET /version"] == before + 1
    assert (await inspect(engine, container)).started


async def test_a_stream_in_a_version_no_longer_spoken_is_opened_in_the_right_one(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    proxy.answer("/events", 400, json.dumps({"message": TOO_NEW}), times=1)
    async with engine.events():
        assert proxy.counts["GET /events"] == 2


async def test_an_engine_that_says_so_again_is_not_asked_for_ever(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    proxy.answer("/json", 400, json.dumps({"message": TOO_NEW}))
    with pytest.raises(EngineRefusedError):
        await engine.list()
    assert proxy.counts["GET /containers/json"] == 2


async def test_another_refusal_does_not_ask_for_the_version(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    before = proxy.counts["GET /version"]
    proxy.answer("/json", 400, json.dumps({"message": "client version of something else"}))
    with pytest.raises(EngineRefusedError):
        await engine.list()
    assert proxy.counts["GET /version"] == before


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.41", "1.12", (1, 41)),
        ("1.47", "1.24", (1, 47)),
        ("1.99", "1.40", NEWEST_API),
        ("1.99", "1.60", (1, 60)),
        ("", "", (1, 41)),
        ("new", "old", (1, 41)),
    ],
)
async def test_the_newest_version_both_know_is_spoken(
    proxy: FaultProxy, newest: str, oldest: str, spoken: tuple[int, int]
) -> None:
    proxy.answer("GET /version", 200, offer(newest, oldest))
    proxy.answer("/info", 200, '{"ID": "engine", "DockerRootDir": "/data", "NCPU": 3}')
    proxy.answer("/containers/json", 200, "[]")
    engine = DockerEngine(Endpoint(proxy.host), "ns")
    assert await engine.list() == []
    info = await engine.info()
    await engine.close()
    assert (info.id, info.cpus, info.api_version) == ("engine /data", 3, spoken)
    assert proxy.count(rf"GET /v{spoken[0]}\.{spoken[1]}/containers/json") == 1


async def test_nothing_is_asked_for_the_version_twice(
    engine: DockerEngine, proxy: FaultProxy
) -> None:
    for _ in range(3):
        await engine.list()
    assert proxy.counts["GET /version"] == 1
