"""Judges a history of a swarm: pure functions, a breach for each violation."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.chaos.checker import Breach, check_exits
from tests.chaos.history import Entry
from tests.chaos.story import SECOND
from tests.chaos.swarm.story import OVER, Record, Run, SwarmStory

_EXPECTED = {0, 200, 201, 429, 502, 503}
"""Answers to a POST of a good document; 0 is none at all."""
_LOST = "NodeLost"
_GIVEN_UP = 8 * SECOND
"""No sooner does the swarm give up a node that it does not hear of."""
_GRACE = 30 * SECOND
"""So long after a node is back may be seen what its absence did."""


def check(story: SwarmStory) -> list[Breach]:
    """Return all breaches."""
    return [breach for judge in JUDGES for breach in judge(story)]


def check_accepted(story: SwarmStory) -> Iterator[Breach]:
    """S1, nothing is lost: what was accepted is there, runs, and is shown to its end."""
    for entry in story.of_kind("reply"):
        if entry["status"] not in _EXPECTED:
            text = f"{entry['name']} was refused with {entry['status']}"
            yield Breach("S1", (entry["name"],), text)
    for (name, uid), fault in find_lost(story).items():
        yield Breach("S1", (name, uid), f"{name} {fault}")
    yield from _check_answers(story)


def find_lost(story: SwarmStory) -> dict[tuple[str, str], str]:
    """Return, by name and uid, what became of accepted jobs that must not have."""
    replies = [entry for entry in story.of_kind("reply") if entry["status"] in {200, 201}]
    found = {}
    for name, uid in dict.fromkeys((entry["name"], entry["uid"]) for entry in replies):
        if (fault := _find_loss(story, name, uid)) is not None:
            found[name, uid] = fault
    return found


def _find_loss(story: SwarmStory, name: str, uid: str) -> str | None:
    """Return what became of an accepted job that must not have, or ``None``."""
    record, has_run = story.records.get(uid), bool(story.runs_of(name))
    if record is None:
        return "was accepted and never seen"
    final = record.final
    if record.gone is not None and final is None and not has_run:
        return "is gone and had not run"
    if not story.orders[name].must_start:
        return None
    if final is None:
        return "was not shown to be over"
    if final["reason"] != _LOST and not has_run:
        return f"is {final['phase']} and never ran"
    return None


def _check_answers(story: SwarmStory) -> Iterator[Breach]:
    """Yield answers that deny a job.

    A manager that is cut off answers by what it knew for as long as it takes itself for the leader.
    """
    for entry in story.of_kind("answer"):
        is_denied = entry["status"] == 404 and not story.is_any_cut(entry["sent"], entry.at)
        for record in story.records_of(entry["name"]) if is_denied else ():
            if record.seen < entry["sent"] and record.last > entry.at:
                text = f"{record.name} was answered 404 while it existed"
                yield Breach("S1", (record.name, record.uid), text)


def check_runs(story: SwarmStory) -> Iterator[Breach]:
    """S2: nothing runs twice, save after the loss of its node where its manifest asks for it."""
    for name, order in story.orders.items():
        runs = story.runs_of(name)
        if runs and not order.must_start:
            yield Breach("S2", runs[0].subjects, f"{name} ran although it cannot")
        for one, again in pairwise(runs):
            if explain_rerun(story, one, again) is None:
                text = f"{name} ran on {one.node}, and then on {again.node}"
                yield Breach("S2", (name, one.container, again.container), text)


def explain_rerun(story: SwarmStory, one: Run, again: Run) -> str | None:
    """Return why a job may have run again after a run, or ``None``."""
    between = [r for r in story.records_of(one.name) if one.begin < r.seen <= again.begin]
    if between:
        return "posted again after its collection"
    if one.name in story.reruns:
        away = story.find_absence(one.node, one.begin, again.begin)
        return f"rerun after {away.how}" if away is not None else None
    return None


def check_limit(story: SwarmStory) -> Iterator[Breach]:
    """S3: max-concurrent holds at every start.

    A job on a node that is cut off, or does not answer, holds no slot once the swarm has given its
    node up. It may run on there, also for a while after its node is back.
    """
    for index, run in enumerate(story.runs):
        others = [
            other
            for other in story.runs[:index]
            if other.end > run.begin and not is_cut_off(story, other, run.begin)
        ]
        if len(others) + 1 > story.rules.limit:
            text = f"{run.name} started as number {len(others) + 1} of {story.rules.limit}"
            yield Breach("S3", (run.name, *(other.name for other in others)), text)


def is_cut_off(story: SwarmStory, run: Run, moment: int) -> bool:
    """Tell whether the swarm may have given a run up by then that goes on."""
    away = story.find_absence(run.node, run.begin, moment - _GIVEN_UP, "cut", "freeze")
    return away is not None and away.end - away.begin >= _GIVEN_UP


def check_kept(story: SwarmStory) -> Iterator[Breach]:
    """S4: never collected before its end + keep, nor before it has ended."""
    for record in story.records.values():
        runs = story.runs_of(record.name)
        if record.gone is None or len(story.records_of(record.name)) > 1:
            continue
        subjects = (record.name, record.uid)
        if not runs and (record.final is None or record.final["reason"] != _LOST):
            yield Breach("S4", subjects, f"{record.name} was removed before it ran")
        elif runs and (end := _find_end(story, record, runs)) < record.gone:
            early = end + story.rules.keep * SECOND - record.gone
            if early > 0:
                text = f"{record.name} was removed {early / SECOND:.1f} s too early"
                yield Breach("S4", subjects, text)


def _find_end(story: SwarmStory, record: Record, runs: list[Run]) -> int:
    """Return when a job was over: a lost one may be from when the swarm can have given up its node.

    It is shown later: no API may have been there to show it.
    """
    if record.final is None or record.final["reason"] != _LOST:
        return runs[-1].end
    shown = record.final.at
    away = story.find_absence(runs[-1].node, runs[-1].begin, shown)
    return shown if away is None else min(shown, away.begin + _GIVEN_UP)


def check_told(story: SwarmStory) -> Iterator[Breach]:
    """S5: what is shown of an end is true, and none that showed it shows another."""
    for record in story.records.values():
        if record.final is None:
            continue
        subjects = (record.name, record.uid)
        for one, later in find_changed_ends(record):
            text = (
                f"{later['process']} showed {record.name} as {one['phase']}, then {later['phase']}"
            )
            yield Breach("S5", (*subjects, later["process"]), text)
        runs = story.runs_of(record.name)
        if record.final["phase"] == "Succeeded" and not any(run.noted_end for run in runs):
            yield Breach("S5", subjects, f"{record.name} is shown to have succeeded, and has not")
        if record.final["reason"] == _LOST and not _was_away(story, record, runs):
            yield Breach("S5", subjects, f"{record.name} is {_LOST}, and its node was not away")


def find_changed_ends(record: Record) -> Iterator[tuple[Entry, Entry]]:
    """Yield where a process first showed an end, and later something else; once for each.

    Two of them may differ: that at a manager that is cut off shows what it has known.
    """
    ends: dict[str, Entry] = {}
    for entry in record.shown:
        end = ends.get(entry["process"])
        if end is None and entry["phase"] in OVER:
            ends[entry["process"]] = entry
        elif end is not None and (end["phase"], end["reason"]) != (entry["phase"], entry["reason"]):
            yield end, entry
            return


def _was_away(story: SwarmStory, record: Record, runs: list[Run]) -> bool:
    """Tell whether a job's node may have been lost; any node may, of one that noted no run."""
    nodes = {run.node for run in runs} or {away.node for away in story.away}
    final = record.final
    assert final is not None
    return any(
        story.find_absence(node, record.seen - _GRACE, final.at) is not None for node in nodes
    )


