"""The containers of the in-memory engine: kept in order of creation, found and listed."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from api.engine.docker.decode import is_unchanged, tell_lingering
from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.interface import LogStream
from api.v1.job import ACTIVE, FINISHED, LEAVING, Job, Status
from api.v1.labels import CANCELS, NAME, NAMESPACE, is_job, read_job_id
from api.v1.mark import Mark, decode_mark, is_mark
from api.v1.spec import decode
from api.v1.status import describe_status
from api.v1.times import SECOND
from tests.fakes.engine.logs import MemoryLog

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SHOW_CODE: Final = FINISHED | {Status.RESTARTING, Status.REMOVING}
_TELL_CODE: Final = frozenset({Status.EXITED, Status.RESTARTING})
_ID: Final = re.compile(r"[0-9a-f]{1,63}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the engine keeps it; times are nanoseconds since the epoch."""

    id: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    image: str
    created: int
    status: Status
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    restart_count: int = 0
    lingers: bool = False
    health: str | None = None
    lost: bool = False
    rerun: int = 0

    @property
    def is_running(self) -> bool:
        """Tell whether its process can do anything."""
        return self.status is Status.RUNNING

    @property
    def is_startable(self) -> bool:
        """Tell whether a start would be its first."""
        return self.status is Status.CREATED and self.started_at is None


@dataclass(frozen=True, slots=True)
class Script:
    """What a container does once started.

    It runs for ``seconds`` of the event loop's time (``None``: until the test ends it) and exits
    with ``exit_code``. With ``refusal`` its start is refused instead; ``leaves_error`` tells
    whether the engine notes the refusal in ``State.Error`` (it does not for a missing bind source).
    ``output`` is what each run writes at its start. It ends ``stop_seconds`` after a stop signal,
    with ``stop_code``, or is killed (137) if that is longer than its grace, and does not end even
    then if it ``is_unkillable``.
    """

    seconds: float | None = None
    exit_code: int = 0
    refusal: EngineRefusedError | None = None
    leaves_error: bool = True
    output: Sequence[tuple[LogStream, bytes]] = ()
    stop_seconds: float = 0.0
    stop_code: int = 143
    is_unkillable: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list asks for; the fields are the arguments of the interface's ``list``."""

    namespace: str
    job_id: str | None = None
    statuses: Collection[Status] = ()
    uids: Collection[str] = ()
    since: str | None = None
    known: Mapping[str, Job] = field(default_factory=dict)


@dataclass(slots=True)
class Cell:
    """One container: its body as of now, its state, its place, and how often it ran."""

    place: int
    body: Mapping[str, object]
    container: Container
    script: Script | None = None
    runs: int = 0
    is_stopping: bool = False
    job: Job | None = None
    row: Job | None = None
    log: MemoryLog | None = None

    @property
    def id(self) -> str:
        """The full container id."""
        return self.container.id

    @property
    def is_mark(self) -> bool:
        """Tell whether its labels claim that it is a mark."""
        return bool(self.container.labels.get(CANCELS))

    def will_restart(self, exit_code: int) -> bool:
        """Tell whether its restart policy has the engine run it again."""
        policy = _read_restart_policy(self.body)
        most = policy.get("MaximumRetryCount") or 0
        match policy.get("Name"):
            case "always" | "unless-stopped":
                return True
            case "on-failure":
                return exit_code != 0 and (not most or self.container.restart_count < most)
            case _:
                return False


