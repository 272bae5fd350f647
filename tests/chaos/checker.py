"""Judges a history by the invariants I1 to I9: pure functions, a breach for each violation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.counts import Key, compare_counts
from tests.chaos.history import Entry
from tests.chaos.observer import LEFTOVERS
from tests.chaos.slots import find_overshoots
from tests.chaos.story import RUNNING, SECOND, Fault, Life, Story, Tale

_EXPECTED = {0, 200, 201, 429, 502, 503}
"""Answers to a POST of a good document; 0 is none at all."""
_FAILURE = 500
_CURED_SINCE = 28
"""The first major version tried that starts a job whose task was left behind."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A violation; ``subjects`` are the ids and names whose part of the history shows it."""

    invariant: str
    subjects: tuple[str, ...]
    text: str


def check(story: Story) -> list[Breach]:
    """Return all breaches, by invariant."""
    return [breach for judge in JUDGES for breach in judge(story)]


def check_accepted(story: Story) -> Iterator[Breach]:
    """I1: every 201 and 200 names a job that exists until it is collected."""
    accepted = {
        (entry["name"], entry["uid"]): entry
        for entry in story.of_kind("reply")
        if entry["status"] in {200, 201}
    }
    for (name, uid), entry in accepted.items():
        life = story.lives.get(uid)
        if life is None:
            yield Breach("I1", (name, uid), f"{name} was answered {entry['status']}, never seen")
        elif life.name != name:
            yield Breach("I1", (name, uid), f"{name} was answered with the id of {life.name}")
        elif life.gone is not None and life.finished is None and not life.by_stranger:
            yield Breach("I1", (name, uid), f"{name} is gone and had not finished")
    for name in {name for name, _ in accepted}:
        kept = [life for life in story.lives_of(name) if life.gone is None]
        if len(kept) > 1:
            ids = tuple(life.id for life in kept)
            yield Breach("I1", (name, *ids), f"{name} has {len(kept)} containers")
    for entry in story.of_kind("reply"):
        if entry["status"] not in _EXPECTED:
            text = f"{entry['name']} was refused with {entry['status']}"
            yield Breach("I1", (entry["name"],), text)
    yield from _check_answers(story)


def _check_answers(story: Story) -> Iterator[Breach]:
    for entry in story.of_kind("answer"):
        if entry["status"] != 404:
            continue
        for life in story.lives_of(entry["name"]):
            was_there = life.seen is not None and life.seen < entry["sent"]
            if was_there and (life.gone is None or life.gone > entry.at):
                text = f"{life.name} was answered 404 while it existed"
                yield Breach("I1", (life.name, life.id), text)


def check_started(story: Story) -> Iterator[Breach]:
    """I2: every job starts, is reported failed, or its wait is explained."""
    explained = {entry["name"] for entry in story.of_kind("explained") if entry["text"]}
    uids = {entry["uid"] for entry in story.of_kind("reply") if entry["status"] in {200, 201}}
    for life in story.lives.values():
        order = story.orders.get(life.name)
        if order is None or life.id not in uids or life.by_stranger:
            continue
        subjects = (life.name, life.id)
        if order.must_start and life.started is None and not is_stuck(story, life):
            yield Breach("I2", subjects, f"{life.name} ({order.task}) never started")
        if not order.must_start and life.started is not None:
            yield Breach("I2", subjects, f"{life.name} ({order.task}) ran although it cannot")
        if not order.must_start and life.name not in explained:
            yield Breach("I2", subjects, f"nothing explains why {life.name} ({order.task}) waits")
    yield from _check_cures(story)


def _check_cures(story: Story) -> Iterator[Breach]:
    """What cures a job that the engine never starts does so; no newer engine has such jobs."""
    for entry in story.of_kind("cure"):
        subjects = (entry["name"], entry["id"])
        others = [life for life in story.lives_of(entry["name"]) if life.id != entry["id"]]
        order = story.orders.get(entry["name"])
        can_start = order is None or order.must_start
        if can_start and not any(life.started is not None for life in others):
            yield Breach("I2", subjects, f"{entry['name']} was posted again, and never started")
        if story.rules.engine >= _CURED_SINCE:
            yield Breach("I2", subjects, f"the engine can never start {entry['name']}")


