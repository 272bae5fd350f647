"""What the API and its filter workers say to each other: length-prefixed frames on a socket."""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum

HEADER = struct.Struct(">IB")
"""Length of the payload in bytes, and its ``Kind``."""
_CALL = struct.Struct(">HI?")


class Kind(IntEnum):
    """What a frame is."""

    LOAD = 1
    """To the worker: the programs of one generation, once, as the first frame."""
    LOADED = 2
    """From the worker: what is wrong with them, an empty list when it is ready."""
    CALL = 3
    """To the worker: evaluate one document."""
    RESULT = 4
    """From the worker: the manifest as JSON."""
    REFUSED = 5
    """From the worker: why there is none; ends the call."""
    TAIL = 6
    """From the worker, after ``RESULT``: whether the filter had more to say; ends the call."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One filter as a worker needs it: jq texts, the environment, a schema or None."""

    name: str
    source: str
    env: dict[str, str]
    schema: dict[str, object] | None
    rules: tuple[tuple[str, str], ...]
    """Expression and message of each rule."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A text that does not compile: the filter's index, the field, and the place inside it."""

    index: int
    field: tuple[str | int, ...]
    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call gave no manifest: an HTTP status, a reason, a message, further members."""

    code: int
    reason: str
    message: str
    details: dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """One document to evaluate; ``text`` is its compact JSON, ``look`` asks for ``TAIL``."""

    index: int
    path: str
    text: bytes
    look: bool


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return HEADER.pack(len(payload), kind) + payload


def pack_specs(specs: Sequence[Spec]) -> bytes:
    """Return the ``LOAD`` frame of one generation."""
    return frame(Kind.LOAD, json.dumps([asdict(s) for s in specs]).encode())


def unpack_specs(payload: bytes) -> list[Spec]:
    """Return what ``pack_specs`` packed."""
    return [
        Spec(**{**item, "rules": tuple((e, m) for e, m in item["rules"])})
        for item in json.loads(payload)
    ]


def pack_flaws(flaws: Sequence[Flaw]) -> bytes:
    """Return the ``LOADED`` frame."""
    return frame(Kind.LOADED, json.dumps([asdict(f) for f in flaws]).encode())


def unpack_flaws(payload: bytes) -> list[Flaw]:
    """Return what ``pack_flaws`` packed."""
    return [Flaw(**{**item, "field": tuple(item["field"])}) for item in json.loads(payload)]


def pack_call(call: Call) -> bytes:
    """Return the ``CALL`` frame."""
    path = call.path.encode(errors="replace")
    head = _CALL.pack(call.index, len(path), call.look)
    return frame(Kind.CALL, head + path + call.text)


def unpack_call(payload: bytes) -> Call:
    """Return what ``pack_call`` packed."""
    index, size, look = _CALL.unpack_from(payload)
    body = _CALL.size + size
    return Call(index, payload[_CALL.size : body].decode(), payload[body:], look)


def pack_refusal(refusal: Refusal) -> bytes:
    """Return the ``REFUSED`` frame."""
    return frame(Kind.REFUSED, json.dumps(asdict(refusal)).encode())


def unpack_refusal(payload: bytes) -> Refusal:
    """Return what ``pack_refusal`` packed."""
    return Refusal(**json.loads(payload))
