"""What of a manifest no service can have: each key is named, none is dropped in silence."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.container import read_container
from api.engine.swarm.keys import REFUSED, REFUSED_IF_PRESENT, SINCE, TAKEN, WITHOUT_EFFECT
from api.engine.swarm.networks import read_networks, read_ports
from api.engine.swarm.placement import read_placement
from api.engine.swarm.reading import Body, Version, explain_version, leave
from api.engine.swarm.resources import read_resources
from api.engine.swarm.service import read_restart
from api.v1.quoting import point

_KNOWN: Final = frozenset({*TAKEN, *SINCE, *WITHOUT_EFFECT, *REFUSED, *REFUSED_IF_PRESENT})
_PARENTS: Final = frozenset(place.rpartition("/")[0] for place in _KNOWN)


def find_unsupported(body: Body, api_version: Version) -> tuple[Unsupported, ...]:
    """Return what Swarm cannot do of ``body``, a create body with our labels.

    It may hold the manifest's ``Name`` and ``Platform``, too. ``api_version`` is the one spoken
    with the manager, which drops what it does not know without a word.
    """
    values = chain(
        read_container(body, api_version),
        read_resources(body),
        read_networks(body),
        read_ports(body),
        read_placement(body, body.get("Platform")),
        read_restart(body),
    )
    return (*_find_keys(body, "", "", api_version), *leave(values))


def _find_keys(
    value: object, pattern: str, pointer: str, api_version: Version
) -> Iterator[Unsupported]:
    """Yield the keys below ``value`` that no service has; ``pattern`` is its own in the tables."""
    match value:
        case dict():
            members: Iterable[tuple[str | int, object]] = value.items()
        case list():
            members = enumerate(value)
        case _:
            return
    starred = f"{pattern}/*"
    for key, member in members:
        place = starred if starred in _KNOWN else f"{pattern}/{key}"
        here = point(pointer, key)
        if place in TAKEN:
            if place in _PARENTS:
                yield from _find_keys(member, place, here, api_version)
        elif (message := _judge(place, member, api_version)) is not None:
            yield Unsupported(here, message)


def _judge(place: str, value: object, api_version: Version) -> str | None:
    """Return why no service has ``value`` at ``place``, ``None`` where it asks for nothing."""
    if place in REFUSED_IF_PRESENT:
        return REFUSED_IF_PRESENT[place]
    if place in WITHOUT_EFFECT or (place in _KNOWN and not value):
        return None
    if place in SINCE:
        needed = SINCE[place]
        return explain_version(needed, api_version) if api_version < needed else None
    return REFUSED.get(place, "Swarm has nothing for this that is known here")
