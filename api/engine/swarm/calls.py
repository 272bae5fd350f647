"""The calls to a manager, and what its refusals mean."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from api.engine.docker.connection import Connection
from api.engine.errors import (
    EngineInterruptedError,
    EngineRefusedError,
    OutdatedError,
    OverloadedError,
)
from api.engine.retry import idempotent

_OUTDATED: Final = "update out of sequence"
_NO_LEADER: Final = "does not have a leader"
"""Managers without a majority answer nothing: not even what they know."""
_BROKEN: Final = ("raft: ", "code = Unavailable", "code = Canceled", "eadline exceeded")
"""The leader was lost while it dealt with the call: that may have taken effect."""


class Calls:
    """Calls over ``connection``, which speaks Docker's API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @idempotent
    async def get(self, path: str, filters: Mapping[str, Sequence[str]] | None = None) -> Any:
        """Read ``path``; ``filters`` without values are left out."""
        given = {key: list(values) for key, values in (filters or {}).items() if values}
        params = {"filters": json.dumps(given)} if given else None
        with tell_refusals():
            return await self._connection.call("GET", path, _as_it_is, params=params)

    async def create(self, spec: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
        """Create a service and return its id, and the manager's warnings."""
        with tell_refusals():
            return await self._connection.call("POST", "services/create", _read_created, body=spec)

    async def update(self, uid: str, version: int, spec: Mapping[str, object]) -> None:
        """Update a service of this version. Raises ``OutdatedError`` if it has another.

        Over a connection of its own, as each start on one engine: a manager that shuts down refuses
        that.
        """
        with tell_refusals():
            await self._connection.call(
                "POST",
                f"services/{uid}/update",
                _ignore,
                params={"version": str(version)},
                body=spec,
                fresh=True,
            )

    @idempotent
    async def delete(self, uid: str) -> None:
        """Remove a service."""
        with tell_refusals():
            await self._connection.call("DELETE", f"services/{uid}", _ignore)


@contextmanager
def tell_refusals() -> Iterator[None]:
    """Give a manager's refusal, most of which are 500, the kind that its text names."""
    try:
        yield
    except EngineRefusedError as error:
        if _OUTDATED in error.message:
            raise OutdatedError(HTTPStatus.CONFLICT, error.message) from error
        if _NO_LEADER in error.message:
            raise OverloadedError(HTTPStatus.SERVICE_UNAVAILABLE, error.message) from error
        if any(text in error.message for text in _BROKEN):
            raise EngineInterruptedError(error.message) from error
        raise


def _read_created(data: Any) -> tuple[str, tuple[str, ...]]:
    warning = data.get("Warning")
    texts = [*(data.get("Warnings") or ()), *([warning] if warning else ())]
    return str(data["ID"]), tuple(map(str, texts))


def _ignore(_: object) -> None:
    return None


def _as_it_is(data: Any) -> Any:
    return data
