"""Asks the controller why a job waits; without an answer nobody is the worse for it."""

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from api.v1.text import escape_hidden
from api.v1.times import format_time, parse_time
from api.v1.view import Waiting

PATIENCE: Final = 1.0
"""Seconds that a request waits for the controller."""
_REST_SLOW: Final = 5.0
"""Seconds for which a controller is not asked that did not answer in time."""
_REST_AWAY: Final = 1.0
"""Seconds for which a controller is not asked that could not be reached: one that is not running
must not cost every question a refused connection."""
_CALLS: Final = 8  # at once
_MOST: Final = 1 << 16  # bytes of an answer
_LONGEST: Final = 2000


class PlanClient:
    """The controller at ``url``; None for nobody to ask. ``patience`` is in seconds."""

    def __init__(self, url: str | None, *, patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._rests_until = float("-inf")

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

    async def _ask(self, url: str) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CALLS))
        parameters = {"format": "json"}
        async with self._session.get(url, params=parameters, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP's
                return None
            return json.loads(await response.content.read(_MOST))


def _read(answer: Any) -> Waiting | None:
    """Return what an answer says, whatever may have sent it; None if it is not of that form."""
    waiting = answer.get("waiting") if isinstance(answer, dict) else None
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
