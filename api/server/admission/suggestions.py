"""The known key that an unknown one was probably meant to be."""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from api.server.admission.create_schema import MANIFEST, MOUNT, KnownKey, Struct, ValueKind
from api.v1.quoting import point

_LONGEST: Final = 40
"""Characters of a key worth a guess; the longest known key has 22."""

# as inspect, the command line and compose call it
_MOUNT_WORDS: Final[Mapping[str, str]] = {
    "name": "Source",
    "volume": "Source",
    "src": "Source",
    "destination": "Target",
    "dest": "Target",
    "dst": "Target",
    "path": "Target",
    "rw": "ReadOnly",
    "ro": "ReadOnly",
    "mode": "ReadOnly",
    "propagation": "BindOptions/Propagation",
}
_WORDS: Final[Mapping[str, str]] = {
    "args": "/Cmd",
    "command": "/Cmd",
    "containername": "/Name",
    "cpus": "/HostConfig/NanoCpus",
    "environment": "/Env",
    "id": "/Name",
    "job": "/Job",
    "keepfor": "/Job/KeepFor",
    "memlimit": "/HostConfig/Memory",
    "network": "/HostConfig/NetworkMode",
    "onnodeloss": "/Job/OnNodeLoss",
    "ports": "/HostConfig/PortBindings",
    "priority": "/Job/Priority",
    "queue": "/Job/Queue",
    "restart": "/HostConfig/RestartPolicy",
    "runfor": "/Job/RunFor",
    "share": "/Job/Share",
    "startby": "/Job/StartBy",
}


def fold(text: str) -> str:
    """Return ``text`` as a reader takes it that ignores case and Unicode's variants of letters."""
    return unicodedata.normalize("NFKC", text).casefold()


def suggest(key: str, fields: Mapping[str, KnownKey]) -> str | None:
    """Return the name among ``fields`` that was probably meant, or a key's pointer elsewhere.

    What stands in an array or a free-form map was hardly meant to stand at the top.
    """
    if len(key) > _LONGEST:
        return None
    folded = fold(key)
    here = {fold(name): name for name in fields}
    if folded in here:
        return here[folded]
    if fields is MOUNT.fields and folded in _MOUNT_WORDS:
        return _MOUNT_WORDS[folded]
    if id(fields) in _find_single():
        found = _elsewhere().get(folded) or _WORDS.get(re.sub("[ _-]", "", folded))
        if found is not None:
            return found
    close = difflib.get_close_matches(folded, here, n=1, cutoff=0.75)
    return here[close[0]] if close else None


@cache
def _find_single() -> frozenset[int]:
    """Return the structs that stand once in a manifest, by the identity of their fields."""

    def walk(kind: ValueKind) -> Iterator[int]:
        if isinstance(kind, Struct):
            yield id(kind.fields)
            for known in kind.fields.values():
                yield from walk(known.kind)

    return frozenset(walk(MANIFEST))


@cache
def _elsewhere() -> Mapping[str, str]:
    """Return the pointer of each known key that is found outside of arrays and free-form maps."""
    pointers: dict[str, str] = {}
    for name, pointer in _walk(MANIFEST, ""):
        pointers.setdefault(fold(name), pointer)
    return pointers


def _walk(kind: ValueKind, pointer: str) -> Iterator[tuple[str, str]]:
    match kind:
        case Struct(fields):
            for name in fields:
                yield name, point(pointer, name)
            for name, known in fields.items():
                yield from _walk(known.kind, point(pointer, name))
        case _:
            return
