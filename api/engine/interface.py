"""The engine port: the few calls that both processes make, and their data."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from api.v1.job import Container, Status


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of a container list: less than :class:`Container`, and possibly older.

    ``created`` is in whole seconds since the epoch; ``text`` is the STATUS text of ``docker ps``,
    ``exit_code`` what it says of an exited one.
    """

    id: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    image: str
    created: int
    status: Status
    text: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A container event: a hint that ``id`` should be read again.

    What tells of an end is a fact as well, when it comes for the first time: after a ``die`` it
    does not run, unless its restart policy has it run again; after a ``destroy`` it is gone.
    ``exit_code`` is given for a ``die``. ``time`` is in nanoseconds of the engine's clock.
    """

    action: str
    id: str
    labels: Mapping[str, str] = field(hash=False)
    time: int
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who is at the other end: a stable id, the engine's version and the API version spoken."""

    id: str
    version: str
    api_version: tuple[int, int]
    cpus: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the registry ``server``: a name and a password, or a token in their place."""

    server: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is: layers known of so far, those that are there, and bytes received."""

    layers: int = 0
    complete: int = 0
    received: int = 0


class Engine(Protocol):
    """What a Docker Engine does for us. Every call has a deadline and raises ``EngineError``."""

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> str:
        """Create a container and return its full id. Raises ``ConflictError`` for a taken name."""
        ...

    async def inspect(self, ref: str) -> Container:
        """Read one container by full id or exact name; the caller compares what came back.

        The engine resolves id prefixes too, and prefers an id to a name. What several ids begin
        with is not found.
        """
        ...

    async def list(
        self,
        *,
        labels: Iterable[str] = (),
        statuses: Iterable[Status] = (),
        ids: Iterable[str] = (),
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Summary]:
        """List containers, newest first by the nanosecond; its cost grows with the host's number.

        ``labels`` are ``key=value`` (exact) or ``key`` (any value). ``ids`` are full ids: only
        those of them that are there, at a cost that grows with their number alone. ``since`` is a
        container id: only what was created later; raises ``NotFoundError`` when that container is
        gone.
        """
        ...

    async def start(self, container_id: str) -> None:
        """Start a created container; a running one is left alone. An exited one runs again."""
        ...

    async def remove(self, container_id: str) -> None:
        """Remove a container with its anonymous volumes, never by force.

        One that is gone, or that someone else removes at this moment, counts as removed.
        """
        ...

    async def ping(self) -> None:
        """Ask whether the engine serves requests: more than an open socket."""
        ...

    async def info(self) -> EngineInfo:
        """Read who the engine is, and agree on the API version."""
        ...

    async def image_labels(self, image: str) -> Mapping[str, str]:
        """Read the labels of an image, empty if the image is gone."""
        ...

    async def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        report: Callable[[Progress], None] = ...,
    ) -> None:
        """Have the engine fetch an image; ``latest`` if neither a tag nor a digest is given.

        Takes as long as it takes: the deadline is the caller's, and so is the end of the pull if
        it leaves. A registry's refusal is an ``EngineRefusedError`` of status 403 (credentials),
        404 (no such image: ``NotFoundError``), 429, or 500 for any other trouble with it.
        """
        ...

    def events(self, labels: Iterable[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Subscribe to container events; inside the context, the subscription stands.

        The iterator ends when the engine closes the stream and raises ``EngineError`` when the
        connection breaks.
        """
        ...

    def now(self) -> int:
        """Return the engine's present time in nanoseconds since the epoch, as its replies tell."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
