"""Opens the logs of containers and reads their entries as they arrive."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from api.engine.docker.connection import Connection
from api.engine.docker.decode import read_labels, read_name
from api.engine.docker.error_mapping import translate_errors
from api.engine.docker.log_frames import Cutter, FrameCutter, TerminalCutter
from api.engine.docker.ownership import Ownership
from api.engine.errors import EngineRefusedError, NoLogError, NotFoundError
from api.engine.interface import LogFrame, LogReading
from api.engine.retry import idempotent
from api.v1.times import SECOND

_UID: Final = re.compile("[0-9a-f]{64}")
_REMEMBERED: Final = 1_000  # containers

_NOT_READABLE: Final = 501
"""The engine's answer where a driver keeps nothing that it can read."""
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([kmgt]?)(?:i?b)?", re.ASCII)
"""As go-units reads sizes, in lower case: powers of 1,024."""
_POWERS: Final = " kmgt"
_DEFAULTS: Final[Mapping[str, tuple[str, str]]] = {"json-file": ("", "1"), "local": ("20m", "5")}
"""Size and number of files where the options name none (read in moby)."""
_EXACT_API: Final = (1, 42)
"""Docker Engine 23.0 has another reader of rotated files; 20.10 doubles and leaves out entries."""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What never changes of a container's log; for ``room`` see ``LogReading``."""

    driver: str
    has_terminal: bool
    rotates: bool
    room: int | None = None

    def is_exact(self, api_version: tuple[int, int]) -> bool:
        """Tell whether a follow of it is whole on an engine of this version."""
        return api_version >= _EXACT_API or not self.rotates


def read_log_facts(data: Mapping[str, Any]) -> LogFacts:
    """Read the answer of an inspect."""
    host: Mapping[str, Any] = data.get("HostConfig") or {}
    config: Mapping[str, Any] = data.get("Config") or {}
    log: Mapping[str, Any] = host.get("LogConfig") or {}
    driver = str(log.get("Type") or "")
    options: Mapping[str, Any] = log.get("Config") or {}
    limit = str(options.get("max-size") or "")
    never = driver == "json-file" and limit in {"", "-1"}
    room = read_room(driver, options)
    return LogFacts(driver, bool(config.get("Tty")), rotates=not never, room=room)


def read_room(driver: str, options: Mapping[str, Any]) -> int | None:
    """Return how many bytes of a log are kept in any case: all of its files but one.

    The oldest is removed when all are full. None: nothing is removed, or nothing is certain.
    """
    if driver not in _DEFAULTS:
        return None
    size, number = _DEFAULTS[driver]
    limit = _SIZE.fullmatch(str(options.get("max-size") or size).lower())
    files = str(options.get("max-file") or number)
    if limit is None or not files.isdecimal() or int(files) <= 1:
        return None
    return int(float(limit[1]) * 1024 ** _POWERS.index(limit[2] or " ")) * (int(files) - 1)


def make_log_params(
    since: int | None, until: int | None, tail: int | None, *, follow: bool
) -> dict[str, str]:
    """Return the parameters of ``GET /containers/{id}/logs``.

    Times are text with nine digits after the point: a float has no room for them.
    """
    params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
    if since is not None:
        params["since"] = _format_seconds(since)
    if until is not None:
        params["until"] = _format_seconds(until)
    return params | ({} if tail is None else {"tail": str(tail)})


def _format_seconds(moment: int) -> str:
    seconds, fraction = divmod(moment, SECOND)
    return f"{seconds}.{fraction:09d}"


class Logs:
    """The logs of an engine's jobs; ``opened`` keeps the responses for whoever closes the engine.

    ``timeout`` is the deadline in seconds for the header of an answer.
    """

    def __init__(
        self,
        connection: Connection,
        ownership: Ownership,
        opened: set[aiohttp.ClientResponse],
        *,
        timeout: float,
    ) -> None:
        self._connection = connection
        self._ownership = ownership
        self._opened = opened
        self._timeout = timeout
        self._facts: dict[str, LogFacts] = {}

    @asynccontextmanager
    async def open(
        self,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogReading]:
        """Open a log; see the Engine interface."""
        facts = self._facts.get(uid) or await self._learn(uid)
        params = make_log_params(since, until, tail, follow=follow)
        try:
            response = await self._connection.open_stream(
                "GET", f"containers/{uid}/logs", params, patience=self._timeout
            )
        except EngineRefusedError as error:
            if error.status != _NOT_READABLE:
                raise
            raise NoLogError(error.message, facts.driver) from error
        self._opened.add(response)
        try:
            is_exact = facts.is_exact(self._connection.api_version)
            yield LogReader(response, facts, is_exact=is_exact)
        finally:
            self._opened.discard(response)
            response.close()

    @idempotent
    async def _learn(self, uid: str) -> LogFacts:
        """Read how a log is kept, and whether it is a job's: neither changes in its life."""
        if not _UID.fullmatch(uid):
            raise NotFoundError(404, f"No such container: {uid!r}")
        data = await self._connection.call("GET", f"containers/{uid}/json", _as_it_is)
        with translate_errors():
            name, labels, image = read_name(data), read_labels(data), data.get("Image") or ""
            if data["Id"] != uid or not await self._ownership.tell(name, labels, image):
                raise NotFoundError(404, f"No such container: {uid}")
            facts = read_log_facts(data)
        if len(self._facts) >= _REMEMBERED:
            self._facts.clear()
        self._facts[uid] = facts
        return facts


class LogReader:
    """The entries of an open response."""

    def __init__(
        self, response: aiohttp.ClientResponse, facts: LogFacts, *, is_exact: bool
    ) -> None:
        self._response = response
        self._facts = facts
        self._cutter: Cutter = TerminalCutter() if facts.has_terminal else FrameCutter()
        self._is_exact = is_exact
        self._begins = True
        self._has_ended = False

    @property
    def is_exact(self) -> bool:
        """Whether a follow can be trusted over a rotation; see the Engine interface."""
        return self._is_exact

    @property
    def room(self) -> int | None:
        """How much is kept in any case; see the Engine interface."""
        return self._facts.room

    async def read(self) -> Sequence[LogFrame]:
        """Return the entries that are here; see the Engine interface."""
        while not self._has_ended:
            with translate_errors():
                frames = [*await self._cut_next()]
            if frames:
                return frames
        return ()

    async def _cut_next(self) -> Iterable[LogFrame]:
        content, is_whole = self._response.content, False
        if self._facts.has_terminal:
            data, is_whole = await content.readchunk()
        else:
            data = await content.readany()
        begins = self._begins
        # what is empty and whole is the end of a chunk, else that of the answer
        self._begins = is_whole or (begins and not data)
        if data:
            return self._cutter.feed(data, is_first=begins)
        if is_whole:
            return ()
        self._has_ended = True
        return self._cutter.finish()


def _as_it_is(data: Any) -> Any:
    return data