def check_convergence(story: SwarmStory) -> Iterator[Breach]:
    """S6: work goes on soon after the last fault, and all of it is done in the end."""
    seconds = measure_convergence(story)
    if seconds is None or seconds > story.rules.converge:
        text = f"not converged within {story.rules.converge:.0f} s after the last fault: {seconds}"
        yield Breach("S6", (), text)
    drained = story.of_kind("drained")
    if not drained:
        yield Breach("S6", (), "the run did not come to its end")
    for entry in drained:
        if not entry["complete"]:
            text = f"not done in the end: {', '.join(entry['left'])}"
            yield Breach("S6", tuple(entry["left"]), text)


def measure_convergence(story: SwarmStory) -> float | None:
    """Return after how many seconds from the end of the last fault on work went on.

    A sign of it is a first start, or an API's answer that shows every slot full or nothing waiting.
    """
    last = max((fault.end for fault in story.faults), default=0)
    signs = [run.begin for run in story.runs] + [
        entry["sent"]
        for entry in story.of_kind("shares")
        if entry["active"] >= story.rules.limit or not entry["queued"]
    ]
    return min(((sign - last) / SECOND for sign in signs if sign >= last), default=None)


JUDGES: tuple[Callable[[SwarmStory], Iterator[Breach]], ...] = (
    check_accepted,
    check_runs,
    check_limit,
    check_kept,
    check_told,
    check_exits,
    check_convergence,
)