def is_stuck(story: Story, life: Life) -> bool:
    """Tell whether the engine itself can never start a job again, and the product says so.

    An engine that is killed between making a container's task and starting it refuses every
    later start: "task already exists", or of the runtime's state, "id already in use".
    """
    said = [e["text"] or "" for e in story.of_kind("explained") if e["name"] == life.name]
    cut_off = [
        call
        for call in life.calls
        # an engine that is told to stop still answers some of the starts that it cuts in two
        if call["act"] == "start"
        and (not call["status"] or call["status"] >= _FAILURE)
        and story.had_engine_restart(call["sent"], call.at + SECOND)
    ]
    return bool(cut_off) and any(left in text for text in said for left in LEFTOVERS)


def check_limit(story: Story) -> Iterator[Breach]:
    """I3: max-concurrent holds at every start decision."""
    for overshoot in find_overshoots(story):
        held = len(overshoot.others) + 1
        if held - overshoot.late > story.rules.limit:
            ids = (overshoot.life.id, *(life.id for life in overshoot.others))
            text = (
                f"{overshoot.life.name} started as number {held} of {story.rules.limit},"
                f" {overshoot.late} of them after an ambiguous start"
            )
            yield Breach("I3", ids, text)


def check_foreign(story: Story) -> Iterator[Breach]:
    """I4: nothing foreign is touched."""
    entries = story.of_kind("foreign")
    before = {entry["id"]: entry for entry in entries if entry["moment"] == "before"}
    after = {entry["id"]: entry for entry in entries if entry["moment"] == "after"}
    for key, was in before.items():
        now = after.get(key)
        if now is None:
            yield Breach("I4", (key, was["name"]), f"foreign {was['name']} was not looked at again")
        elif now["status"] == "gone":
            yield Breach("I4", (key, was["name"]), f"foreign {was['name']} was removed")
        elif was["started"] != now["started"]:
            yield Breach("I4", (key, was["name"]), f"foreign {was['name']} was started")
        elif was["status"] == "running" != now["status"] and not story.had_engine_restart(
            was.at, now.at
        ):
            yield Breach("I4", (key, was["name"]), f"foreign {was['name']} was stopped")
    for call in story.of_kind("call"):
        if call["id"] in before:
            yield Breach("I4", (call["id"],), f"foreign {call['id'][:12]} was sent {call['act']}")


def check_kept(story: Story) -> Iterator[Breach]:
    """I5: never collected before FinishedAt + keep, nor while unstarted."""
    for life in story.lives.values():
        if life.gone is None or life.by_stranger or life.name not in story.orders:
            continue
        subjects = (life.name, life.id)
        if life.started is None and not _was_taken_back(story, life):
            yield Breach("I5", subjects, f"{life.name} was removed before it started")
        elif life.finished is not None and life.destroyed:
            early = life.finished + story.rules.keep * SECOND - life.gone
            if early > 0:
                text = f"{life.name} was removed {early / SECOND:.3f} s too early"
                yield Breach("I5", subjects, text)
    for call in story.of_kind("call"):
        if call["act"] == "remove" and call["forced"]:
            yield Breach("I5", (call["id"],), f"{call['id'][:12]} was to be removed by force")


def _was_taken_back(story: Story, life: Life) -> bool:
    """Tell whether an engine that ended in the middle of a create took it back: nobody saw it."""
    was_answered = any(entry["uid"] == life.id for entry in story.of_kind("reply"))
    return not (life.states or life.details or life.calls or was_answered)


def check_runs(story: Story) -> Iterator[Breach]:
    """I6: a job runs twice only after an ambiguous start or an engine restart."""
    for life in find_repeated(story):
        if explain_repeat(story, life) is None:
            text = f"{life.name} ran {life.runs} times and nothing explains it"
            yield Breach("I6", (life.name, life.id), text)


def find_repeated(story: Story) -> list[Life]:
    """Return the containers that ran more often than their restart policy says."""
    return [
        life
        for life in story.lives.values()
        if (order := story.orders.get(life.name)) is not None and life.runs > 1 + order.retries
    ]


def explain_repeat(story: Story, life: Life) -> str | None:
    """Return why a container may have run more often than it should, or ``None``."""
    if life.ambiguous:
        return "ambiguous start"
    noted = [entry.at for entry in life.notes if entry["mark"] == "start"]
    runs = sorted(noted or life.starts)
    order = story.orders.get(life.name)
    # Only what its policy restarts is run again by the engine as it boots.
    if order is not None and order.retries and story.had_engine_restart(runs[0], runs[-1]):
        return "engine restart"
    return None


