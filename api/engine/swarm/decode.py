"""What a service and its tasks say of a job: whether it waits, starts, runs, has ended, is lost."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from api.engine.swarm.labels import End, Loss, Stop
from api.engine.swarm.services import (
    Service,
    get_container,
    read_stop_timeout,
    tell_likeness,
)
from api.engine.swarm.tasks import Beginnings, State, Task
from api.v1.job import Job, Status
from api.v1.record import record
from api.v1.spec import JobSpec, decode
from api.v1.wishes import NodeLoss

_MAX_ERROR: Final = 2000
_EXIT: Final = re.compile(r"task: non-zero exit \(-?\d+\)(?:: )?")
_TAKEN: Final = "the swarm has ended it: its node was drained, or was cut off and is back"
_NOTHING: Final = "the swarm has ended its task before it ran"
_UNSEEN: Final = "it was stopped, and its task was gone before its exit code was seen"
_SET_TO_NONE: Final = "its service was set to no replica, and not by its controller"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the swarm; ``is_down``: its managers gave it up, ``at`` that time (ns)."""

    name: str
    is_down: bool
    at: int = 0


Nodes = Mapping[str, Node]
"""Nodes by their ids."""


@record
class Fate:
    """What has become of a service's job; see :class:`~api.v1.job.Job` for the fields."""

    status: Status
    started: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    error: str = ""
    lost: bool = False
    restarts: int = 0
    rerun: int = 0


def find_current(service: Service, tasks: Sequence[Task]) -> Sequence[Task]:
    """Return the tasks of a service's last start: right after it, there are none yet."""
    return [task for task in tasks if task.start == service.start]


def wants_nodes(service: Service, tasks: Sequence[Task]) -> bool:
    """Tell whether only the nodes show how a job is: its task was called off, and has not ended."""
    current = find_current(service, tasks)
    return service.end is None and bool(current) and current[-1].is_called_off


def is_lost(task: Task, nodes: Nodes) -> bool:
    """Tell whether a task is lost with its node: it may have run, and may run on there unseen.

    The swarm calls a task off when its node is down, or is drained.
    """
    if task.is_taken_away:
        return True
    if not task.is_called_off or task.state < State.ASSIGNED:
        return False
    return task.node not in nodes or nodes[task.node].is_down


def wants_rerun(service: Service, spec: JobSpec) -> bool:
    """Tell whether a job is to be run again if its node is lost now."""
    return spec.wishes.on_node_loss is NodeLoss.RERUN and service.stop is None


def read_job(
    service: Service, tasks: Sequence[Task], nodes: Nodes, beginnings: Beginnings, namespace: str
) -> Job:
    """Return the job of a service with these tasks, the oldest first."""
    job_spec = decode(service.labels, image=str(get_container(service.spec).get("Image") or ""))
    fate = find_fate(service, tasks, nodes, beginnings, runs_again=wants_rerun(service, job_spec))
    return Job(
        uid=service.uid,
        id=service.job_id,
        namespace=namespace,
        spec=job_spec,
        status=fate.status,
        created=service.created,
        order=service.created,
        exact=True,
        made=True,
        detailed=True,
        started=fate.started,
        started_at=fate.started_at,
        finished_at=fate.finished_at,
        exit_code=fate.exit_code,
        error=fate.error[:_MAX_ERROR],
        restarts=fate.restarts,
        lingers=service.is_repeated,
        likeness=tell_likeness(service.spec),
        stop_timeout=read_stop_timeout(service.spec),
        lost=fate.lost,
        rerun=fate.rerun,
    )


def find_fate(
    service: Service,
    tasks: Sequence[Task],
    nodes: Nodes,
    beginnings: Beginnings,
    *,
    runs_again: bool,
) -> Fate:
    """Return what has become of a job; ``runs_again``: if its node was lost, it waits once more."""
    rerun = 0 if service.loss is None else service.loss.count
    if service.end is not None:
        return _read_end(service.end, rerun)
    has_waited = service.replicas == 0 and (service.start == 0 or _never_ran(service.stop))
    if has_waited:
        return Fate(Status.CREATED, rerun=rerun)
    current = find_current(service, tasks)
    if not current:
        return _find_without_task(service, rerun)
    task, loss = current[-1], service.loss
    if loss is not None and loss.task == task.id:
        return _wait_again(loss)
    has_lost = is_lost(task, nodes) and not _is_replaced(service, task)
    if has_lost or _was_taken(service, task):
        if runs_again:
            return _wait_again(Loss(rerun + 1, task.id, tell_loss(task, nodes)))
        if has_lost:
            # not seen to run it may have run all the same: it counts as started, and waits no more
            has_run = task.has_run
            return Fate(
                Status.EXITED,
                started=True,
                started_at=_find_beginning(service, task, beginnings) if has_run else None,
                finished_at=_find_loss(task, nodes),
                error=tell_loss(task, nodes),
                lost=True,
                rerun=rerun,
            )
    return _read_task(service, current, beginnings, rerun)


