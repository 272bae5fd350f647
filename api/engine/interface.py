"""The ``Engine`` interface: the few calls that both processes make, and their data."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from api.engine.capabilities import DOCKER, Capabilities, Unsupported
from api.v1.job import Job, Status
from api.v1.mark import Mark
from api.v1.record import record

Pause = Callable[[], Awaitable[None]]
"""Waits for news to gather."""


class EventKind(StrEnum):
    """What an event tells of a job."""

    CREATED = "created"
    STARTED = "started"
    RESTARTED = "restarted"  # by hand; its end and its start have events of their own
    ENDED = "ended"  # its process has ended; its restart policy may run it again
    REMOVED = "removed"
    CHANGED = "changed"  # anything else that an inspect may show
    UNREADABLE = "unreadable"  # what was sent cannot be read, nor of whom it tells


@record
class Event:
    """A hint that the job ``uid`` should be read again.

    The first event of an end can be trusted: after ``ENDED`` the job is not running unless its
    restart policy runs it again; after ``REMOVED`` it is gone. ``exit_code``, 0 to 255, is that of
    an ``ENDED``; on any other kind it is a label of the job that overwrites the engine's. ``time``
    is in nanoseconds of the engine's clock. ``is_job``: the event's own labels claim that it is of
    a job; without that, it may be of a stranger that carries our label. ``job``, of a ``CREATED``,
    is the job as the event shows it, ``told``; ``None`` where only a look tells whose it is. Of any
    other kind it is the job as the look has shown it that the event comes from, if it does.

    ``is_mark``: its labels claim that it is of a mark; then ``uid`` is the mark's own. ``mark``, of
    a ``CREATED`` alone, is that mark, ``None`` where only a list tells whether it is one.
    """

    kind: EventKind
    uid: str
    time: int
    exit_code: int | None = None
    is_job: bool = False
    job: Job | None = field(default=None, compare=False)
    is_mark: bool = False
    mark: Mark | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CreatedJob:
    """A job just recorded, and what the engine will not do of what its manifest asks."""

    uid: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who is at the other end: a stable id, the engine's version and the API version spoken.

    ``log_driver`` is what containers log to that name no driver; ``folders`` are the engine's own;
    ``capabilities`` tell what it does in another way than one Docker Engine.
    """

    id: str
    version: str
    api_version: tuple[int, int]
    cpus: int
    log_driver: str = ""
    folders: tuple[str, ...] = ()
    capabilities: Capabilities = DOCKER


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


