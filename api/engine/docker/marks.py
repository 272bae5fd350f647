"""Marks on a Docker Engine: containers of an image of our own that has nothing in it."""

from collections.abc import Mapping
from typing import Any, Final

from api.engine.docker.connection import Connection
from api.engine.docker.decode import read_labels, read_name
from api.engine.docker.error_mapping import translate_errors
from api.engine.docker.ownership import Ownership
from api.engine.docker.pull import follow
from api.engine.errors import NotFoundError
from api.engine.retry import idempotent
from api.v1.mark import Mark, decode_mark, encode_mark
from api.v1.times import parse_time

IMAGE: Final = ("docker-job-dispatcher-mark", "1")
"""Repository and tag. No registry has it: it is imported where it is missing."""

_EMPTY_TAR: Final = bytes(1024)
_PROGRAM: Final = "/a-cancel-of-docker-job-dispatcher-is-never-started"
"""Not in the image: whoever starts a mark sees this name in the error."""


class Marks:
    """The marks of ``namespace``; ``timeout`` is the deadline of an import in seconds."""

    def __init__(
        self, connection: Connection, namespace: str, ownership: Ownership, *, timeout: float
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._ownership = ownership
        self._timeout = timeout

    async def create(self, name: str, mark: Mark) -> str:
        """Create a mark; see the Engine interface. Two calls more where the image is missing."""
        body = {
            "Image": ":".join(IMAGE),
            "Entrypoint": [_PROGRAM],
            "NetworkDisabled": True,
            "Labels": encode_mark(mark, namespace=self._namespace),
            "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "none"}},
        }
        try:
            return await self._create(name, body)
        except NotFoundError:
            await self._import_image()
            return await self._create(name, body)

    async def _create(self, name: str, body: Mapping[str, object]) -> str:
        return await self._connection.call(
            "POST", "containers/create", _read_id, params={"name": name}, body=body
        )

    async def _import_image(self) -> None:
        params = {"fromSrc": "-", "repo": IMAGE[0], "tag": IMAGE[1]}
        headers = {"Content-Type": "application/x-tar"}
        with translate_errors():
            response = await self._connection.open_stream(
                "POST", "images/create", params, headers, patience=self._timeout, data=_EMPTY_TAR
            )
            try:
                await follow(response, lambda _: None)
            finally:
                response.close()

    @idempotent
    async def find(self, name: str) -> Mark | None:
        """Inspect a mark by its name; see the Engine interface."""
        try:
            data = await self._connection.call("GET", f"containers/{name}/json", _as_it_is)
        except NotFoundError:
            return None
        with translate_errors():
            labels = read_labels(data)
            # the engine also finds a container by the beginning of its id
            if read_name(data) != name:
                return None
            if not await self._ownership.tell_mark(labels, data.get("Image") or ""):
                return None
            return decode_mark(data["Id"], labels, parse_time(data.get("Created")) or 0)


def _read_id(data: Any) -> str:
    return str(data["Id"])


def _as_it_is(data: Any) -> Any:
    return data
