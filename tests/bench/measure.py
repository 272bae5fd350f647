"""The arithmetic of the benchmark: percentiles, ratios, slots in use. No I/O, no clock."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """One container's run by the engine's clock, in nanoseconds; never shorter than nothing.

    The engine may tell an end 0.5 ms before the start of a very short run.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            object.__setattr__(self, "end", self.start)


def find_percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie, between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def count_slots(intervals: Iterable[Interval]) -> list[tuple[int, int]]:
    """Return the times at which the number of slots in use changes, each with the new number.

    An end and a start at the same nanosecond share one slot: the end counts first.
    """
    changes: dict[int, int] = {}
    for interval in intervals:
        changes[interval.start] = changes.get(interval.start, 0) + 1
        changes[interval.end] = changes.get(interval.end, 0) - 1
    slots, used = [], 0
    for moment in sorted(changes):
        used += changes[moment]
        slots.append((moment, used))
    return slots


def find_peak(intervals: Iterable[Interval]) -> int:
    """Return the most slots that were in use at once."""
    return max((used for _, used in count_slots(intervals)), default=0)


def find_share(intervals: Sequence[Interval], limit: int) -> float:
    """Return which share of ``limit`` slots was in use between the first start and last end."""
    busy = sum(interval.end - interval.start for interval in intervals)
    span = max(i.end for i in intervals) - min(i.start for i in intervals)
    return busy / (span * limit) if span else 0.0


def find_gaps(ends: Iterable[float], starts: Iterable[float], limit: int) -> list[float]:
    """Return for each freed slot the time until the next start took it.

    With a full queue and ``limit`` slots, the start after the first ``limit`` takes the slot of
    the first end, the next one that of the second, and so on.
    """
    return [s - e for s, e in zip(sorted(starts)[limit:], sorted(ends), strict=False)]


def fit_growth(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the exponent of growth, by least squares on logarithms: 0 flat, 1 in proportion."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(second) for second in seconds]
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
