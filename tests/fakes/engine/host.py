"""The life of the in-memory engine's containers, and the events of it; a test drives both."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from api.engine.docker.event_decode import read_event
from api.engine.errors import EngineError, EngineInterruptedError, EngineRefusedError, NotFoundError
from api.engine.interface import Event, LogStream, Pause
from api.v1.job import Status
from api.v1.labels import NAMESPACE, read_job_id
from api.v1.times import SECOND
from tests.fakes.engine.logs import MemoryLog
from tests.fakes.engine.store import Cell, Container, Script, Store, is_ours

IMAGE: Final = "busybox:job"
"""The image that is there from the start, without labels."""

_REPLAYED: Final = 256
_RESTART_DELAY: Final = 0.1
_KILLED: Final = 137


@dataclass(frozen=True, slots=True)
class Happening:
    """What the engine tells of a container, in its own words; ``labels`` carry the name, too.

    ``is_certain``: the image's labels are known to whoever listens; ``image_labels`` are those.
    """

    action: str
    id: str
    labels: Mapping[str, str] = field(hash=False)
    time: int
    exit_code: int | None = None
    is_certain: bool = False
    image_labels: Mapping[str, str] | None = field(default=None, hash=False)


class Stream:
    """One subscription: the events of what carries the label of ``namespace``."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.pause: Pause | None = None
        self._queue: asyncio.Queue[Event | EngineError | None] = asyncio.Queue()

    def send(self, happening: Happening) -> None:
        """Have the reader get an event, if it asked for such."""
        if happening.labels.get(NAMESPACE) != self._namespace:
            return
        event = read_event(
            {
                "Action": happening.action,
                "Actor": {"ID": happening.id, "Attributes": happening.labels},
                "timeNano": happening.time,
            },
            self._namespace,
            lambda *_: {} if happening.is_certain else None,
            lambda _: happening.image_labels,
        )
        if event is not None:
            self._queue.put_nowait(event)

    def end(self, error: EngineError | None = None) -> None:
        """End the stream after what was sent, in good order or with an error."""
        self._queue.put_nowait(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self.pause is not None and self._queue.empty():
            await self.pause()
        item = await self._queue.get()
        if isinstance(item, Event):
            return item
        self._queue.put_nowait(item)  # an end stays an end
        raise item or StopAsyncIteration


class MemoryHost:
    """Containers without processes. Everything here happens at once, without an event loop's turn.

    ``namespace`` is the one whose jobs the engine shows; ``clock`` gives nanoseconds since the
    epoch; ``behave`` says, from the body a container was created with, what it does once started.
    ``history`` holds every event.
    """

    def __init__(
        self,
        namespace: str,
        clock: Callable[[], int],
        behave: Callable[[Mapping[str, object]], Script],
    ) -> None:
        self._namespace = namespace
        self._clock = clock
        self._behave = behave
        self._time = 0
        self._store = Store()
        self._images: dict[str, Mapping[str, str]] = {}
        self._streams: set[Stream] = set()
        self.history: list[Happening] = []
        self.has_marks = False
        """Whether there ever was one."""
        self.is_mute = False
        """While set, no stream is told of any event, and none notices."""
        self.add_image(IMAGE)

    def add_image(self, tag: str, labels: Mapping[str, str] | None = None) -> str:
        """Add an image and return its id."""
        image_id = _identify(tag)
        self._images[tag] = self._images[image_id] = dict(labels or {})
        return image_id

    def remove_image(self, tag: str) -> None:
        """Remove an image, as a prune does, whatever is made of it."""
        for key in (tag, _identify(tag)):
            self._images.pop(key, None)

    def add(self, name: str, body: Mapping[str, object]) -> str:
        """Create a container and return its id; refuses what the engine refuses."""
        data: Mapping[str, Any] = body
        image = data.get("Image") or ""
        if image not in self._images:
            raise NotFoundError(404, f"No such image: {image}")
        if not (data.get("Cmd") or data.get("Entrypoint")):
            raise EngineRefusedError(400, "No command specified")
        labels = {**self._images[image], **(data.get("Labels") or {})}
        cell = self._store.add(name, body, _identify(image), labels, self._tick())
        self.has_marks |= cell.is_mark
        self._emit("create", cell)
        return cell.id

    def get(self, ref: str) -> Container:
        """Return a container by id or name."""
        return self._store.find(ref).container

    def names(self) -> tuple[str, ...]:
        """Return the names of all containers, oldest first."""
        return tuple(cell.container.name for cell in self._store)

    def script(self, ref: str, script: Script) -> None:
        """Prescribe what one container does at its next starts."""
        self._store.find(ref).script = script

    def run(self, ref: str) -> None:
        """Start a container. Raises its script's refusal."""
        cell = self._store.find(ref)
        script = cell.script or self._behave(cell.body)
        if script.refusal is not None:
            if script.leaves_error:
                self._store.change(cell, error=script.refusal.message, exit_code=127)
            raise script.refusal
        self._store.change(cell, restart_count=0)
        self._run(cell)

    def finish(self, ref: str, exit_code: int = 0, *, oom: bool = False) -> None:
        """End a container's run; its restart policy may have it restarting, then running."""
        cell = self._store.find(ref)
        if oom:
            self._emit("oom", cell)
        self.get_log(ref).end(self._tick)
        restarts = cell.will_restart(exit_code) and not cell.is_stopping
        self._store.change(
            cell,
            status=Status.RESTARTING if restarts else Status.EXITED,
            finished_at=self._tick(),
            exit_code=exit_code,
            oom_killed=oom,
            restart_count=cell.container.restart_count + restarts,
        )
        self._emit("die", cell, exit_code)
        if restarts:
            asyncio.get_running_loop().call_later(_RESTART_DELAY, self._run_again, cell, cell.runs)

    def stop_now(self, ref: str, grace: float) -> float | None:
        """Send a container its stop signal; return the seconds until it ends, None for never."""
        cell = self._store.find(ref)
        script = cell.script or self._behave(cell.body)
        cell.is_stopping = True
        if script.is_unkillable:
            return None
        is_killed = grace >= 0 and script.stop_seconds > grace
        seconds = grace if is_killed else script.stop_seconds
        code = _KILLED if is_killed else script.stop_code
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._end_stop, cell, cell.runs, code)
        else:
            self._end_stop(cell, cell.runs, code)
        return seconds

    def _end_stop(self, cell: Cell, run: int, code: int) -> None:
        if cell.id not in self._store or cell.runs != run:
            return
        match cell.container.status:
            case Status.RESTARTING:
                self._store.change(cell, status=Status.EXITED)
            case Status.RUNNING | Status.PAUSED:
                self.finish(cell.id, _KILLED if cell.container.status is Status.PAUSED else code)
            case _:
                return
        self._emit("stop", cell)

    def pause(self, ref: str) -> None:
        """Suspend a running container."""
        self.edit(ref, status=Status.PAUSED)
        self._emit("pause", self._store.find(ref))

    def unpause(self, ref: str) -> None:
        """Let a paused container go on."""
        self.edit(ref, status=Status.RUNNING)
        self._emit("unpause", self._store.find(ref))

    def rename(self, ref: str, name: str) -> None:
        """Give a container another name."""
        cell = self._store.find(ref)
        self._store.rename(cell, name)
        self._emit("rename", cell)

    def update(self, ref: str, restart_policy: str) -> None:
        """Give a container another restart policy, as ``docker update --restart`` does."""
        cell = self._store.find(ref)
        self._store.set_restart_policy(cell, restart_policy)
        self._emit("update", cell)

    def destroy(self, ref: str) -> None:
        """Remove a container, whatever its state, as someone else may."""
        cell = self._store.find(ref)
        self.get_log(ref).end(self._tick)
        self._store.discard(cell)
        self._emit("destroy", cell)

    def write(self, ref: str, data: bytes, stream: LogStream = LogStream.STDOUT) -> None:
        """Have the process of a container write to its log."""
        self.get_log(ref).write(stream, data, self._tick)

    def get_log(self, ref: str) -> MemoryLog:
        """Return the log of a container."""
        cell = self._store.find(ref)
        if cell.log is None:
            cell.log = MemoryLog(has_terminal=bool(cell.body.get("Tty")))
        return cell.log

    def edit(self, ref: str, **changes: Any) -> None:
        """Change fields of a container (``status=Status.DEAD``) without any event."""
        self._store.change(self._store.find(ref), **changes)

    def end_streams(self) -> None:
        """End all streams in good order, as an engine that is stopped does."""
        for cell in self._store:
            for reading in cell.log.readings if cell.log else ():
                reading.end()
        for stream in self._streams:
            stream.end()

    def cut_streams(self) -> None:
        """Break the connections of all streams."""
        for cell in self._store:
            for reading in cell.log.readings if cell.log else ():
                reading.end(EngineInterruptedError("the connection was cut"))
        for stream in self._streams:
            stream.end(EngineInterruptedError("the connection was cut"))

    def now(self) -> int:
        """Return the engine's time in nanoseconds since the epoch."""
        return self._clock()

    @contextmanager
    def _subscribe(self) -> Iterator[Stream]:
        """Open a stream, which starts with the events of the last second."""
        stream = Stream(self._namespace)
        since = (self.now() // SECOND - 1) * SECOND
        for event in self.history[-_REPLAYED:]:
            if event.time >= since and not self.is_mute:
                stream.send(event)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            stream.end()

    def announce(self, ref: str) -> None:
        """Tell of a container's creation, as the engine does when that is over."""
        self._emit("create", self._store.find(ref))

    def _run(self, cell: Cell) -> None:
        self._store.change(
            cell, status=Status.RUNNING, started_at=self._tick(), exit_code=0, error=""
        )
        cell.runs += 1
        cell.is_stopping = False
        self._emit("start", cell)
        script = cell.script or self._behave(cell.body)
        for stream, data in script.output:
            self.write(cell.id, data, stream)
        if script.seconds is not None:
            asyncio.get_running_loop().call_later(
                script.seconds, self._end_run, cell, cell.runs, script.exit_code
            )

    def _end_run(self, cell: Cell, run: int, exit_code: int) -> None:
        if cell.runs == run and cell.id in self._store and cell.container.status is Status.RUNNING:
            self.finish(cell.id, exit_code)

    def _run_again(self, cell: Cell, run: int) -> None:
        is_waiting = cell.runs == run and cell.container.status is Status.RESTARTING
        if is_waiting and cell.id in self._store:
            self._run(cell)

    def _tick(self) -> int:
        """Return a time later than any before: a clock that stands still orders containers too."""
        self._time = max(self._clock(), self._time + 1)
        return self._time

    def _emit(self, action: str, cell: Cell, exit_code: int | None = None) -> None:
        seen = cell.container
        code = {} if exit_code is None else {"exitCode": str(exit_code)}
        image = str(cell.body.get("Image") or "")
        labels = {**code, **seen.labels, "name": seen.name, "image": image}
        is_certain = read_job_id(seen.name, seen.labels) == seen.name
        is_certain = is_certain and seen.image in self._store.shown_images
        is_certain = is_certain and is_ours(seen, self._namespace, self._images)
        shown = self._images.get(seen.image) if seen.image in self._store.shown_images else None
        self.tell(Happening(action, seen.id, labels, self._tick(), exit_code, is_certain, shown))

    def tell(self, happening: Happening) -> None:
        """Tell every stream of something, be it true or not."""
        self.history.append(happening)
        if not self.is_mute:
            for stream in self._streams:
                stream.send(happening)


def _identify(image: str) -> str:
    """Return the id of an image given by tag or id."""
    if image.startswith("sha256:"):
        return image
    return "sha256:" + hashlib.sha256(image.encode()).hexdigest()
