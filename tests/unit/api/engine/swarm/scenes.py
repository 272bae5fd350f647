"""Services, tasks and nodes as a manager shows them, for tests of what they mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.engine.swarm.decode import Node, Nodes, read_job
from api.engine.swarm.service import make_service, name_service
from api.engine.swarm.services import Service, read_service
from api.engine.swarm.tasks import Beginnings, Task, read_task
from api.v1.job import Job
from api.v1.spec import JobSpec, encode
from api.v1.times import format_time, parse_time

NAMESPACE = "test"
UID = "s" * 25
TASK = "t" * 25
NODE = "n" * 25
BEGIN = parse_time("2026-11-30T10:00:00Z") or 0
SECOND = 1_000_000_000
NODES: Nodes = {NODE: Node("node-2", is_down=False)}
DOWN: Nodes = {NODE: Node("node-2", is_down=True)}


def stamp(seconds: float) -> str:
    """Return the time so long after the service was created."""
    return format_time(BEGIN + round(seconds * SECOND)) or ""


def make_service_data(
    *,
    spec: JobSpec | None = None,
    labels: Mapping[str, str] | None = None,
    replicas: int = 1,
    start: int = 1,
    uid: str = UID,
    job_id: str = "job",
    namespace: str = NAMESPACE,
    body: Mapping[str, Any] | None = None,
    version: int = 7,
) -> dict[str, Any]:
    """Return the JSON of a service of a job."""
    stamped = encode(spec or JobSpec(), namespace=namespace, job_id=job_id, labels={})
    manifest = {"Image": "busybox:job", "Cmd": ["true"], **(body or {}), "Labels": stamped}
    name = name_service(namespace, job_id)
    made = make_service(name, manifest, api_version=(1, 41), platform=None)
    made["Labels"] = {**stamped, **(labels or {})}
    made["TaskTemplate"]["ForceUpdate"] = start
    made["Mode"] = {"Replicated": {"Replicas": replicas}}
    return {
        "ID": uid,
        "Version": {"Index": version},
        "CreatedAt": stamp(0),
        "UpdatedAt": stamp(1),
        "Spec": made,
    }


def make_service_of(**facts: Any) -> Service:
    """Return a service of a job, read."""
    service = read_service(make_service_data(**facts), NAMESPACE)
    assert service is not None
    return service


def make_task_data(
    state: str,
    *,
    desired: str = "running",
    error: str = "",
    code: int | None = None,
    at: float = 5,
    start: int = 1,
    created: float = 2,
    uid: str = TASK,
    service: str = UID,
    has_container: bool | None = None,
    message: str = "",
) -> dict[str, Any]:
    """Return the JSON of a task."""
    if has_container is None:
        has_container = state in {"starting", "running", "complete", "failed", "shutdown"}
    container = {"ContainerID": "c" * 64 if has_container else "", "ExitCode": code or 0}
    return {
        "ID": uid,
        "ServiceID": service,
        "CreatedAt": stamp(created),
        "UpdatedAt": stamp(at + 0.5),
        "NodeID": "" if state in {"new", "pending"} else NODE,
        "DesiredState": desired,
        "Spec": {"ForceUpdate": start},
        "Status": {
            "State": state,
            "Timestamp": stamp(at),
            "Err": error,
            "Message": message,
            **({"ContainerStatus": container} if has_container or code is not None else {}),
        },
    }


def make_task(state: str, **facts: Any) -> Task:
    """Return a task, read."""
    return read_task(make_task_data(state, **facts))


def judge(service: Service, *tasks: Task, nodes: Nodes = NODES, before: Sequence[Task] = ()) -> Job:
    """Return the job of a service with these tasks; those ``before`` were seen earlier."""
    beginnings = Beginnings(lambda: BEGIN + 3 * SECOND)
    for task in (*before, *tasks):
        beginnings.note(task)
    return read_job(service, tasks, nodes, beginnings, NAMESPACE)
