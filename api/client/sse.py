"""Server-sent events out of a stream's bytes, wherever those are cut; no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

from api.client.errors import ClientError

_MOST = 1 << 24
"""Bytes of one event: a line of a log has a mebibyte, and JSON may spell a byte with six."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one event says; ``id`` is the place behind it, None where it has none.

    ``data`` is None for a comment, which only shows that the server is there, and for an id alone.
    """

    data: bytes | None
    id: str | None = None


class EventParser:
    """Takes bytes and gives the events that they complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._id: str | None = None

    def take(self, chunk: bytes) -> Iterator[Event]:
        """Yield each event that is complete. Raises ``ClientError`` for one without an end."""
        seen = len(self._rest)
        self._rest += chunk
        if self._rest.find(b"\n", seen) < 0:
            if len(self._rest) > _MOST:
                raise ClientError("the server sends an event without an end")
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                if self._data or self._id is not None:
                    yield Event(b"\n".join(self._data) if self._data else None, self._id)
                self._data, self._id = [], None
            elif not name:
                yield Event(None)
            elif name == b"data":
                self._data.append(value)
            elif name == b"id":
                self._id = value.decode(errors="replace")
