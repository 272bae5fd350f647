"""A controller that is not there is not asked for every question."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest

from api.server.plan_client import PlanClient, hide_others
from api.v1.view import Waiting
from controller.ledger import Failures
from tests.support.virtual_time import on_virtual_time


def _doubt() -> list[str]:
    """Return what the controller says of jobs like some that failed, and of jobs unlike those."""
    failures = Failures()
    for kind in "abcaa":
        failures.note((kind,), has_failed=True)
    return [*failures.find_doubts({("a",), ("d",)}).values()]


DOUBTS = _doubt()


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


def test_the_controller_has_two_doubts() -> None:
    assert [bool(re.search(r"\d", doubt)) for doubt in DOUBTS] == [True, True]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("queue etl is paused, 3 ahead of it", "queue etl is paused"),
        ("queue etl is full (2 of 2 used), 3 ahead of it", "queue etl is full"),
        ("no free slot (2 of 2 used), 0 ahead of it", "no free slot"),
        ("its turn comes (1 starts under way), 0 ahead of it", "its turn comes"),
        (
            "StartError, attempt 3 is due: no free slot (2 of 2 used), 7 ahead of it",
            "StartError, attempt 3 is due: no free slot",
        ),
        *(
            (f"{cause}: it is tried between others", "it is tried between others")
            for cause in DOUBTS
        ),
    ],
)
def test_of_others_nothing_is_told(message: str, shown: str) -> None:
    waiting: Waiting = {"reason": "NoSlot", "message": message, "position": 4, "until": None}
    hidden = {"reason": "NoSlot", "message": shown, "position": None, "until": None}
    assert hide_others(waiting) == hidden
