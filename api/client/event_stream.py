"""What becomes of jobs, as the server tells it, over as many connections as that takes."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from api.client.connection import Connection, Query
from api.client.errors import ClientError, LostError
from api.client.retry import Attempts, choose_delay
from api.client.sse import EventParser
from api.client.status import Job


class Told(StrEnum):
    """What a happening is: those of the server, and that its stream begins or has broken off."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    SYNCED = "synced"
    BOOKMARK = "bookmark"
    RESET = "reset"
    OPENED = "opened"
    BROKEN = "broken"


_OF_JOBS: Final = frozenset({Told.ADDED, Told.CHANGED, Told.REMOVED})


@dataclass(frozen=True, slots=True)
class Happening:
    """One of them, with the whole job where it is about one."""

    told: Told
    job: Job | None = None


class EventReader:
    """Follows the jobs that match ``query``; with ``resumes`` it asks for what it missed."""

    def __init__(self, connection: Connection, query: Query, *, resumes: bool) -> None:
        self._connection = connection
        self._query = query
        self._resumes = resumes
        self._version: str | None = None
        self._attempts = Attempts(0, connection.clock())

    def read(self) -> Iterator[Happening]:
        """Yield what happens, without an end. Raises ``ClientError`` where the server is away."""
        connection, patience = self._connection, self._connection.settings.patience
        self._attempts = Attempts(0, connection.clock())
        while True:
            try:
                with closing(self._read_once(patience)) as happenings:
                    yield from happenings
            except LostError:
                delay = choose_delay(self._attempts, connection.clock(), patience, None)
                if delay is None:
                    raise
                yield Happening(Told.BROKEN)
                connection.tell_loss(patience)
                self._attempts = self._attempts.fail()
                connection.sleep(delay)

    def _read_once(self, patience: float) -> Generator[Happening]:
        connection, parser = self._connection, EventParser()
        after = [("after", self._version)] if self._resumes and self._version else []
        headers = {"Accept": "text/event-stream"}
        query = [*self._query, *after]
        with connection.open("/events", query, headers, patience=patience) as chunks:
            yield Happening(Told.OPENED)
            for chunk in chunks:
                self._attempts = Attempts(0, connection.clock())
                for event in parser.take(chunk):
                    if event.data is not None:
                        happening, version = read_happening(event.data)
                        yield happening
                        self._version = version
        raise LostError(f"the server at {connection.settings.url} broke off its events")


def read_happening(data: bytes) -> tuple[Happening, str]:
    """Return what a line tells, and its version. Pure; raises ``ClientError`` for what is none."""
    try:
        item: Any = json.loads(data)
        told, version = Told(item["type"]), str(item["version"])
        job = item["job"] if told in _OF_JOBS else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClientError("the server sends something else than events: check DJD_URL") from error
    return Happening(told, job), version
