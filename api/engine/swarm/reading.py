"""A manifest is read part by part: each is what a service has for it, or why it has nothing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from api.engine.capabilities import Unsupported

Body = Mapping[str, Any]
Version = tuple[int, int]
T = TypeVar("T")


def take(parts: Iterable[T | Unsupported]) -> list[T]:
    """Return what a service has."""
    return [part for part in parts if not isinstance(part, Unsupported)]


def leave(parts: Iterable[object]) -> Iterator[Unsupported]:
    """Yield what it cannot have."""
    return (part for part in parts if isinstance(part, Unsupported))


def get_host(body: Body) -> Body:
    """Return the host config, empty where there is none."""
    host: Body = body.get("HostConfig") or {}
    return host


def explain_version(needed: Version, spoken: Version) -> str:
    """Return why a manager that speaks an older API version than needed will not do."""
    return (
        f"Swarm has this from the engine's API version {needed[0]}.{needed[1]} on;"
        f" this engine speaks {spoken[0]}.{spoken[1]} and would ignore it"
    )
