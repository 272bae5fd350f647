"""Each key of a manifest has its place on Swarm, or a reason why it has none."""

import re
from collections.abc import Iterator
from pathlib import Path

from api.engine.swarm.keys import REFUSED, REFUSED_IF_PRESENT, SINCE, TAKEN, WITHOUT_EFFECT
from api.server.admission.create_schema import MANIFEST, ListOf, MapOf, Struct, ValueKind

WHOLE = {*SINCE, *WITHOUT_EFFECT, *REFUSED, *REFUSED_IF_PRESENT}
"""What is decided with all that stands below it."""


def list_places(kind: ValueKind, place: str = "") -> Iterator[str]:
    """Yield the place of every key of ``kind``, and of what holds keys."""
    match kind:
        case Struct(fields):
            for key, known in fields.items():
                yield f"{place}/{key}"
                yield from list_places(known.kind, f"{place}/{key}")
        case ListOf(inner) | MapOf(inner) if list(list_places(inner)):
            yield f"{place}/*"
            yield from list_places(inner, f"{place}/*")
        case _:
            pass


PLACES = [*list_places(MANIFEST)]


def list_above(place: str) -> Iterator[str]:
    """Yield ``place`` and all that it stands in."""
    while place:
        yield place
        place = place.rpartition("/")[0]


def test_each_key_of_a_manifest_is_decided_once() -> None:
    """A key that is added to the schema must be thought about here, too."""
    for place in PLACES:
        decided = [above for above in list_above(place) if above in WHOLE]
        assert len(decided) + (place in TAKEN) == 1, place


def test_nothing_is_decided_that_no_manifest_can_hold() -> None:
    assert {*TAKEN, *WHOLE} <= {*PLACES}


def test_each_refusal_names_swarm() -> None:
    for reason in (*REFUSED.values(), *REFUSED_IF_PRESENT.values()):
        assert "Swarm" in reason


def test_each_key_stands_in_the_documents_table() -> None:
    """What is refused by its own name; what carries over by that of what it is part of, too."""
    document = (Path(__file__).parents[5] / "api/server/admission/README.md").read_text()
    section = document.partition("## On Swarm")[2].partition("\n## ")[0]
    named = set(re.findall(r"\w+", " ".join(re.findall("`([^`]+)`", section))))
    for place in WHOLE:
        assert place.rpartition("/")[2] in named, place
    for place in TAKEN - {"/HostConfig", "/NetworkingConfig"}:
        assert named & ({*place.split("/")} - {"HostConfig", "NetworkingConfig"}), place
