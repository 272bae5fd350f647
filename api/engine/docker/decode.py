"""The engine's JSON made into jobs and events, tolerant of what versions leave out."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from api.v1.job import FINISHED, LEAVING, Job, Status
from api.v1.labels import read_job_id
from api.v1.spec import decode
from api.v1.times import SECOND, parse_time

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_MAX_ERROR: Final = 2000
"""Characters of an error that are kept: the engine repeats values of the manifest in it."""
_LEFTOVER: Final = re.compile("task [0-9a-f]{64}: already exists|id already in use")
_CURE: Final = (
    " (the engine was ended in the middle of an earlier start, and starts this container never"
    " again: remove the container, then post its document again)"
)
_EXITED: Final = re.compile(r"(?:Exited|Restarting) \((-?\d+)\)")
_STATUSES: Final[Mapping[str, Status]] = {
    **{status.value: status for status in Status if status is not Status.STARTING},
    # podman's words
    "configured": Status.CREATED,
    "initialized": Status.CREATED,
    "stopped": Status.EXITED,
}
_SHOW_CODE: Final = FINISHED | {Status.RESTARTING, Status.REMOVING}
_MAY_HAVE_WAITED: Final = LEAVING | {Status.CREATED}


def read_status(text: str | None) -> Status:
    """Return the engine's state word; one that is not known counts as ``dead``."""
    return _STATUSES.get((text or "").lower(), Status.DEAD)


def read_inspect(
    data: Mapping[str, Any], namespace: str, inherited: Mapping[str, str] = _NONE
) -> Job:
    """Read the answer of ``GET /containers/{id}/json``, which is a job of ``namespace``.

    ``inherited`` are the labels of its image.
    """
    state: Mapping[str, Any] = data.get("State") or {}
    host: Mapping[str, Any] = data.get("HostConfig") or {}
    networks: Mapping[str, Any] = data.get("NetworkSettings") or {}
    health: Mapping[str, Any] = state.get("Health") or {}
    health_status = health.get("Status")
    labels = read_labels(data)
    config: Mapping[str, Any] = data.get("Config") or {}
    created = parse_time(data.get("Created")) or 0
    status = read_status(state.get("Status"))
    started_at = parse_time(state.get("StartedAt"))
    finished_at = parse_time(state.get("FinishedAt"))
    never_ran = started_at is None and status in LEAVING
    has_ended = finished_at is not None or (status in _SHOW_CODE and not never_ran)
    return Job(
        uid=data["Id"],
        id=read_job_id(read_name(data), labels),
        namespace=namespace,
        spec=decode(labels, image=config.get("Image") or "", inherited=inherited),
        status=status,
        created=created,
        order=created,
        exact=True,
        made=True,
        detailed=True,
        started=started_at is not None,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=int(state.get("ExitCode") or 0) if has_ended else None,
        error=_read_error(state.get("Error") or ""),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(data.get("RestartCount") or 0),
        health=None if health_status in {None, "", "none"} else health_status,
        lingers=tell_lingering(host, networks.get("Networks") or {}, data.get("Mounts") or []),
        likeness=_tell_likeness(data, data.get("Image"), data.get("Path")),
        stop_timeout=config.get("StopTimeout"),
    )


def _read_error(text: str) -> str:
    """Return the error of a start, with the cure of one that 20.10 repeats for ever."""
    return text[:_MAX_ERROR] + (_CURE if _LEFTOVER.search(text) else "")


def read_name(data: Mapping[str, Any]) -> str:
    """Return the container's name in the answer of an inspect, without its leading slash."""
    name: str = data["Name"]
    return name.removeprefix("/")


def read_labels(data: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels in the answer of an inspect of a container or of an image."""
    config: Mapping[str, Any] = data.get("Config") or {}
    return config.get("Labels") or {}


def tell_lingering(
    host: Mapping[str, Any],
    networks: Mapping[str, Mapping[str, Any] | None],
    mounts: Iterable[Mapping[str, Any]],
) -> bool:
    """Tell whether a container is not over for the engine when its process has ended.

    It may be run again by its restart policy, or hold what no other can have until the engine
    has cleaned up, which 20.10 does after the ``die`` event: ports of the host, a fixed address,
    a volume of a driver that may give it to one alone. Takes ``HostConfig``,
    ``NetworkSettings.Networks`` and ``Mounts`` of an inspect.
    """
    policy: Mapping[str, Any] = host.get("RestartPolicy") or {}
    settings: list[Mapping[str, Any]] = [network or {} for network in networks.values()]
    return bool(
        policy.get("Name") not in {None, "", "no"}
        or host.get("PortBindings")
        or host.get("PublishAllPorts")
        or any(network.get("IPAMConfig") for network in settings)
        or any((mount.get("Driver") or "local") != "local" for mount in mounts)
    )


def read_row(
    data: Mapping[str, Any],
    name: str,
    namespace: str,
    known: Job | None,
    inherited: Mapping[str, str] = _NONE,
) -> Job:
    """Read one row of ``GET /containers/json``, a job of ``namespace`` in a container ``name``.

    ``known`` is the same job as it was known before, if it was; it is returned where the row
    shows nothing new of it. ``inherited`` are the labels of its image.
    """
    text = data.get("Status") or ""
    exited = _EXITED.match(text)
    exit_code = int(exited[1]) if exited else None
    labels = read_row_labels(data)
    job_id, status = read_job_id(name, labels), read_status(data.get("State"))
    if known is not None and is_unchanged(known, job_id, status, exit_code):
        return known
    created = int(data.get("Created") or 0) * SECOND
    image = data.get("Image") or ""
    return Job(
        uid=data["Id"],
        id=job_id,
        namespace=namespace,
        spec=decode(labels, image=image, inherited=inherited)
        if known is None or known.told
        else known.spec,
        status=status,
        created=created,
        order=created,
        started=status not in _MAY_HAVE_WAITED,
        exit_code=exit_code,
        text=text,
        likeness=_tell_likeness(data, data.get("ImageID"), data.get("Command")),
    )


def _tell_likeness(
    data: Mapping[str, Any], image: str | None, command: str | None
) -> tuple[str, ...]:
    """Return image, program, network and bound paths: the same from a row as from an inspect."""
    host: Mapping[str, Any] = data.get("HostConfig") or {}
    mounts: Iterable[Mapping[str, Any]] = data.get("Mounts") or ()
    paths = sorted(mount.get("Source") or "" for mount in mounts if mount.get("Type") == "bind")
    program = (command or "").partition(" ")[0]
    return _share((image or "", program, host.get("NetworkMode") or "", *paths))


@lru_cache(1000)
def _share(likeness: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one object for equal values: a hundred thousand jobs may be alike."""
    return likeness


def is_unchanged(known: Job, job_id: str, status: Status, exit_code: int | None) -> bool:
    """Tell whether a row of these shows nothing new of a known job: of a ``told`` one it does."""
    same_end = exit_code is None or exit_code == known.exit_code
    return known.status is status and known.id == job_id and same_end and not known.told


def read_row_name(data: Mapping[str, Any]) -> str:
    """Return the container's name in a list's row.

    A container with links to others lists their aliases too (``/other/alias``): its own name is
    the one without a second slash.
    """
    for name in data.get("Names") or ():
        own: str = name.removeprefix("/")
        if "/" not in own:
            return own
    return ""


def read_row_labels(data: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels in a list's row."""
    return data.get("Labels") or {}


def read_image_config(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read what ``GET /images/{name}/json`` shows of what containers inherit."""
    config: Mapping[str, Any] = data.get("Config") or {}
    return config
