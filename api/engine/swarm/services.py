"""The services that are jobs, as a manager shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from api.engine.swarm.labels import (
    End,
    Loss,
    Stop,
    decode_end,
    decode_loss,
    decode_marks,
    decode_stop,
)
from api.engine.swarm.service import name_service
from api.v1.job import Job
from api.v1.labels import NAME, NAMESPACE
from api.v1.mark import Mark
from api.v1.times import SECOND, parse_time


@dataclass(frozen=True, slots=True)
class Service:
    """A service of our namespace; ``spec`` is what an update of it must send, whole.

    ``version`` is what an update names: it is refused where the service is another by now.
    ``start`` is the number of starts so far: each raises ``ForceUpdate``, which its tasks repeat.
    """

    uid: str
    job_id: str
    created: int
    changed: int
    version: int
    spec: Mapping[str, Any]
    labels: Mapping[str, str]
    replicas: int
    start: int
    stop: Stop | None
    end: End | None
    loss: Loss | None
    marks: Mapping[str, Mark]

    @property
    def wants_tasks(self) -> bool:
        """Tell whether only its tasks show how its job is."""
        return self.end is None and (self.start > 0 or self.replicas > 0)

    @property
    def is_repeated(self) -> bool:
        """Tell whether the swarm runs its job again after an end."""
        return is_restarted(self.spec)


def read_service(data: Mapping[str, Any], namespace: str) -> Service | None:
    """Read a service in the answer of ``GET /services``; ``None`` for what is no job of ours.

    Its name must be the one that a job of this id has: a label alone may be anybody's.
    """
    spec: Mapping[str, Any] = data["Spec"]
    labels: Mapping[str, str] = spec.get("Labels") or {}
    job_id = labels.get(NAME) or ""
    if labels.get(NAMESPACE) != namespace or not job_id:
        return None
    if spec.get("Name") != name_service(namespace, job_id):
        return None
    uid = str(data["ID"])
    return Service(
        uid=uid,
        job_id=job_id,
        created=parse_time(data.get("CreatedAt")) or 0,
        changed=parse_time(data.get("UpdatedAt")) or 0,
        version=int(data["Version"]["Index"]),
        spec=spec,
        labels=labels,
        replicas=read_replicas(spec),
        start=int(get_template(spec).get("ForceUpdate") or 0),
        stop=decode_stop(labels),
        end=decode_end(labels),
        loss=decode_loss(labels),
        marks=decode_marks(uid, labels),
    )


def read_replicas(spec: Mapping[str, Any]) -> int:
    """Return how many replicas a service is to have."""
    replicated: Mapping[str, Any] = (spec.get("Mode") or {}).get("Replicated") or {}
    return int(replicated.get("Replicas") or 0)


def get_template(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a service says of its tasks."""
    return spec.get("TaskTemplate") or {}


def get_container(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a service says of its tasks' containers."""
    return get_template(spec).get("ContainerSpec") or {}


def is_restarted(spec: Mapping[str, Any]) -> bool:
    """Tell whether the swarm runs a service's job again after its end."""
    policy: Mapping[str, Any] = get_template(spec).get("RestartPolicy") or {}
    return policy.get("Condition") != "none"


def read_stop_timeout(spec: Mapping[str, Any]) -> int | None:
    """Return the seconds between stop signal and kill, if the manifest names them."""
    period = get_container(spec).get("StopGracePeriod")
    return None if period is None else int(period) // SECOND


def tell_likeness(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return image, program, networks and bound paths, of which a start depends."""
    container = get_container(spec)
    words: Iterable[str] = container.get("Command") or container.get("Args") or ()
    mounts: Iterable[Mapping[str, Any]] = container.get("Mounts") or ()
    networks: Iterable[Mapping[str, Any]] = get_template(spec).get("Networks") or ()
    paths = sorted(str(m.get("Source") or "") for m in mounts if m.get("Type") == "bind")
    names = sorted(str(network.get("Target") or "") for network in networks)
    image, program = str(container.get("Image") or ""), next(iter(words), "")
    return _share((image, program, " ".join(names), *paths))


@lru_cache(1000)
def _share(likeness: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one object for equal values: many jobs may be alike."""
    return likeness


def is_unchanged(known: Job, seen: Job) -> bool:
    """Tell whether ``seen`` shows nothing new of a known job."""
    return (
        not known.told
        and known.id == seen.id
        and (known.status, known.exit_code, known.error)
        == (seen.status, seen.exit_code, seen.error)
        and (known.lost, known.rerun) == (seen.lost, seen.rerun)
    )
