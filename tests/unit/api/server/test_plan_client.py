"""A controller that is not there is not asked for every question."""

import asyncio
from typing import Any

import aiohttp
import pytest

from api.server.plan_client import PlanClient
from tests.support.virtual_time import on_virtual_time


class Refused:
    """A session whose every request is refused."""

    def __init__(self, asked: list[float]) -> None:
        self._asked = asked

    def get(self, _url: str, **_options: Any) -> "Refused":
        self._asked.append(asyncio.get_running_loop().time())
        return self

    async def __aenter__(self) -> None:
        raise aiohttp.ClientConnectionError

    async def __aexit__(self, *_: object) -> None: ...

    async def close(self) -> None: ...


def test_a_controller_that_is_away_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(aiohttp, "TCPConnector", lambda **_: None)
    monkeypatch.setattr(aiohttp, "ClientSession", lambda **_: Refused(asked))

    @on_virtual_time
    async def run() -> None:
        client = PlanClient("http://controller")
        for _ in range(30):
            assert await client.explain("a") is None
            await asyncio.sleep(0.1)
        await client.close()

    run()
    assert len(asked) == 3