def _find_loss(task: Task, nodes: Nodes) -> int:
    """Return when a task counted as lost (ns): nobody could say so before."""
    node = nodes.get(task.node)
    return max(task.changed, node.at if node is not None and node.is_down else 0)


def tell_loss(task: Task, nodes: Nodes) -> str:
    """Return what is to be said of a task that its node, or the swarm, took away."""
    if task.state is State.SHUTDOWN:
        return _TAKEN
    if task.state in {State.REJECTED, State.FAILED}:
        return f"the swarm has ended it: {task.error}"
    node = nodes.get(task.node)
    return f"node {task.node if node is None else node.name} was lost"


def _never_ran(stop: Stop | None) -> bool:
    return stop is not None and stop.ran is False


def _was_taken(service: Service, task: Task) -> bool:
    """Tell whether the swarm has ended a run that nobody has stopped."""
    return task.state is State.SHUTDOWN and task.has_run and service.stop is None


def _is_replaced(service: Service, task: Task) -> bool:
    """Tell whether the swarm, which runs the job again by itself, has not given it up."""
    return service.is_repeated and task.desired <= State.RUNNING


def _find_beginning(service: Service, task: Task, beginnings: Beginnings) -> int | None:
    seen = beginnings.find(task)
    return service.stop.started_at if seen is None and service.stop is not None else seen


def _wait_again(loss: Loss) -> Fate:
    return Fate(Status.CREATED, error=loss.error, lost=True, rerun=loss.count)


def _read_end(end: End, rerun: int) -> Fate:
    return Fate(
        Status.EXITED,
        started=end.ran,
        started_at=end.started_at,
        finished_at=end.finished_at,
        exit_code=end.exit_code,
        error=end.error,
        lost=end.lost,
        rerun=rerun,
    )


def _find_without_task(service: Service, rerun: int) -> Fate:
    if service.replicas > 0:
        return Fate(Status.STARTING, rerun=rerun)
    stop = service.stop
    if stop is None:
        return Fate(
            Status.EXITED,
            started=True,
            finished_at=service.changed,
            error=_SET_TO_NONE,
            rerun=rerun,
        )
    return Fate(
        Status.EXITED,
        started=stop.ran is not None,
        started_at=stop.started_at,
        finished_at=stop.at,
        error=_UNSEEN,
        rerun=rerun,
    )


def _read_task(
    service: Service, current: Sequence[Task], beginnings: Beginnings, rerun: int
) -> Fate:
    """Return what the tasks of the last start show: several only where it is restarted."""
    task, earlier = current[-1], [task for task in current[:-1] if task.has_run]
    code = earlier[-1].exit_code if earlier else None
    is_repeated = _is_replaced(service, task)
    if not (task.has_run or is_repeated) and (task.is_over or task.will_not_run):
        # it was to follow another, whose end is the job's; that one may be gone
        if earlier:
            return _read_task(service, current[:-1], beginnings, rerun)
        if service.stop is not None and service.stop.ran:
            return _find_without_task(service, rerun)
    if task.will_not_run and not earlier:
        return Fate(Status.CREATED, rerun=rerun)
    if task.state < State.RUNNING or (is_repeated and task.is_over and not task.has_run):
        status = Status.RESTARTING if earlier else Status.STARTING
        return Fate(
            status,
            started=bool(earlier),
            finished_at=earlier[-1].stamp if earlier else None,
            exit_code=code,
            error="" if earlier else task.error,
            restarts=len(earlier),
            rerun=rerun,
        )
    if not task.has_run:
        error = "" if service.stop is not None else task.error or _NOTHING
        return Fate(Status.CREATED, error=error, rerun=rerun)
    run = Fate(
        Status.RUNNING,
        started=True,
        started_at=_find_beginning(service, task, beginnings),
        finished_at=earlier[-1].stamp if earlier else None,
        exit_code=code,
        restarts=len(earlier),
        rerun=rerun,
    )
    if not task.is_over:
        return run
    is_good = task.state is State.COMPLETE and task.exit_code is None
    over = replace(run, finished_at=task.stamp, exit_code=0 if is_good else task.exit_code)
    if is_repeated and task.state is not State.COMPLETE:
        return replace(over, status=Status.RESTARTING)
    error = _TAKEN if _was_taken(service, task) else _EXIT.sub("", task.error)
    return replace(over, status=Status.EXITED, error=error)