class LogStream(StrEnum):
    """What a process wrote to; with a terminal all of it is ``STDOUT``."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class LogFrame:
    """One entry of a log: a line with its newline, or a piece of a line that is longer than 16 KiB.

    ``time`` is in nanoseconds of the engine's clock; all pieces of a line have that of the first.
    An entry without a newline is such a piece, or what a process wrote last.
    """

    time: int
    stream: LogStream
    data: bytes


class LogReading(Protocol):
    """An open log. ``is_exact``: what it follows stays whole where the log is rotated.

    Docker's engines before 23.0 double, reorder or leave out entries there. ``room``: bytes that
    the driver keeps of the log's end, at least, as it counts them; None: of all, or not known.
    """

    @property
    def is_exact(self) -> bool:
        """Whether a follow can be trusted over a rotation, if it is read at once."""
        ...

    @property
    def room(self) -> int | None:
        """How much is kept in any case: a log of which less is there is whole."""
        ...

    async def read(self) -> Sequence[LogFrame]:
        """Wait for entries and return those that are here, in order; none at the end.

        May be cancelled and called again.
        """
        ...


class Engine(Protocol):
    """What an engine does for the jobs of one namespace.

    Every call has a deadline and raises ``EngineError``. What is not a job of the namespace is
    never shown.
    """

    async def create(
        self, name: str, body: Mapping[str, object], *, platform: str | None = None
    ) -> CreatedJob:
        """Record a job. Raises ``ConflictError`` for a name that is taken."""
        ...

    async def inspect(self, ref: str) -> Job | None:
        """Read one job by its uid or by the exact name that it has on the engine.

        ``None``: what is called so is no job of this namespace. Raises ``NotFoundError`` if
        nothing is called so. Someone may have given the name of one job to another: compare ids.
        """
        ...

    async def list(
        self,
        *,
        job_id: str | None = None,
        statuses: Iterable[Status] = (),
        uids: Iterable[str] = (),
        since: str | None = None,
        known: Mapping[str, Job] | None = None,
        on_mark: Callable[[Mark], None] = ...,
    ) -> list[Job]:
        """List jobs, newest first by the nanosecond; the cost grows with the engine's containers.

        ``job_id`` lists what carries that id in its labels, ``uids`` those of them that are there,
        at a cost that grows with their number alone. ``since`` is a uid: only what was created
        later; raises ``NotFoundError`` when that job is gone.

        Where the engine shows nothing new of a job in ``known``, by uid, it is listed as it stands
        there: to make 100,000 rows anew for each list would take seconds. "Nothing new" means the
        same id, status and, where the list shows it, exit code.

        ``on_mark`` is called with each mark that such a list shows beside the jobs.
        """
        ...

    def find_unsupported(self, body: Mapping[str, object]) -> Sequence[Unsupported]:
        """Find what of the ``body`` of a create this engine cannot do, without asking it.

        The body has the labels of its job's wishes, and may have the manifest's ``Platform``.
        """
        ...

    async def start(self, uid: str) -> Status:
        """Start a job that waits; a running one is left alone. A finished one runs again.

        Returns what the job is then: ``RUNNING``, or ``STARTING`` where that takes a while yet.
        An engine of several nodes starts what the last inspect has shown: ``OutdatedError`` if
        it was changed since.
        """
        ...

    async def stop(self, uid: str, grace: int | None = None) -> None:
        """Have a job end for good: its stop signal, and ``grace`` seconds later its kill.

        ``None`` leaves the seconds to the container: its own, else 10. Returns when it has ended.
        It goes on when the caller leaves, and two at once do no harm. A start in flight is waited
        for; one that does not run is left as it is. Raises ``NotFoundError`` if it is gone.
        """
        ...

    async def create_mark(self, name: str, mark: Mark) -> str:
        """Record a mark under ``name`` and return its uid; it is removed as a job is.

        Raises ``ConflictError`` for a name that is taken.
        """
        ...

    async def find_mark(self, name: str) -> Mark | None:
        """Read the mark of exactly this name; ``None`` where that is no mark, or nothing."""
        ...

    async def remove(self, uid: str) -> None:
        """Remove a job with its anonymous volumes, never by force.

        One that is gone, or that someone else removes at this moment, counts as removed.
        """
        ...

    async def ping(self) -> None:
        """Ask whether the engine serves requests: more than an open socket."""
        ...

    async def info(self) -> EngineInfo:
        """Read who the engine is, and agree on the API version."""
        ...

    async def image_config(self, image: str) -> Mapping[str, Any]:
        """Read what an image hands on to its containers, spelt as in a create call.

        Raises ``NotFoundError`` if the image is not there.
        """
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

    def events(
        self, *, pause: Pause | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Subscribe to the events of jobs; inside the context, the subscription stands.

        ``pause`` is awaited before each reading (not of a swarm): what comes meanwhile is read too.
        The iterator ends when the engine closes the stream and raises ``EngineError`` when the
        connection breaks. Some events may be of strangers that carry our label.
        """
        ...

    def logs(
        self,
        uid: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AbstractAsyncContextManager[LogReading]:
        """Open the log of a job: its last ``tail`` entries, of them those of the times between.

        ``since`` and ``until`` are nanoseconds since the epoch, both included. With ``follow`` it
        ends some time after the job's process has ended, or never: ask how the job is. That of a
        job that waits for its start ends at once. Leaving the context ends the reading on the
        engine, too. Raises ``NoLogError`` for a log that cannot be read, ``NotFoundError`` for what
        is no job of this namespace.
        """
        ...

    def now(self) -> int:
        """Return the engine's present time in nanoseconds since the epoch, as its replies tell."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
