"""Tells people what a run on a swarm did and, if it failed, the part that shows it."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.report import join_counts, show_breaches
from tests.chaos.story import SECOND
from tests.chaos.swarm.checker import explain_rerun, find_lost, measure_convergence
from tests.chaos.swarm.run import SwarmVerdict
from tests.chaos.swarm.story import SwarmStory


def report_swarm(verdict: SwarmVerdict) -> Iterator[str]:
    """Yield the lines of a report."""
    story = verdict.story
    accepted = {e["uid"] for e in story.of_kind("reply") if e["status"] in {200, 201}}
    tasks = Counter(order.task for order in story.orders.values())
    faults = Counter(fault.what for fault in story.faults)
    finals = Counter(
        f"{record.final['phase']}/{record.final['reason']}"
        for record in story.records.values()
        if record.final is not None
    )
    again = Counter(
        explain_rerun(story, one, two) or "unexplained"
        for name in story.orders
        for one, two in pairwise(story.runs_of(name))
    )
    yield f"seed               {verdict.seed}"
    yield f"jobs accepted      {len(accepted)} ({join_counts(tasks)})"
    yield f"runs               {len(story.runs)} on {_count_nodes(story)}"
    yield f"ends               {join_counts(finals)}"
    yield f"faults             {len(story.faults)} ({join_counts(faults)})"
    yield f"lost               {len(find_lost(story))}"
    yield f"run again          {again.total()} ({join_counts(again) or 'none'})"
    yield f"over the limit     {sum(breach.invariant == 'S3' for breach in verdict.breaches)}"
    yield f"without a leader   {_measure_leaderless(story):.0f} s in all"
    ready = [entry["seconds"] for entry in story.of_kind("ready")]
    yield f"nodes ready again  {max(ready, default=0):.0f} s after a fault at the latest"
    yield f"converged          {measure_convergence(story)} s after the last fault"
    for entry in story.of_kind("drained"):
        yield f"drained            {'yes' if entry['complete'] else 'NO'}, {entry['seconds']:.1f} s"
    yield f"breaches           {len(verdict.breaches)}"
    yield from show_breaches(verdict)


def _count_nodes(story: SwarmStory) -> str:
    return join_counts(Counter(run.node for run in story.runs))


def _measure_leaderless(story: SwarmStory) -> float:
    """Return for how many seconds nobody led, or nobody could be asked who does."""
    changes = story.of_kind("leader")
    ends = [*(entry.at for entry in changes[1:]), story.entries[-1].at]
    spans = [end - entry.at for entry, end in zip(changes, ends, strict=True) if not entry["node"]]
    return sum(spans) / SECOND
