"""When faults keep the API from seeing the engine, and what can thereby escape it."""

from collections.abc import Iterable, Mapping
from typing import Final

from tests.chaos.story import SECOND, Story

_BLIND: Final[Mapping[str, float]] = {
    "kill-engine": 5,
    "restart-engine": 5,
    "freeze-containerd": 10,
    "freeze-engine": 10,
    "freeze-shim": 10,
    "cut-streams": 5,
    "delay-calls": 5,
    "refuse-connections": 5,
    # what is silent stays so, until a list shows what no event has told
    "silence-streams": 40,
}
"""Faults between API and engine, and for how many seconds after its end each may still be felt."""

_UNTOLD: Final[Mapping[str, float]] = {
    "kill-engine": 0,
    "restart-engine": 0,
    "refuse-connections": 5,
    "silence-streams": 40,
}
"""After which of them the engine tells no event again, and up to how many seconds after its end."""

Blind = tuple[int, int]
"""Begin and end of a time in which the API may see nothing; nanoseconds since the epoch."""


def find_blind(story: Story) -> list[Blind]:
    """Return the times in which the API may be blind, those that overlap made one, in order."""
    merged: list[Blind] = []
    for begin, end in sorted(
        (fault.begin, fault.end + int(_BLIND[fault.what] * SECOND))
        for fault in story.faults
        if fault.what in _BLIND
    ):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def find_untold(story: Story) -> list[int]:
    """Return the moments before which events may be lost to who was blind then."""
    return [
        fault.end + int(_UNTOLD[fault.what] * SECOND)
        for fault in story.faults
        if fault.what in _UNTOLD
    ]


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


def find_calm(blind: Iterable[Blind], until: int, length: int) -> int:
    """Return the end of the latest time of ``length`` before ``until`` with the API seeing."""
    for begin, over in sorted(blind, reverse=True):
        if begin <= until and over >= until - length:
            until = begin
    return until
