"""How messages are written: as lines of JSON, or as server-sent events."""

from typing import Final

from api.server.watch.feed import Message

LINES: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"


def choose_type(accept: str | None) -> str:
    """Return the media type of a stream for an ``Accept``: lines, unless events are asked for."""
    kinds = [part.partition(";")[0].strip().lower() for part in (accept or "").split(",")]
    return EVENTS if EVENTS in kinds else LINES


def spell(message: Message, version: str, media_type: str) -> bytes:
    """Return a message with its version as it is sent.

    An event has an id only if a browser may resume behind it: it sends the last one it was told.
    """
    head = f'{{"type": "{message.kind}", "version": "{version}"'.encode()
    line = head + (b"}" if message.body is None else b', "job": ' + message.body + b"}")
    if media_type == LINES:
        return line + b"\n"
    mark = f"id: {version}\n".encode() if message.number else b""
    return mark + b"data: " + line + b"\n\n"
