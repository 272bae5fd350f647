"""Tells people what a run of waits did, and the part of the history that shows a breach."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.history import Entry
from tests.chaos.report import join_counts, show_breaches
from tests.chaos.verdict import Verdict
from tests.chaos.wait_checker import Judge, is_answer

_SLOW = 3


def report_waits(verdict: Verdict) -> Iterator[str]:
    """Yield the lines of a report."""
    story = verdict.story
    judge = Judge(story)
    answers = [entry for entry in judge.tries if is_answer(entry)]
    tasks = Counter(order.task for order in story.orders.values())
    asked = Counter(entry["asked"] for entry in answers)
    yield f"seed               {verdict.seed}"
    yield f"jobs               {len(story.orders)} ({join_counts(tasks)})"
    yield f"containers         {len(story.lives)}"
    faults = Counter(fault.what for fault in story.faults)
    yield f"faults             {len(story.faults)} ({join_counts(faults)})"
    yield f"waits answered     {len(answers)} ({join_counts(asked)})"
    told = Counter(_name_answer(entry) for entry in answers)
    yield f"answers            {join_counts(told)}"
    others = Counter(str(e["status"]) for e in judge.tries if not is_answer(e))
    tries = join_counts(others) or "none"
    yield f"asked again        {others.total()} (by status: {tries}; 0: cut, or nobody listened)"
    unknown = sum(judge.is_unknown(entry) for entry in answers)
    yield f"ends not seen      {unknown} (told so: the engine or the API was away at the end)"
    slowest = sorted(judge.measure(), key=lambda found: found.seconds)
    times = [found.seconds for found in slowest]
    if times:
        median, late = times[len(times) // 2], times[int(len(times) * 0.99)]
        yield f"after the end      {len(times)} answers: median {median:.3f} s, 99 % {late:.3f} s"
    for found in slowest[: -_SLOW - 1 : -1]:
        entry = found.entry
        what = f"wait {entry['number']} ({entry['asked']}) for {entry['name']}"
        yield f"slowest            {found.seconds:.3f} s: {what}"
    lags = [entry["seconds"] for entry in story.of_kind("lag")]
    yield f"clients stood still {len(lags)} times, {max(lags, default=0):.2f} s at most"
    starved = sum(e["seconds"] for e in story.of_kind("starved") if e["process"] == "api")
    yield f"API was ready       {starved:.0f} s in all, and no processor was free"
    for entry in story.of_kind("drained"):
        yield f"drained            {'yes' if entry['complete'] else 'NO'}, {entry['seconds']:.1f} s"
    broken = Counter(breach.invariant for breach in verdict.breaches)
    yield f"breaches           {len(verdict.breaches)} ({join_counts(broken) or 'none'})"
    yield from show_breaches(verdict)


def _name_answer(entry: Entry) -> str:
    return str(entry["error"] or entry["phase"] or entry["status"])
