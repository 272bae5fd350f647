"""The manifest's key ``Job``: what a job asks of the controller, judged and taken off."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.server.admission.suggestions import fold
from api.server.admission.violations import MOST, Violation
from api.v1.quoting import point, quote
from api.v1.text import escape_hidden
from api.v1.times import LONGEST_DURATION, SECOND, count_seconds, parse_duration
from api.v1.wishes import DEFAULT_QUEUE, NO_WISHES, PRIORITIES, NodeLoss, Wishes

JOB: Final = "Job"
LONGEST_SHARE: Final = 128
"""Characters."""

_QUEUE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?")
_MOST_SECONDS: Final = LONGEST_DURATION // SECOND
_DURATION: Final = "expected seconds, or a text such as 90s, 15m, 2h or 1d"
_KEYS: Final = ("Queue", "Priority", "Share", "StartBy", "RunFor", "KeepFor", "OnNodeLoss")


def take_wishes(manifest: object) -> tuple[object, Wishes, list[Violation]]:
    """Return the rest of ``manifest``, what its key ``Job`` asks for, and what is wrong with that.

    ``null`` means absent.
    """
    if not isinstance(manifest, dict) or JOB not in manifest:
        return manifest, NO_WISHES, []
    rest = {key: value for key, value in manifest.items() if key != JOB}
    given = manifest[JOB]
    if given is None:
        return rest, NO_WISHES, []
    if not isinstance(given, dict):
        return rest, NO_WISHES, [Violation(f"/{JOB}", "expected an object")]
    faults = list(_find_faults(given))[:MOST]
    return rest, NO_WISHES if faults else _build(given), faults


def show_wishes(wishes: Wishes) -> dict[str, object]:
    """Return ``wishes`` as the manifest's key, durations in seconds; nothing where none are."""
    if wishes == NO_WISHES:
        return {}
    members: dict[str, object] = {
        "Queue": wishes.queue,
        "Priority": wishes.priority,
        "Share": wishes.share or None,
        "StartBy": count_seconds(wishes.start_by),
        "RunFor": count_seconds(wishes.run_for),
        "KeepFor": count_seconds(wishes.keep_for),
        "OnNodeLoss": None if wishes.on_node_loss is NodeLoss.FAIL else str(wishes.on_node_loss),
    }
    return {JOB: {key: value for key, value in members.items() if value is not None}}


def read_duration(value: object) -> int | None:
    """Return a duration, seconds or a text, in nanoseconds; ``None`` for what is none."""
    match value:
        case bool():
            return None
        case str():
            return parse_duration(value)
        case int() | float() if 0 <= value <= _MOST_SECONDS:
            return round(value * SECOND)
    return None


def _find_faults(given: Mapping[str, Any]) -> Iterator[Violation]:
    for key, value in given.items():
        here = point(f"/{JOB}", key)
        if key not in _KEYS:
            meant = next((known for known in _KEYS if fold(known) == fold(key)), None)
            hint = f"; did you mean {meant}?" if meant else f"; known: {', '.join(_KEYS)}"
            yield Violation(here, f"{quote(key)} is not a key of {JOB}{hint}")
        elif value is not None and (fault := _find_fault(key, value)) is not None:
            yield Violation(here, fault)


def _find_fault(key: str, value: object) -> str | None:
    match key:
        case "Queue" if not (isinstance(value, str) and _QUEUE.fullmatch(value)):
            return "expected a queue's name: 1 to 63 of a-z 0-9 . -"
        case "Priority" if _read_priority(value) is None:
            return f"expected a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}"
        case "Share":
            is_text = isinstance(value, str) and escape_hidden(value) == value
            if not is_text or len(str(value)) > LONGEST_SHARE or not _is_whole(str(value)):
                return f"expected a text of at most {LONGEST_SHARE} visible characters"
        case "StartBy" | "RunFor" | "KeepFor":
            duration = read_duration(value)
            if duration is None:
                return _DURATION
            if not duration and key != "KeepFor":
                return "must be more than 0: the job would never run"
        case "OnNodeLoss" if value not in [*NodeLoss]:
            return f"expected {' or '.join(NodeLoss)}"
    return None


def _is_whole(text: str) -> bool:
    """Tell whether a text has no half of a surrogate pair."""
    return text == text.encode(errors="replace").decode()


def _read_priority(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if int(value) in PRIORITIES else None


def _build(given: Mapping[str, Any]) -> Wishes:
    return Wishes(
        given.get("Queue") or DEFAULT_QUEUE,
        _read_priority(given.get("Priority")) or 0,
        given.get("Share") or "",
        read_duration(given.get("StartBy")),
        read_duration(given.get("RunFor")),
        read_duration(given.get("KeepFor")),
        on_node_loss=NodeLoss(given.get("OnNodeLoss") or NodeLoss.FAIL),
    )
