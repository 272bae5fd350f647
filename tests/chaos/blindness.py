"""When faults keep the API from seeing the engine, and what can thereby escape it."""

from collections.abc import Iterable, Mapping
from typing import Final

from tests.chaos.story import SECOND, Story

_SLOW: Final[Mapping[str, float]] = {
    "kill-engine": 5,
    "restart-engine": 5,
    "freeze-containerd": 10,
    "freeze-engine": 10,
    "freeze-shim": 10,
    "cut-streams": 5,
    "delay-calls": 5,
    "refuse-connections": 5,
    "silence-streams": 40,
}
"""Faults that delay what the API knows, and for how many seconds after their end at most."""

_BLIND: Final[Mapping[str, float]] = {
    "kill-engine": 3,
    "restart-engine": 3,
    "freeze-engine": 4,
    "cut-streams": 2,
    "refuse-connections": 3,
    # what is silent stays so, until a list shows what no event has told
    "silence-streams": 20,
}
"""Those among them that can keep a short life or an end from it for good, and for how long."""

_UNTOLD: Final = frozenset({"kill-engine", "restart-engine"})
"""After which of them the engine tells no event again; what others have swallowed it repeats."""

Blind = tuple[int, int]
"""Begin and end of a time in which the API may see nothing; nanoseconds since the epoch."""


def find_slow(story: Story) -> list[Blind]:
    """Return the times in which the API may know late what the engine shows, in order."""
    return _find_times(story, _SLOW)


def find_blind(story: Story) -> list[Blind]:
    """Return the times in which the API may see nothing, in order."""
    return _find_times(story, _BLIND)


def _find_times(story: Story, kinds: Mapping[str, float]) -> list[Blind]:
    """Return from when to when such faults are felt, those that overlap made one."""
    spawns = [entry.at for entry in story.of_kind("spawn") if entry["process"] == "api"]
    spans = []
    for fault in story.faults:
        if fault.what in kinds:
            over = fault.end + int(kinds[fault.what] * SECOND)
            if fault.what == "silence-streams":
                # a new process has a new stream
                over = min([over, *(moment for moment in spawns if moment > fault.end)])
            spans.append((fault.begin, over))
    merged: list[Blind] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def find_untold(story: Story) -> list[int]:
    """Return the moments before which events may be lost to who was blind then."""
    return [fault.end for fault in story.faults if fault.what in _UNTOLD]


def is_hidden(blind: Iterable[Blind], untold: Iterable[int], span: Blind) -> bool:
    """Tell whether the API may never learn of what happened and was gone again within ``span``.

    It was blind all the time, and the events of the beginning were lost meanwhile.
    """
    begin, end = span
    lost = [moment for moment in untold if moment >= begin]
    return any(
        first <= begin and end <= last and any(moment <= last for moment in lost)
        for first, last in blind
    )


def find_calm(slow: Iterable[Blind], until: int, length: int) -> int:
    """Return the end of the latest time of ``length`` before ``until`` with nothing in the way."""
    for begin, over in sorted(slow, reverse=True):
        if begin <= until and over >= until - length:
            until = begin
    return until
