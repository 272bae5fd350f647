"""Asks the controller why a job waits; without an answer nobody is the worse for it."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from api.v1.text import escape_hidden
from api.v1.times import format_time, parse_time
from api.v1.view import Waiting

_OF_OTHERS: Final = re.compile(
    r" \(\d+ (?:of \d+ used|starts under way)\)|, \d+ ahead of it"
    r"|(?:starts of \d+ kinds of jobs|\d+ starts of jobs like it) have failed: "
)
"""What a message of the controller's counts."""

PATIENCE: Final = 1.0
"""Seconds that a request waits for the controller."""
_REST_SLOW: Final = 5.0
"""Seconds for which a controller is not asked that did not answer in time."""
_REST_AWAY: Final = 1.0
"""Seconds for which a controller is not asked that could not be reached: one that is not running
must not cost every question a refused connection."""
_CALLS: Final = 8  # at once
_MOST: Final = 1 << 16  # bytes of an answer about one job
_MOST_OF_ALL: Final = 1 << 21  # of one about a thousand
_LONGEST: Final = 2000
_FRESH: Final = 1.0
"""Seconds for which one answer about all jobs does for everybody who asks."""


@dataclass(frozen=True, slots=True)
class ControllerPlan:
    """What the controller says of itself, and by uid of the first jobs that wait.

    ``role`` is one of its own words, ``silent`` where it does not answer, ``none`` where nobody is
    asked. ``allowed`` is None without a limit.
    """

    role: str
    used: int | None = None
    allowed: int | None = None
    waits: Mapping[str, Waiting] = field(default_factory=dict)


class PlanClient:
    """The controller at ``url``; None for nobody to ask. ``patience`` is in seconds."""

    def __init__(self, url: str | None, *, patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._rests_until = float("-inf")
        self._plan: tuple[float, ControllerPlan] | None = None
        self._reading = asyncio.Lock()

    async def read(self) -> ControllerPlan:
        """Return what the controller says of itself and of the jobs that wait. Never raises."""
        async with self._reading:
            clock = asyncio.get_running_loop().time
            if self._plan is None or clock() >= self._plan[0] + _FRESH:
                plan = await self._read_plan()
                self._plan = clock(), plan
            return self._plan[1]

    async def _read_plan(self) -> ControllerPlan:
        if self._url is None:
            return ControllerPlan("none")
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._ask(f"{self._url}/plan", _MOST_OF_ALL)
            return _read_plan(answer)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError):
            return ControllerPlan("silent")

    async def explain(self, uid: str) -> Waiting | None:
        """Return why a job waits, or None where the controller does not say. Never raises."""
        now = asyncio.get_running_loop().time()
        if self._url is None or now < self._rests_until:
            return None
        try:
            async with asyncio.timeout(self._patience):
                return _read(await self._ask(f"{self._url}/plan/{quote(uid)}"))
        except TimeoutError:
            self._rest(_REST_SLOW)
        except (aiohttp.ClientError, OSError):
            self._rest(_REST_AWAY)
        except (ValueError, RecursionError):
            pass
        return None

    def _rest(self, seconds: float) -> None:
        self._rests_until = asyncio.get_running_loop().time() + seconds

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, url: str, most: int = _MOST) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CALLS))
        parameters = {"format": "json"}
        async with self._session.get(url, params=parameters, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP's
                return None
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > most:
                    raise ValueError("an answer is too long")
            return json.loads(body)


def _read(answer: Any) -> Waiting | None:
    """Return what an answer says, whatever may have sent it; None if it is not of that form."""
    return _read_waiting(answer.get("waiting")) if isinstance(answer, dict) else None


def _read_plan(answer: Any) -> ControllerPlan:
    """Return what an answer says, whatever may have sent it."""
    role = answer.get("role") if isinstance(answer, dict) else None
    if not isinstance(role, str):
        return ControllerPlan("silent")
    waits, rows = dict[str, Waiting](), answer.get("waits")
    for row in rows if isinstance(rows, list) else ():
        waiting, uid = _read_waiting(row), row.get("uid") if isinstance(row, dict) else None
        if waiting is not None and isinstance(uid, str):
            waits[uid] = waiting
    numbers = (answer.get("slotsUsed"), answer.get("slotsAllowed"))
    used, allowed = (each if type(each) is int else None for each in numbers)
    return ControllerPlan(escape_hidden(role[:_LONGEST]), used, allowed, waits)


def _read_waiting(waiting: Any) -> Waiting | None:
    if not isinstance(waiting, dict):
        return None
    reason, message = waiting.get("reason"), waiting.get("message")
    if not isinstance(reason, str) or not isinstance(message, str):
        return None
    position, until = waiting.get("position"), waiting.get("until")
    return {
        "reason": escape_hidden(reason[:_LONGEST]),
        "message": escape_hidden(message[:_LONGEST]),
        "position": position if type(position) is int else None,
        "until": format_time(parse_time(until)) if isinstance(until, str) else None,
    }


def hide_others(waiting: Waiting) -> Waiting:
    """Return a wait without what it counts: a token limited to paths may not know of others."""
    return {**waiting, "message": _OF_OTHERS.sub("", waiting["message"]), "position": None}
