"""When faults keep the API from seeing the engine, and what can thereby escape it."""

from collections.abc import Iterable, Mapping
from typing import Final

from tests.chaos.story import SECOND, Fault, Story

_SILENCE: Final = "silence-streams"
_SLOW: Final[Mapping[str, float]] = {
    "kill-engine": 5,
    "restart-engine": 5,
    "freeze-containerd": 10,
    "freeze-engine": 10,
    "freeze-shim": 10,
    "cut-streams": 5,
    "delay-calls": 5,
    "refuse-connections": 5,
    _SILENCE: 5,
}
"""Faults that delay what the API knows, and for how many seconds after their end at most.

A silent stream stays silent, so there it is the end of the silence: the API's next subscription.
"""

_BLIND: Final[Mapping[str, float]] = {
    "kill-engine": 3,
    "restart-engine": 3,
    "freeze-engine": 4,
    "cut-streams": 2,
    "refuse-connections": 3,
    _SILENCE: 2,
}
"""Those among them that can keep a short life or an end from it for good, and for how long."""

_UNTOLD: Final = frozenset({"kill-engine", "restart-engine"})
"""After which of them the engine tells no event again; what others have swallowed it repeats."""

_LONGEST: Final = 70 * SECOND
"""So long at most goes without a list of everything, which shows what no event has told."""

Blind = tuple[int, int]
"""Begin and end of a time in which the API may see nothing; nanoseconds since the epoch."""


def find_slow(story: Story) -> list[Blind]:
    """Return the times in which the API may know late what the engine shows, in order."""
    return _find_times(story, _SLOW, longest=_LONGEST)


def find_blind(story: Story) -> list[Blind]:
    """Return the times in which the API may see nothing, in order."""
    return _find_times(story, _BLIND, longest=story.entries[-1].at)


def _find_times(story: Story, kinds: Mapping[str, float], *, longest: int) -> list[Blind]:
    """Return from when to when such faults are felt, those that overlap made one.

    A silence that no subscription ends lasts for ``longest``.
    """
    spans = []
    for fault in story.faults:
        if fault.what in kinds:
            over = _find_end(story, fault)
            end = fault.end + longest if over is None else over + int(kinds[fault.what] * SECOND)
            spans.append((fault.begin, end))
    merged: list[Blind] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _find_end(story: Story, fault: Fault) -> int | None:
    """Return when a fault is over: for a silence when the API subscribes again, if it does."""
    if fault.what != _SILENCE:
        return fault.end
    subscriptions = [entry for entry in story.of_kind("subscription") if entry["process"] == "api"]
    return next((entry.at for entry in subscriptions if entry.at > fault.end), None)


def find_untold(story: Story) -> list[int]:
    """Return the moments before which events may be lost to who was blind then."""
    lost = [fault.end for fault in story.faults if fault.what in _UNTOLD]
    if any(_find_end(story, fault) is None for fault in story.faults):
        # without another subscription they are not repeated
        lost.append(story.entries[-1].at)
    return lost


def is_hidden(blind: Iterable[Blind], untold: Iterable[int], span: Blind) -> bool:
    """Tell whether the API may never learn of what happened and was gone again within ``span``.

    It was blind all the time, the events of the beginning were lost meanwhile, and no list of
    everything need have come in between.
    """
    begin, end = span
    if end - begin > _LONGEST:
        return False
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
