"""Tells people what a run did and, if it failed, the part of the history that shows it."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.chaos.checker import (
    Breach,
    explain_repeat,
    find_repeated,
    is_stuck,
    measure_convergence,
)
from tests.chaos.counts import compare_counts
from tests.chaos.history import Entry, excerpt
from tests.chaos.slots import find_overshoots
from tests.chaos.story import Story, Tale
from tests.chaos.verdict import Verdict

_MOST_SHOWN = 5
_MOST_LINES = 60


def report(verdict: Verdict) -> Iterator[str]:
    """Yield the lines of a report."""
    story = verdict.story
    faults = Counter(fault.what for fault in story.faults)
    accepted = {e["uid"] for e in story.of_kind("reply") if e["status"] in {200, 201}}
    tasks = Counter(order.task for order in story.orders.values())
    yield f"seed               {verdict.seed}"
    yield f"jobs accepted      {len(accepted)} ({join_counts(tasks)})"
    yield f"faults             {len(story.faults)} ({join_counts(faults)})"
    removed = sum(life.by_stranger for life in story.lives.values())
    yield f"removed by others  {removed}"
    yield f"lost               {sum(breach.invariant == 'I1' for breach in verdict.breaches)}"
    repeats = Counter(explain_repeat(story, life) or "unexplained" for life in find_repeated(story))
    yield f"run twice          {repeats.total()} ({join_counts(repeats) or 'none'})"
    yield f"posted again       {count_reposts(story)} (collected before the client's next try)"
    stuck = sum(is_stuck(story, life) for life in story.lives.values())
    cured = len(story.of_kind("cure"))
    yield (
        f"never startable    {stuck} (the engine was killed in the middle of their start;"
        f" {cured} were removed and posted again)"
    )
    ghosts = len(story.of_kind("ghost"))
    yield f"ghosts             {ghosts} (shown running for ever, although their end is past)"
    exempt = sum(shot.late > 0 for shot in find_overshoots(story))
    yield f"over the limit     {exempt} (each after an ambiguous start)"
    converged = [case for case in measure_convergence(story) if case.seconds is not None]
    worst = max(converged, key=lambda case: case.seconds or 0, default=None)
    if worst is not None:
        yield f"worst convergence  {worst.seconds:.2f} s after {worst.fault.what}"
    for entry in story.of_kind("drained"):
        yield f"drained            {'yes' if entry['complete'] else 'NO'}, {entry['seconds']:.1f} s"
    yield f"jobs_total         {describe_comparisons(story)}"
    yield f"breaches           {len(verdict.breaches)}"
    yield from show_breaches(verdict)


def describe_comparisons(story: Story) -> str:
    """Return how often the API's counts were compared with the engine's history, and when."""
    found = compare_counts(story)
    moments = Counter(comparison.scrape.moment for comparison in found)
    lifetimes = len({comparison.scrape.lifetime for comparison in found})
    exact = sum(comparison.exact for comparison in found)
    wrong = sum(bool(comparison.differences) for comparison in found)
    return (
        f"{len(found)} comparisons ({join_counts(moments) or 'none'}) over {lifetimes} lifetimes,"
        f" {exact} of them exact, {wrong} wrong"
    )


def count_reposts(story: Story) -> int:
    """Return how many jobs ran anew because their container was gone when a client tried again."""
    names = Counter(life.name for life in story.lives.values() if life.started is not None)
    return sum(count - 1 for name, count in names.items() if name in story.orders)


class Judged(Protocol):
    """A verdict on a run of any kind."""

    @property
    def seed(self) -> int:
        """What was random."""

    @property
    def story(self) -> Tale:
        """What happened."""

    @property
    def breaches(self) -> list[Breach]:
        """What should not have."""

    @property
    def history(self) -> Path:
        """The file that tells it all."""


def show_breaches(verdict: Judged) -> Iterator[str]:
    """Yield the first breaches, each with the part of the history that shows it."""
    for breach in verdict.breaches[:_MOST_SHOWN]:
        yield ""
        yield f"{breach.invariant} broken, seed {verdict.seed}: {breach.text}"
        yield from _show_excerpt(verdict.story, breach)
    if verdict.breaches:
        yield f"\nwhole history: {verdict.history}"


def _show_excerpt(story: Tale, breach: Breach) -> Iterator[str]:
    began = story.entries[0].at
    lines = [_show(entry, began) for entry in excerpt(story.entries, breach.subjects)]
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        lines[half:-half] = [f"    … {len(lines) - _MOST_LINES} more"]
    yield from lines


def _show(entry: Entry, began: int) -> str:
    seconds = (entry.at - began) / 1e9
    facts = " ".join(f"{key}={value}" for key, value in entry.facts.items() if value is not None)
    clock = time.strftime("%H:%M:%S", time.gmtime(entry.at // 1_000_000_000))
    return f"  {seconds:9.3f} {clock} {entry.kind:9} {facts[:300]}"


def join_counts(counts: Counter[str]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
