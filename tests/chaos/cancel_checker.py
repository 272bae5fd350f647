"""Judges a run of cancels: pure functions over its story, a breach for each violation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from tests.chaos.cancel_workload import CAPS, STOP_TIMEOUT
from tests.chaos.checker import Breach, check_exits, check_limit
from tests.chaos.history import Entry
from tests.chaos.slots import find_overshoots
from tests.chaos.story import SECOND, Life, Story

_ANSWERED: Final = frozenset({200, 202})
_KILL_SLACK: Final = 10.0
_RECOVERY: Final = 6.0
"""Seconds after a fault in which nothing is promised yet: the engine boots, all is read anew."""
_TICK: Final = 1.0
_SLACK: Final = 1.5


@dataclass(frozen=True, slots=True)
class Cancel:
    """The cancel of one container; ``asked`` first at, ``answered`` at, ``None``: never."""

    asked: int
    answered: int | None
    grace: float


def find_cancels(story: Story) -> dict[str, Cancel]:
    """Return the cancels by container; one that was never answered may have been recorded."""
    found: dict[str, Cancel] = {}
    for entry in story.of_kind("cancel"):
        answered = entry.at if entry["status"] in _ANSWERED else None
        grace = float(STOP_TIMEOUT if entry["grace"] is None else entry["grace"])
        known = found.get(entry["id"])
        if known is None:
            found[entry["id"]] = Cancel(entry["sent"], answered, grace)
        elif known.answered is None and answered is not None:
            found[entry["id"]] = replace(known, answered=answered)
    return found


def measure_quiet(story: Story, since: int, until: int) -> float:
    """Return how many seconds of a span lie in no fault, nor right after one."""
    spans = sorted((fault.begin, fault.end + int(_RECOVERY * SECOND)) for fault in story.faults)
    quiet, at = 0, since
    for begin, end in spans:
        if begin > at:
            quiet += max(min(begin, until) - at, 0)
        at = max(at, end)
        if at >= until:
            break
    return (quiet + max(until - at, 0)) / SECOND


def had_fault(story: Story, since: int, until: int) -> bool:
    """Tell whether a fault lies in a span of time, or what follows it."""
    seconds = (until - since) / SECOND
    return measure_quiet(story, since, until) < seconds


def check_cancels(story: Story) -> list[Breach]:
    """Return all breaches of a run of cancels."""
    return [breach for judge in JUDGES for breach in judge(story)]


def check_not_started(story: Story) -> Iterator[Breach]:
    """S1: no job starts after the answer to its cancel, if its start was not under way by then.

    It is under way from the moment at which the look for the mark is sent.
    """
    for life, cancel in _find_cancelled(story):
        if cancel.answered is None or life.started is None or life.started <= cancel.answered:
            continue
        if not is_under_way(story, life, cancel.answered):
            late = (life.started - cancel.answered) / SECOND
            text = f"{life.name} started {late:.3f} s after its cancel was answered"
            yield Breach("S1", (life.name, life.id), text)


def is_under_way(story: Story, life: Life, moment: int) -> bool:
    """Tell whether the start that took effect looked for a mark before ``moment``."""
    looks = [entry.at for entry in story.of_kind("look-for-mark") if entry["id"] == life.id]
    starts = [call["sent"] for call in life.calls if call["act"] == "start"]
    begun = [max((at for at in looks if at <= sent), default=sent) for sent in starts]
    return any(at <= moment for at in begun)


def check_stopped(story: Story) -> Iterator[Breach]:
    """S2: a cancelled job runs no longer than its grace and ten seconds more."""
    last = story.entries[-1].at
    for life, cancel in _find_cancelled(story):
        if cancel.answered is None or life.started is None:
            continue
        since = max(cancel.answered, life.started)
        until = _find_end(life) or last
        quiet = measure_quiet(story, since, until)
        if quiet > cancel.grace + _KILL_SLACK:
            text = f"{life.name} ran for {quiet:.1f} quiet s after its cancel"
            yield Breach("S2", (life.name, life.id), text)


def check_left_alone(story: Story) -> Iterator[Breach]:
    """S3: nothing is stopped that was neither cancelled nor over its time."""
    cancels, wishes = find_cancels(story), find_wishes(story)
    for life in story.lives.values():
        stops = [call["sent"] for call in life.calls if call["act"] == "stop"]
        cancel, wish = cancels.get(life.id), wishes.get(life.name)
        for sent in stops:
            if cancel is not None and cancel.asked <= sent:
                continue
            due = _find_due(life, wish)
            if due is None or sent < due - _SLACK * SECOND:
                text = f"{life.name} was stopped, and nobody wanted that"
                yield Breach("S3", (life.name, life.id), text)


def check_deadlines(story: Story) -> Iterator[Breach]:
    """S4: a run over its time is stopped within a tick; what is too late is not started."""
    wishes, cancels, last = find_wishes(story), find_cancels(story), story.entries[-1].at
    for life in story.lives.values():
        wish, due = wishes.get(life.name), _find_due(life, wishes.get(life.name))
        if due is not None and life.id not in cancels:
            stops = [call["sent"] for call in life.calls if call["act"] == "stop"]
            ends = [moment for moment in (_find_end(life), *stops[:1]) if moment is not None]
            quiet = measure_quiet(story, due, min(ends, default=last))
            if quiet > _TICK + _SLACK:
                text = f"{life.name} was not stopped for {quiet:.1f} quiet s after its time was up"
                yield Breach("S4", (life.name, life.id), text)
        created = next((e["created"] for e in life.details if e.get("created")), None)
        if wish is None or wish["start_by"] is None or created is None or life.started is None:
            continue
        limit = created + int(wish["start_by"] * SECOND)
        if life.started > limit and not is_under_way(story, life, limit):
            late = (life.started - limit) / SECOND
            text = f"{life.name} was started {late:.3f} s after its time"
            yield Breach("S4", (life.name, life.id), text)


def check_caps(story: Story) -> Iterator[Breach]:
    """S5: the cap of each queue holds at every start, as max-concurrent does."""
    wishes = find_wishes(story)
    for name, cap in CAPS.items():
        if cap is None:
            continue
        own = {
            key: life
            for key, life in story.lives.items()
            if (wish := wishes.get(life.name)) is not None and wish["queue"] == name
        }
        part = replace(story, lives=own, rules=replace(story.rules, limit=cap))
        for overshoot in find_overshoots(part):
            held = len(overshoot.others) + 1
            if held - overshoot.late > cap:
                ids = (overshoot.life.id, *(life.id for life in overshoot.others))
                text = f"{overshoot.life.name} started as number {held} of {cap} in {name}"
                yield Breach("S5", ids, text)


def check_done(story: Story) -> Iterator[Breach]:
    """S6: in the end all jobs are over and collected, and no mark is left; none was said lost.

    A process that was blind while a mark came and went with its job cannot tell it from a loss.
    """
    for entry in story.of_kind("drained"):
        if not entry["complete"]:
            yield Breach("S6", tuple(entry["left"]), f"not done in the end: {entry['left']}")
    for entry in story.of_kind("marks"):
        if entry["left"]:
            yield Breach("S6", tuple(entry["left"]), f"marks left without a job: {entry['left']}")
    cancels = find_cancels(story)
    for entry in story.of_kind("lost"):
        cancel = cancels.get(entry["id"])
        if cancel is not None and not had_fault(story, cancel.asked, entry.at):
            text = f"{entry['name']} was cancelled, and said to be lost"
            yield Breach("S6", (entry["id"],), text)
    for entry in story.of_kind("cancel"):
        if entry["status"] not in {0, 200, 202, 404, 429, 502, 503}:
            yield Breach("S6", (entry["id"],), f"a cancel was answered {entry['status']}")


def find_wishes(story: Story) -> dict[str, Entry]:
    """Return what each job asks of the controller, by its name."""
    return {entry["name"]: entry for entry in story.of_kind("wish")}


def _find_cancelled(story: Story) -> Iterator[tuple[Life, Cancel]]:
    for key, cancel in find_cancels(story).items():
        if (life := story.lives.get(key)) is not None:
            yield life, cancel


def _find_end(life: Life) -> int | None:
    """Return when a job ended: exactly, or else by its event, which may come late."""
    exact = [int(entry["finished"]) for entry in life.details if entry.get("finished")]
    if exact:
        return exact[-1]
    return life.dies[-1] if life.dies else life.finished


def _find_due(life: Life, wish: Entry | None) -> int | None:
    """Return when a job's only run is over its time."""
    if wish is None or wish["run_for"] is None or life.started is None:
        return None
    return life.started + int(wish["run_for"] * SECOND)


JUDGES: tuple[Callable[[Story], Iterator[Breach]], ...] = (
    check_not_started,
    check_stopped,
    check_left_alone,
    check_deadlines,
    check_caps,
    check_done,
    check_limit,
    check_exits,
)
