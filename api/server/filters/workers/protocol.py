"""What the API and its filter workers say to each other: length-prefixed frames on a socket.

Its records are named tuples: importing dataclasses would make a worker's start a third longer.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

HEADER = struct.Struct(">IB")
"""Length of the payload in bytes, and its ``FrameKind``."""
MAX_FRAME = 2 << 20
"""Most bytes of a frame from a worker: its results have a mebibyte."""
_CALL = struct.Struct(">HI")


class FrameKind(IntEnum):
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
    """From the worker: why there is none."""


class WorkerSpec(NamedTuple):
    """One filter as a worker needs it: jq texts, the environment, a schema or None."""

    name: str
    source: str
    env: dict[str, str]
    schema: dict[str, object] | None
    rules: tuple[tuple[str, str], ...]
    """Expression and message of each rule."""
    job: Mapping[str, object] = MappingProxyType({})
    """Defaults of the manifest's key ``Job``, durations in seconds."""


class CompileFault(NamedTuple):
    """A text that does not compile: the filter's number, the field, and the place inside it."""

    number: int
    field: tuple[str | int, ...]
    message: str
    line: int | None = None
    column: int | None = None


class FilterRefusal(NamedTuple):
    """Why a call gave no manifest: an HTTP status, a reason, a message, further members.

    ``hidden`` is for the operator alone: jq's own texts, which show values, variables among them.
    """

    code: int
    reason: str
    message: str
    details: dict[str, object]
    hidden: str = ""


class FilterCall(NamedTuple):
    """One document to evaluate: the filter's number, the path, its compact JSON as ``text``."""

    number: int
    path: str
    text: bytes


def frame(kind: FrameKind, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return HEADER.pack(len(payload), kind) + payload


def pack_specs(specs: Sequence[WorkerSpec]) -> bytes:
    """Return the ``LOAD`` frame of one generation."""
    return frame(FrameKind.LOAD, json.dumps([s._asdict() for s in specs]).encode())


def unpack_specs(payload: bytes) -> list[WorkerSpec]:
    """Return what ``pack_specs`` packed."""
    return [
        WorkerSpec(**{**item, "rules": tuple((e, m) for e, m in item["rules"])})
        for item in json.loads(payload)
    ]


def pack_faults(faults: Sequence[CompileFault]) -> bytes:
    """Return the ``LOADED`` frame."""
    return frame(FrameKind.LOADED, json.dumps([f._asdict() for f in faults]).encode())


def unpack_faults(payload: bytes) -> list[CompileFault]:
    """Return what ``pack_faults`` packed."""
    return [CompileFault(**{**item, "field": tuple(item["field"])}) for item in json.loads(payload)]


def pack_call(call: FilterCall) -> bytes:
    """Return the ``CALL`` frame."""
    path = call.path.encode(errors="replace")
    head = _CALL.pack(call.number, len(path))
    return frame(FrameKind.CALL, head + path + call.text)


def unpack_call(payload: bytes) -> FilterCall:
    """Return what ``pack_call`` packed."""
    number, size = _CALL.unpack_from(payload)
    body = _CALL.size + size
    return FilterCall(number, payload[_CALL.size : body].decode(), payload[body:])


def pack_refusal(refusal: FilterRefusal) -> bytes:
    """Return the ``REFUSED`` frame."""
    return frame(FrameKind.REFUSED, json.dumps(refusal._asdict()).encode())


def unpack_refusal(payload: bytes) -> FilterRefusal:
    """Return what ``pack_refusal`` packed."""
    return FilterRefusal(**json.loads(payload))
