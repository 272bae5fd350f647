"""What stands in a service's labels beside a job's: its marks, its stop, its end, lost runs.

A service's labels can change, by compare and swap on its version, and changing them leaves its task
alone. Each of these is one JSON text in one label, or no label.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from api.v1.labels import PREFIX
from api.v1.mark import LONGEST_WHY, Mark
from api.v1.record import record
from api.v1.times import format_time, parse_time

CANCEL_MARK: Final = PREFIX + "cancel-mark"
"""The cancel that was asked for."""
PURGE_MARK: Final = PREFIX + "purge-mark"
"""The purge that was asked for after a cancel."""
STOP: Final = PREFIX + "stop"
"""That, and when, the service was set to no replica: its task goes, and its exit code with it."""
END: Final = PREFIX + "end"
"""How the job ended: it outlives the task, its node, and the node's memory of it."""
LOSS: Final = PREFIX + "loss"
"""How many runs were lost with their nodes and are repeated, and which was the last of them."""

KINDS: Final[Mapping[str, str]] = {"cancel": CANCEL_MARK, "purge": PURGE_MARK}
"""The labels of marks by the ending of their uids."""

_to_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_LONGEST: Final = 2000
"""Characters of an error that are kept, as of one that the engine shows."""


@record
class Stop:
    """A stop at ``at`` (ns); ``ran`` tells whether the job had run by then, ``None``: not known.

    A job that never ran, as was seen after its task had gone, waits again.
    """

    at: int
    ran: bool | None = None
    started_at: int | None = None


@record
class End:
    """How a run ended: what a job shows of it. ``node`` is the name of its node.

    Without ``ran`` nobody has seen it run, and nobody knows that it did not.
    """

    exit_code: int | None
    started_at: int | None
    finished_at: int | None
    node: str = ""
    error: str = ""
    lost: bool = False
    ran: bool = True


@record
class Loss:
    """The ``count`` of lost runs that are repeated; ``task`` was the last, ``error`` its story."""

    count: int
    task: str
    error: str = ""


def encode_stop(stop: Stop) -> str:
    """Return the text of a stop."""
    members = {"at": format_time(stop.at), "ran": stop.ran}
    return _to_json(members | {"startedAt": format_time(stop.started_at)})


def decode_stop(labels: Mapping[str, str]) -> Stop | None:
    """Return the stop that ``labels`` tell of."""
    if STOP not in labels:
        return None
    data = _read(labels[STOP])
    ran = data.get("ran")
    ran = ran if isinstance(ran, bool) else None
    return Stop(_read_time(data, "at") or 0, ran, _read_time(data, "startedAt"))


def encode_end(end: End) -> str:
    """Return the text of an end."""
    members = {
        "exitCode": end.exit_code,
        "startedAt": format_time(end.started_at),
        "finishedAt": format_time(end.finished_at),
        "node": end.node or None,
        "error": end.error[:_LONGEST] or None,
        "lost": end.lost or None,
        "ran": None if end.ran else False,
    }
    return _to_json({key: value for key, value in members.items() if value is not None})


def decode_end(labels: Mapping[str, str]) -> End | None:
    """Return the end that ``labels`` tell of; one that cannot be read is an end all the same."""
    if END not in labels:
        return None
    data = _read(labels[END])
    code = data.get("exitCode")
    return End(
        code if isinstance(code, int) else None,
        _read_time(data, "startedAt"),
        _read_time(data, "finishedAt"),
        str(data.get("node") or ""),
        str(data.get("error") or ""),
        data.get("lost") is True,
        data.get("ran") is not False,
    )


def encode_loss(loss: Loss) -> str:
    """Return the text of a loss."""
    return _to_json({"count": loss.count, "task": loss.task, "error": loss.error[:_LONGEST]})


def decode_loss(labels: Mapping[str, str]) -> Loss | None:
    """Return the lost runs that ``labels`` tell of."""
    if LOSS not in labels:
        return None
    data = _read(labels[LOSS])
    count = data.get("count")
    return Loss(
        count if isinstance(count, int) else 1,
        str(data.get("task") or ""),
        str(data.get("error") or ""),
    )


def encode_mark(mark: Mark) -> str:
    """Return the text of a mark."""
    members = {"at": format_time(mark.at), "grace": mark.grace, "purge": mark.purge}
    return _to_json(members | {"why": mark.why})


def decode_marks(uid: str, labels: Mapping[str, str]) -> dict[str, Mark]:
    """Return the marks in the ``labels`` of the service ``uid``, by their own uids."""
    marks = {}
    for kind, key in KINDS.items():
        if key in labels:
            data, own = _read(labels[key]), f"{uid}.{kind}"
            grace = data.get("grace")
            marks[own] = Mark(
                own,
                uid,
                _read_time(data, "at") or 0,
                grace if isinstance(grace, int) else None,
                data.get("purge") is True or kind == "purge",
                str(data.get("why") or "")[:LONGEST_WHY],
            )
    return marks


def _read(text: str) -> Mapping[str, Any]:
    """Return the object in a label; whoever may update services may have written anything."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _read_time(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    return parse_time(value) if isinstance(value, str) else None