def check_exits(story: Tale) -> Iterator[Breach]:
    """I7: neither process exits for an engine error, nor shows any other fault of its own."""
    for entry in story.of_kind("exit"):
        text = f"{entry['process']} exited with {entry['code']} by itself"
        yield Breach("I7", (entry["process"],), text)
    for entry in story.of_kind("complaint"):
        text = f"{entry['process']} logged a fault of its own: {entry['text'][:500]}"
        yield Breach("I7", (entry["process"],), text)


@dataclass(frozen=True, slots=True)
class Convergence:
    """How long after a fault's end work went on; ``None``: not before the next fault began."""

    fault: Fault
    seconds: float | None


def check_convergence(story: Story) -> Iterator[Breach]:
    """I8: converged within two re-reads after the faults end, and all work done in the end."""
    for case in measure_convergence(story):
        if case.seconds is not None and case.seconds > story.rules.converge:
            text = f"no job started for {case.seconds:.1f} s after {case.fault.what} ended"
            yield Breach("I8", (case.fault.what,), text)
    drained = story.of_kind("drained")
    if not drained:
        yield Breach("I8", (), "the run did not come to its end")
    for entry in drained:
        if not entry["complete"]:
            text = f"not done in the end: {', '.join(entry['left'])}"
            yield Breach("I8", tuple(entry["left"]), text)


def measure_convergence(story: Story) -> list[Convergence]:
    """Measure, for each fault, the time from its end to the first sign that work goes on.

    A sign is a first start, or a look that shows every slot full or nothing left to start.
    """
    signs = sorted(
        {life.started for life in story.lives.values() if life.started is not None}
        | {entry["sent"] for entry in story.of_kind("look") if _is_settled(story, entry)}
    )
    last = story.entries[-1].at if story.entries else 0
    cases = []
    for fault in story.faults:
        following = [other.begin for other in story.faults if other.begin > fault.end]
        running = any(other.begin < fault.end < other.end for other in story.faults)
        until = fault.end if running else min(following, default=last)
        sign = next((moment for moment in signs if moment >= fault.end), last)
        if sign <= until:
            cases.append(Convergence(fault, (sign - fault.end) / SECOND))
        elif until - fault.end > story.rules.converge * SECOND:
            cases.append(Convergence(fault, (until - fault.end) / SECOND))
        else:
            cases.append(Convergence(fault, None))
    return cases


def _is_settled(story: Story, look: Entry) -> bool:
    """Tell whether a look shows every slot full, or no job waiting that was not refused yet."""
    active = sum(state in RUNNING for _, _, state in look["rows"])
    waiting = any(
        state == "created"
        and (order := story.orders.get(name)) is not None
        and order.must_start
        and not story.lives[container_id].was_refused(look["sent"])
        for container_id, name, state in look["rows"]
    )
    return active >= story.rules.limit or not waiting


def check_counts(story: Story) -> Iterator[Breach]:
    """I9: ``jobs_total`` equals the engine's own history over each lifetime; no false losses."""
    shown: set[tuple[int, Key]] = set()
    for comparison in compare_counts(story):
        for found in comparison.differences:
            # a wrong count stays wrong until the process ends: its first sight tells the most
            if (found.scrape.lifetime, found.key) in shown:
                continue
            shown.add((found.scrape.lifetime, found.key))
            yield Breach("I9", found.subjects, found.text)
    served = any(entry["process"] == "api" for entry in story.of_kind("spawn"))
    if served and not any(entry["moment"] == "last" for entry in story.of_kind("scrape")):
        yield Breach("I9", ("api",), "jobs_total could not be compared at the end")
    for entry in story.of_kind("lost"):
        life = story.lives.get(entry["id"])
        if life is not None and life.started is not None and life.started > entry.at:
            text = f"{life.name} was said to be lost, and started later"
            yield Breach("I9", (life.name, life.id), text)


JUDGES: tuple[Callable[[Story], Iterator[Breach]], ...] = (
    check_accepted,
    check_started,
    check_limit,
    check_foreign,
    check_kept,
    check_runs,
    check_exits,
    check_convergence,
    check_counts,
)
