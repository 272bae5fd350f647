"""The log of a job, each line once, over as many connections as that takes.

The server names the place behind each line, and goes on there: what is held here of a log is the
last place.
"""

import json
from base64 import b64decode
from binascii import Error as NoBase64Error
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

from api.client.connection import Connection, Query
from api.client.errors import ClientError, LostError, RefusedError, UnreadableError
from api.client.retry import Attempts
from api.client.server import make_path
from api.client.sse import Event, EventParser
from api.client.status import Job

PASSING: Final = frozenset(
    ("EngineUnavailable", "EngineFailed", "TooManyConnections", "InternalError")
)
"""Reasons for which a log breaks off that may be over when it is asked for again."""
_LEAVING: Final = "ShuttingDown"
_STEADY: Final = 60.0
"""Seconds after which a log without lines counts as read: a server that cannot says so by then."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """``data`` has its newline, if it has one; ``begins``: it does not go on with a cut line.

    ``follows_gap``: others may be missing before it, rotated away before they could be read.
    """

    time: str
    is_error: bool
    data: bytes
    begins: bool = True
    follows_gap: bool = False


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a log is read: what was asked for, and the ``id`` of the last event that came.

    ``open``: the streams whose last line goes on in the next.
    """

    query: Query
    id: str | None = None
    open: frozenset[bool] = frozenset()

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what has the server go on here."""
        accept = {"Accept": "text/event-stream"}
        return accept if self.id is None else accept | {"Last-Event-ID": self.id}


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The log was read to its end; ``job`` is as it was then. ``has_gap``: lines may miss."""

    job: Job
    has_gap: bool = False


def advance(place: LogPlace, event: Event) -> tuple[LogPlace, LogLine | LogEnd | None]:
    """Return the place behind an event, and what it tells. Pure.

    Raises ``UnreadableError`` for a log that the server could not go on with, ``RefusedError`` for
    one that it never will, ``LostError`` where it leaves, and ``ClientError`` for what is none.
    """
    if event.data is None:
        return (place if event.id is None else replace(place, id=event.id)), None
    try:
        item = json.loads(event.data)
        if "end" in item:
            return place, LogEnd(item["end"], item.get("lost") is True)
        if "error" in item:
            raise _explain(item)
        line, is_cut = read_line(item, place.open)
    except (KeyError, TypeError, ValueError, AttributeError, NoBase64Error) as error:
        raise ClientError("the server sends something else than a log: check DJD_URL") from error
    if event.id is None:
        return place, line
    stream = frozenset({line.is_error})
    opened = place.open | stream if is_cut else place.open - stream
    return replace(place, id=event.id, open=opened), line


def read_line(item: Mapping[str, Any], opened: frozenset[bool]) -> tuple[LogLine, bool]:
    """Return the line of an item, byte for byte, and whether the next one goes on with it."""
    is_error = item["stream"] == "stderr"
    encoded = item.get("base64")
    data = item["line"].encode(errors="replace") if encoded is None else b64decode(encoded)
    is_cut = item.get("cut") is True
    if not is_cut and item.get("open") is not True:
        data += b"\n"
    has_gap = item.get("lost") is True
    return LogLine(item["t"], is_error, data, is_error not in opened, has_gap), is_cut


def _explain(item: Mapping[str, Any]) -> ClientError:
    refused = RefusedError(int(item["error"].get("code", 500)), item)
    if refused.reason == _LEAVING:
        return LostError(str(refused))
    return UnreadableError(str(refused)) if refused.reason in PASSING else refused


class LogReader:
    """Reads the log of the job ``ref`` as ``query`` wants it. ``job`` is what its end told."""

    def __init__(self, connection: Connection, ref: str, query: Query) -> None:
        self.job: Job | None = None
        self._connection = connection
        self._path = make_path(ref, "log")
        self._place = LogPlace(query)
        self._attempts = Attempts(0, connection.clock())
        self._ref = ref
        self._has_warned = False
        self._is_refused = False

    def read(self) -> Iterator[LogLine]:
        """Yield the lines until the log is complete. Raises ``ClientError``."""
        connection, patience = self._connection, self._connection.settings.patience
        self._attempts = Attempts(0, connection.clock())
        while self.job is None:
            try:
                with closing(self._read_once(patience)) as lines:
                    yield from lines
            except (LostError, UnreadableError) as error:
                self._is_refused |= isinstance(error, UnreadableError)
                self._attempts = connection.bear(self._attempts, error, patience)

    def _warn(self, *, has_gap: bool) -> None:
        if has_gap and not self._has_warned:
            self._has_warned = True
            self._connection.say(
                f"{self._ref}: lines may have been rotated away before they were read"
            )

    def _read_once(self, patience: float) -> Generator[LogLine]:
        connection, place, parser = self._connection, self._place, EventParser()
        unfinished = list[LogLine]()
        with connection.open(self._path, place.query, place.headers, patience=patience) as chunks:
            opened = connection.clock()
            for chunk in chunks:
                for event in parser.take(chunk):
                    self._place, told = advance(self._place, event)
                    now = connection.clock()
                    # a comment shows that the server is there, not that it can read the log
                    if told is not None or not self._is_refused or now - opened >= _STEADY:
                        self._attempts, self._is_refused = Attempts(0, now), False
                    match told:
                        case LogEnd():
                            yield from unfinished
                            self._warn(has_gap=told.has_gap)
                            self.job = told.job
                            return
                        case LogLine():
                            self._warn(has_gap=told.follows_gap)
                            if event.id is None:
                                # it may go on: after a break it is told anew, whole
                                unfinished.append(told)
                            else:
                                yield told
        raise LostError(f"the server at {connection.settings.url} broke off the log")
