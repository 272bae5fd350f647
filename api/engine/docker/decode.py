"""The engine's JSON read into the port's frozen data, tolerant of what versions leave out."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.engine.interface import Event, Summary
from api.v1.job import Container, Status
from api.v1.times import SECOND, parse_time

_EXITED: Final = re.compile(r"(?:Exited|Restarting) \((-?\d+)\)")


def read_status(text: str | None) -> Status:
    """Return the engine's state word; one that is not known counts as exited nowhere: ``dead``.

    podman says ``configured`` and ``initialized`` for created, ``stopped`` for exited.
    """
    words = {"configured": "created", "initialized": "created", "stopped": "exited"}
    word = (text or "").lower()
    try:
        return Status(words.get(word, word))
    except ValueError:
        return Status.DEAD


def read_container(data: Mapping[str, Any]) -> Container:
    """Read the answer of ``GET /containers/{id}/json``."""
    state: Mapping[str, Any] = data.get("State") or {}
    config: Mapping[str, Any] = data.get("Config") or {}
    host: Mapping[str, Any] = data.get("HostConfig") or {}
    networks: Mapping[str, Any] = data.get("NetworkSettings") or {}
    health: Mapping[str, Any] = state.get("Health") or {}
    health_status = health.get("Status")
    return Container(
        id=data["Id"],
        name=data["Name"].removeprefix("/"),
        labels=config.get("Labels") or {},
        image=data.get("Image") or "",
        created=parse_time(data.get("Created")) or 0,
        status=read_status(state.get("Status")),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=parse_time(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0),
        error=state.get("Error") or "",
        oom_killed=bool(state.get("OOMKilled")),
        restart_count=int(data.get("RestartCount") or 0),
        lingers=tell_lingering(host, networks.get("Networks") or {}, data.get("Mounts") or []),
        health=None if health_status in {None, "", "none"} else health_status,
    )


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


def read_summary(data: Mapping[str, Any]) -> Summary:
    """Read one row of ``GET /containers/json``.

    A container with links to others lists their aliases too (``/other/alias``): its own name is
    the one without a second slash.
    """
    text = data.get("Status") or ""
    names = [name.removeprefix("/") for name in data.get("Names") or []]
    return Summary(
        id=data["Id"],
        name=next((name for name in names if "/" not in name), ""),
        labels=data.get("Labels") or {},
        image=data.get("ImageID") or "",
        created=int(data.get("Created") or 0),
        status=read_status(data.get("State")),
        text=text,
        exit_code=int(exited[1]) if (exited := _EXITED.match(text)) else None,
    )


def read_image_labels(data: Mapping[str, Any]) -> Mapping[str, str]:
    """Read the labels in the answer of ``GET /images/{name}/json``."""
    config: Mapping[str, Any] = data.get("Config") or {}
    return config.get("Labels") or {}


def read_event(data: Mapping[str, Any]) -> Event | None:
    """Read one line of the event stream; ``None`` for what is no container event.

    Only ``Action`` and ``Actor`` are read: API 1.52 dropped ``status``, ``id`` and ``from``.
    podman says ``died`` and puts the code into ``containerExitCode``.
    """
    actor: Mapping[str, Any] = data.get("Actor") or {}
    if data.get("Type", "container") != "container" or not actor.get("ID"):
        return None
    attributes: Mapping[str, str] = actor.get("Attributes") or {}
    code = attributes.get("exitCode") or attributes.get("containerExitCode")
    action = str(data.get("Action") or "")
    return Event(
        action="die" if action == "died" else action,
        id=actor["ID"],
        labels=attributes,
        time=int(data.get("timeNano") or int(data.get("time") or 0) * SECOND),
        exit_code=int(code) if code and code.lstrip("-").isdigit() else None,
    )