class Store:
    """Containers by id and by name. Finding one costs the same whatever their number."""

    def __init__(self) -> None:
        self._cells: dict[str, Cell] = {}
        self._ids: dict[str, str] = {}
        self._active: set[str] = set()
        self._places = 0
        self.shown_images: set[str] = set()
        """Ids of the images of what a list has shown: events of such are certain."""

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._cells

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Cell]:
        """Iterate oldest first."""
        return iter(self._cells.values())

    def add(
        self, name: str, body: Mapping[str, object], image: str, labels: Mapping[str, str], now: int
    ) -> Cell:
        """Add a container created at ``now`` (ns, later than all before)."""
        if not _NAME.fullmatch(name):
            raise EngineRefusedError(400, f"Invalid container name ({name})")
        self._check_free(name)
        self._places += 1
        container_id = hashlib.sha256(f"{self._places} {name}".encode()).hexdigest()
        container = Container(
            container_id,
            name,
            labels,
            image,
            now,
            Status.CREATED,
            lingers=_lingers(body),
        )
        self._ids[name] = container_id
        cell = self._cells[container_id] = Cell(self._places, body, container)
        return cell

    def find(self, ref: str) -> Cell:
        """Find by full id, then by exact name, then by the beginning of an id."""
        cell = self._cells.get(ref) or self._cells.get(self._ids.get(ref.removeprefix("/"), ""))
        if cell is not None:
            return cell
        if _ID.fullmatch(ref):
            found = [cell for cell in self if cell.id.startswith(ref)]
            if len(found) == 1:
                return found[0]
        raise NotFoundError(404, f"No such container: {ref}")

    def set_restart_policy(self, cell: Cell, name: str) -> None:
        """Replace the restart policy."""
        host: Any = cell.body.get("HostConfig") or {}
        cell.body = {**cell.body, "HostConfig": {**host, "RestartPolicy": {"Name": name}}}
        self.change(cell, lingers=_lingers(cell.body))

    def change(self, cell: Cell, **changes: Any) -> None:
        """Change fields of a container."""
        cell.container = replace(cell.container, **changes)
        cell.job = cell.row = None
        if cell.container.status in ACTIVE:
            self._active.add(cell.id)
        else:
            self._active.discard(cell.id)

    def rename(self, cell: Cell, name: str) -> None:
        """Give a container another name."""
        self._check_free(name)
        del self._ids[cell.container.name]
        self._ids[name] = cell.id
        self.change(cell, name=name)

    def discard(self, cell: Cell) -> None:
        """Take a container away."""
        del self._cells[cell.id]
        del self._ids[cell.container.name]
        self._active.discard(cell.id)

    def select(
        self, wanted: Selection, images: Mapping[str, Mapping[str, str]], now: int
    ) -> list[Job]:
        """List jobs as the engine lists containers, newest first; ``images`` are labels by id."""
        oldest = None if wanted.since is None else self.find(wanted.since)
        cells = [
            cell
            for cell in _take_until(self._iterate(wanted), oldest)
            if (not wanted.statuses or cell.container.status in wanted.statuses)
            and (wanted.job_id is None or cell.container.labels.get(NAME) == wanted.job_id)
            and cell.container.labels.get(NAMESPACE) == wanted.namespace
        ]
        self.shown_images.update(cell.container.image for cell in cells)
        return [
            _make_row(cell, wanted.namespace, wanted.known.get(cell.id), now, images)
            for cell in cells
            if is_ours(cell.container, wanted.namespace, images)
        ]

    def select_marks(
        self, wanted: Selection, images: Mapping[str, Mapping[str, str]]
    ) -> list[Mark]:
        """List the marks that a list shows beside jobs, newest first."""
        oldest = None if wanted.since is None else self.find(wanted.since)
        return [
            make_mark(cell, created=cell.container.created // SECOND * SECOND)
            for cell in _take_until(self._iterate(wanted), oldest)
            if cell.is_mark
            and wanted.job_id is None
            and (not wanted.statuses or cell.container.status in wanted.statuses)
            and tells_mark(cell.container, wanted.namespace, images)
        ]

    def _iterate(self, wanted: Selection) -> Iterable[Cell]:
        """Yield at least the cells that are wanted, newest first."""
        if wanted.uids:
            keys: Collection[str] = {key for key in wanted.uids if key in self._cells}
        elif wanted.statuses and ACTIVE.issuperset(wanted.statuses):
            keys = self._active
        else:
            return reversed(self._cells.values())
        return sorted((self._cells[key] for key in keys), key=lambda cell: -cell.place)

    def _check_free(self, name: str) -> None:
        holder = self._ids.get(name)
        if holder is not None:
            raise ConflictError(
                409, f'The container name "/{name}" is already in use by container "{holder}".'
            )


def is_ours(seen: Container, namespace: str, images: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether a container is a job of ``namespace``; ``images`` are labels by image id."""
    image_labels = images.get(seen.image)
    return is_job(seen.labels, namespace=namespace, image_labels=image_labels)


def tells_mark(seen: Container, namespace: str, images: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether a container is a mark of ``namespace``; ``images`` are labels by image id."""
    return is_mark(seen.labels, namespace=namespace, image_labels=images.get(seen.image))


def make_mark(cell: Cell, *, created: int) -> Mark:
    """Return what is shown of a mark that is known to be created at ``created`` (ns)."""
    return decode_mark(cell.id, cell.container.labels, created)


def make_job(cell: Cell, namespace: str, images: Mapping[str, Mapping[str, str]]) -> Job:
    """Return what an inspect shows; ``images`` are labels by image id."""
    if cell.job is None:
        seen = cell.container
        never_ran = seen.started_at is None and seen.status in LEAVING
        has_ended = seen.finished_at is not None or (seen.status in _SHOW_CODE and not never_ran)
        cell.job = Job(
            uid=seen.id,
            id=read_job_id(seen.name, seen.labels),
            namespace=namespace,
            spec=decode(
                seen.labels,
                image=str(cell.body.get("Image") or ""),
                inherited=images.get(seen.image, {}),
            ),
            status=seen.status,
            created=seen.created,
            order=seen.created,
            exact=True,
            made=True,
            detailed=True,
            started=seen.started_at is not None,
            started_at=seen.started_at,
            finished_at=seen.finished_at,
            exit_code=seen.exit_code if has_ended and not seen.lost else None,
            error=seen.error,
            oom_killed=seen.oom_killed,
            restarts=seen.restart_count,
            health=seen.health,
            lingers=seen.lingers,
            likeness=_tell_likeness(seen.image, cell.body),
            stop_timeout=_read_stop_timeout(cell.body),
            lost=seen.lost,
            rerun=seen.rerun,
        )
    return cell.job


def _make_row(
    cell: Cell,
    namespace: str,
    known: Job | None,
    now: int,
    images: Mapping[str, Mapping[str, str]],
) -> Job:
    job = make_job(cell, namespace, images)
    exit_code = job.exit_code if job.status in _TELL_CODE else None
    if known is not None and is_unchanged(known, job.id, job.status, exit_code):
        return known
    if cell.row is not None:
        return cell.row
    created = job.created // SECOND * SECOND
    row = Job(
        uid=job.uid,
        id=job.id,
        namespace=namespace,
        spec=job.spec,
        status=job.status,
        created=created,
        order=created,
        started=job.status not in LEAVING | {Status.CREATED},
        exit_code=exit_code,
        text=describe_status(job, now),
        likeness=job.likeness,
    )
    if job.status is Status.CREATED:
        cell.row = row  # the only text that does not age
    return row


def _take_until(cells: Iterable[Cell], oldest: Cell | None) -> Iterator[Cell]:
    for cell in cells:
        if oldest is not None and cell.place <= oldest.place:
            return
        yield cell


def _tell_likeness(image: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    program, host = body.get("Cmd") or [""], body.get("HostConfig") or {}
    return (image, program[0], host.get("NetworkMode") or "default")


def _read_stop_timeout(body: Mapping[str, Any]) -> int | None:
    seconds = body.get("StopTimeout")
    return None if seconds is None else int(seconds)


def _lingers(body: Mapping[str, object]) -> bool:
    host: Any = body.get("HostConfig") or {}
    networking: Any = body.get("NetworkingConfig") or {}
    return tell_lingering(host, networking.get("EndpointsConfig") or {}, [])


def _read_restart_policy(body: Mapping[str, object]) -> Mapping[str, Any]:
    host: Any = body.get("HostConfig") or {}
    policy: Mapping[str, Any] = host.get("RestartPolicy") or {}
    return policy
