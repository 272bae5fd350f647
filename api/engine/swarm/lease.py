"""The record of the lead on a swarm: a config object whose labels change by compare and swap."""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any, Final

from api.engine.docker.connection import Connection
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import ConflictError, NotFoundError
from api.engine.lease import Claim
from api.engine.swarm.calls import Calls, tell_refusals
from api.v1.labels import NAMESPACE, PREFIX
from api.v1.times import format_time

HOLDER: Final = PREFIX + "lease-holder"
"""Who leads; empty for nobody."""
RENEWED: Final = PREFIX + "lease-renewed"
"""When, by the clock of the holder's host: for people, no decision goes by it."""

_PATIENCE: Final = 2.5
"""Seconds that a call may take: a lease outlives three that fail."""
_DATA: Final = base64.b64encode(b"Which controller leads stands in the labels.\n").decode()
"""A config has some, and it can never change."""


def name_lease(namespace: str) -> str:
    """Return the name of the config of ``namespace``: 64 characters of few kinds at most."""
    return "djd-lease-" + hashlib.sha256(namespace.encode()).hexdigest()[:40]


class ConfigStore:
    """The record of ``namespace`` on the swarm of the manager at ``endpoint``.

    It has connections of its own: no call of the engine's keeps a renewal waiting.
    """

    def __init__(self, endpoint: Endpoint, namespace: str) -> None:
        self._connection = Connection(endpoint, timeout=_PATIENCE)
        self._calls = Calls(self._connection)
        self._namespace = namespace
        self._name = name_lease(namespace)
        self._config: Mapping[str, Any] | None = None

    async def read(self) -> Claim | None:
        """Return what the config says; see the interface."""
        found = await self._calls.get("configs", {"name": [self._name]})
        with translate_errors():
            # the filter takes names that begin so, too
            named = (config for config in found or () if config["Spec"]["Name"] == self._name)
            self._config = next(named, None)
            if self._config is None:
                return None
            labels = self._config["Spec"].get("Labels") or {}
            return Claim(int(self._config["Version"]["Index"]), labels.get(HOLDER, ""))

    async def swap(self, claim: Claim | None, holder: str) -> Claim | None:
        """Write ``holder`` into the config, or make it; see the interface."""
        try:
            with tell_refusals():
                await self._write(claim, holder)
        except (ConflictError, NotFoundError):
            return None
        # another needs longer than this takes to find it not renewed
        found = await self.read()
        return found if found is not None and found.holder == holder else None

    async def close(self) -> None:
        """Close all connections; see the interface."""
        await self._connection.close()

    async def _write(self, claim: Claim | None, holder: str) -> None:
        labels = {
            NAMESPACE: self._namespace,
            HOLDER: holder,
            RENEWED: format_time(time.time_ns()) or "",
        }
        if claim is None or self._config is None:
            spec = {"Name": self._name, "Data": _DATA, "Labels": labels}
            await self._connection.call("POST", "configs/create", _ignore, body=spec)
        else:
            path = f"configs/{self._config['ID']}/update"
            spec = {**self._config["Spec"], "Labels": labels}
            params = {"version": str(claim.version)}
            await self._connection.call("POST", path, _ignore, params=params, body=spec)


def _ignore(_: object) -> None:
    return None
