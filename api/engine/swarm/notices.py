"""A manager's events of services, read from JSON lines; of tasks it tells nothing."""

import json
from typing import Final

import aiohttp

from api.engine.swarm.service import PREFIX
from api.v1.record import record
from api.v1.times import SECOND

_FIELDS: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


@record
class Notice:
    """That something was done to a service of which the name may be a job's; ``time`` in ns."""

    action: str
    uid: str
    time: int


class NoticeReader:
    """Reads the notices of an open response, as many as come together."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._rest = b""

    async def read(self) -> list[Notice | None] | None:
        """Return what has come: ``None`` for each that cannot be read; ``None`` at the end."""
        chunk = await self._response.content.readany()
        if not chunk:
            return None
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found: list[Notice | None] = []
        for line in filter(None, map(bytes.strip, lines)):
            try:
                notice = read_notice(line)
            except _FIELDS:
                found.append(None)
            else:
                found += [notice] if notice is not None else []
        return found


def read_notice(line: bytes) -> Notice | None:
    """Read one event; ``None`` for one of a service that cannot be a job's.

    The labels of a service are not in its events, so its name must do.
    """
    data = json.loads(line.decode())
    actor = data.get("Actor") or {}
    if data.get("Type", "service") != "service":
        return None
    if not str(actor["Attributes"]["name"]).startswith(PREFIX):
        return None
    time = int(data.get("timeNano") or int(data.get("time") or 0) * SECOND)
    return Notice(str(data["Action"]), str(actor["ID"]), time)
