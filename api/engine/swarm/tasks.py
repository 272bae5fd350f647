"""The tasks of services, as a manager shows them, and what is remembered of when they began."""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any, Final, TypeVar

from api.v1.record import record
from api.v1.times import parse_time

T = TypeVar("T")

_REMEMBERED: Final = 10_000  # tasks


class State(IntEnum):
    """How far a task is, in the swarm's order; ``SHUTDOWN``: the swarm has ended it."""

    NEW = 0
    PENDING = 1
    ASSIGNED = 2
    ACCEPTED = 3
    PREPARING = 4
    READY = 5
    STARTING = 6
    RUNNING = 7
    COMPLETE = 8
    SHUTDOWN = 9
    FAILED = 10
    REJECTED = 11
    REMOVE = 12
    ORPHANED = 13


_STATES: Final[Mapping[str, State]] = {state.name.lower(): state for state in State} | {
    "allocated": State.PENDING
}
_NO_START: Final = "starting container failed"
"""What the error of a container that could not be started begins with."""
_CUT_OFF: Final = "context canceled"
"""In the error of one that may have been started all the same."""
_NO_CONTAINER: Final = "No such container"
"""In the error of one whose node has lost its container, with its exit code."""
_TAKEN_AWAY: Final = "assigned node no longer meets constraints"
"""The error of a task that a manager has rejected, whatever its node has reported of it so far."""


@record
class Task:
    """One task. ``desired`` is what the swarm wants of it, ``stamp`` (ns) when its state changed.

    The stamp is by the clock of its node from the moment on that it is the node's; ``changed``,
    when anything changed, by the manager's. ``start``: which of its service's starts made it.
    """

    id: str
    service: str
    created: int
    state: State
    desired: State
    start: int = 0
    changed: int = 0
    stamp: int | None = None
    error: str = ""
    node: str = ""
    has_container: bool = False
    exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether it will never run again."""
        return self.state >= State.COMPLETE

    @property
    def has_run(self) -> bool:
        """Tell whether its process has been started, as far as the state shows.

        A task whose container has a health check is ``STARTING`` until it is healthy: what it then
        fails with tells whether it ran.
        """
        match self.state:
            case State.RUNNING | State.COMPLETE | State.ORPHANED:
                return True
            case State.FAILED:
                return not self.error.startswith(_NO_START)
            case State.SHUTDOWN | State.REJECTED:
                return self.has_container
        return False

    @property
    def is_taken_away(self) -> bool:
        """Tell whether the swarm took it from a node that runs it, or may, and looks no more.

        The node was removed by force, or has lost a label, a role or memory that the task needs: it
        reports a container a moment after it has started it. Or it was stopped during the start, or
        has lost the container in a restart.
        """
        match self.state:
            case State.REJECTED:
                return self.has_run or self.error.startswith(_TAKEN_AWAY)
            case State.FAILED:
                is_unstarted = self.error.startswith(_NO_START)
                return (_CUT_OFF if is_unstarted else _NO_CONTAINER) in self.error
        return self.state is State.ORPHANED

    @property
    def will_not_run(self) -> bool:
        """Tell whether it is to go and no node has it: one that gets it now will not start it."""
        return self.desired >= State.REMOVE and self.state < State.ASSIGNED

    @property
    def is_called_off(self) -> bool:
        """Tell whether the swarm wants it to end before it has."""
        return self.desired > State.RUNNING and not self.is_over


def read_task(data: Mapping[str, Any]) -> Task:
    """Read a task in the answer of ``GET /tasks``."""
    status: Mapping[str, Any] = data.get("Status") or {}
    container: Mapping[str, Any] = status.get("ContainerStatus") or {}
    code = container.get("ExitCode")
    state = _read_state(status.get("State"))
    # of what is taken from its node the end is not told: its container is as it was before; and one
    # that has failed has not exited 0
    is_untold = state is State.REJECTED or (state is State.FAILED and code == 0)
    return Task(
        id=data["ID"],
        service=data.get("ServiceID") or "",
        created=parse_time(data.get("CreatedAt")) or 0,
        state=state,
        desired=_read_state(data.get("DesiredState")),
        start=int((data.get("Spec") or {}).get("ForceUpdate") or 0),
        changed=parse_time(data.get("UpdatedAt")) or 0,
        stamp=parse_time(status.get("Timestamp")),
        error=str(status.get("Err") or ""),
        node=data.get("NodeID") or "",
        has_container=bool(container.get("ContainerID")),
        exit_code=code if isinstance(code, int) and code >= 0 and not is_untold else None,
    )


def _read_state(text: str | None) -> State:
    """Return the state of this name; one that is not known counts as running: it holds a slot."""
    return _STATES.get((text or "").lower(), State.RUNNING)


def sort_by_service(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Return the tasks of each service, the oldest first."""
    found: dict[str, list[Task]] = {}
    for task in sorted(tasks, key=lambda task: (task.created, task.id)):
        found.setdefault(task.service, []).append(task)
    return found


class Beginnings:
    """When tasks began to run: only while a task runs does the manager show it.

    Of one that was never seen running it is when it was last seen before, by ``now``, the manager's
    clock (ns): between that and its end, it ran. One that is told to start, and has a health check,
    runs already.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._running: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._settled: dict[str, int | None] = {}

    def note(self, task: Task) -> None:
        """Note what a task shows."""
        if task.state is State.RUNNING and task.stamp is not None:
            # a stop that is under way sets a running task's stamp anew
            _put(self._running, task.id, self._running.get(task.id, task.stamp))
        elif task.state is State.STARTING and task.stamp is not None:
            _put(self._before, task.id, task.stamp)
        elif task.state < State.RUNNING:
            _put(self._before, task.id, self._now())

    def find(self, task: Task) -> int | None:
        """Return when a task began to run (ns), if that was seen, or nearly.

        Once it is over that does not change any more, whatever late answers show.
        """
        if task.id in self._settled:
            return self._settled[task.id]
        began = self._running.get(task.id, self._before.get(task.id))
        if not task.is_over:
            return began
        if began is not None and task.stamp is not None:
            began = min(began, task.stamp)  # clocks of two hosts may differ
        _put(self._settled, task.id, began)
        return began


def _put(times: dict[str, T], uid: str, time: T) -> None:
    if uid not in times and len(times) >= _REMEMBERED:
        del times[next(iter(times))]
    times[uid] = time
