"""Decides what to start, stop, remove and leave: a pure function over what is known."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from itertools import islice, takewhile, zip_longest
from typing import Final

from api.v1.job import Job
from controller.choice import Choice
from controller.endings import (
    count_attempt,
    find_next_ending,
    plan_removals,
    plan_stops,
    plan_unmarkings,
)
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.place import alternate, place
from controller.plan import ActionKind, Plan, Start, WaitReason
from controller.policy import OVERDUE, Moment, Policy
from controller.queue_index import Likeness
from controller.scene import Scene, Turn, count_used, find_retries, set_scene
from controller.waits import explain_waits

_NOTHING: Final[frozenset[str]] = frozenset()
_FEW_RETRIES: Final = 2  # of several starts at once each takes longer, that of a sound job as well


def plan(
    index: JobIndex,
    policy: Policy,
    ledger: Ledger,
    now: Moment,
    *,
    unresponsive: Collection[str] = _NOTHING,
    explain: int = 0,
) -> Plan:
    """Return what to do at ``now``; README.md in this folder has the rules in order.

    ``unresponsive`` are the ids of containers that the engine does not answer for; they are left
    alone. ``explain`` caps the waits listed. The cost of a plan grows with what is to be done and
    with the number of queues, not with the number of jobs.
    """
    if not (explain or may_act(index, policy, ledger, now)):
        return Plan(wake_in=_find_wake(index, ledger, now))
    scene = set_scene(index, policy, ledger, now, unresponsive)
    starts = plan_starts(scene)
    waits = explain_waits(scene, starts, explain) if explain else ()
    listed = sum(wait.reason is not WaitReason.CANCELLING for wait in waits)
    return Plan(
        actions=(*plan_stops(scene), *starts, *plan_removals(scene), *plan_unmarkings(scene)),
        waits=waits,
        wake_in=_find_wake(index, ledger, now),
        unlisted=index.pending - len(starts) - listed if explain else 0,
    )


def may_act(index: JobIndex, policy: Policy, ledger: Ledger, now: Moment) -> bool:
    """Tell by a glance whether anything may be to do: after most changes nothing is.

    It is where a waiting job has no start in flight and a slot is free, or a job to be stopped or
    removed, or a mark, has no such call in flight. It may say yes for nothing, and never no for
    something.
    """
    removing, stopping = ledger.in_flight[ActionKind.REMOVE], ledger.in_flight[ActionKind.STOP]
    unmarking = ledger.in_flight[ActionKind.UNMARK]
    due = takewhile(lambda expiring: expiring[0] <= now.steady, index.expiring)
    limit = policy.max_concurrent
    return (
        any(uid not in unmarking for uid in index.strays)
        or any(uid not in stopping for uid in index.cancelled)
        or any(uid not in stopping for _, uid in index.last_runs.find_due(now.steady))
        or any(job.uid not in removing for _, job in due)
        or (
            index.pending > index.count_waiting(ledger.in_flight[ActionKind.START])
            and (limit is None or count_used(index, ledger) < limit)
        )
    )


def plan_starts(scene: Scene) -> tuple[Start, ...]:
    """Return the jobs to be started now, in this order."""
    if not scene.index.pending:
        return ()
    room = _count_room(scene)
    if room <= 0:
        return ()
    choice = Choice(scene)
    doubted, due = _find_doubted(scene, choice, room), _find_due(scene, choice, room)
    pairs = zip_longest(*((doubted, due) if scene.ledger.retries % 3 else (due, doubted)))
    retrying = sum(start.is_retry for start in scene.starting.values())
    most = max(_FEW_RETRIES - retrying, 0) if scene.doubted else room
    retries = [turn for pair in pairs for turn in pair if turn is not None][:most]
    is_retrying = scene.ledger.has_retried or retrying > 0
    chosen = _choose(choice, retries, room, is_retrying=is_retrying)
    chosen = _set_apart(scene, chosen)
    return tuple(
        _describe_start(scene, position, job, attempt)
        for position, (_, job, attempt) in enumerate(chosen)
    )


def _count_room(scene: Scene) -> int:
    """Return how many starts may be sent now: as the limit and the engine's pace allow.

    A start that hangs holds its slot, but not the pace of the others for long.
    """
    most, prompt = scene.policy.parallel_starts, scene.find_prompt()
    if not prompt.isdisjoint(scene.ledger.attempts[ActionKind.START].deaths):
        return 0
    pace = min(most - len(prompt), 2 * most - len(scene.starting))
    limit = scene.policy.max_concurrent
    return pace if limit is None else min(pace, limit - scene.used)


def _choose(choice: Choice, retries: list[Turn], room: int, *, is_retrying: bool) -> list[Turn]:
    """Choose in the order of all queues; a second retry gets only what the untried leave over.

    A start that fails costs the engine as much as one that succeeds: while others wait, one start
    in flight at most is a retry, and no retry follows another.
    """
    chosen = choice.choose(room, retries[: 0 if is_retrying else 1])
    for turn in retries:
        queue = turn[1].spec.wishes.queue
        if len(chosen) < room and turn not in chosen and choice.has_room(queue):
            choice.take(queue)
            chosen.append(turn)
    return chosen


def _set_apart(scene: Scene, chosen: list[Turn]) -> list[Turn]:
    """Return ``chosen`` or, in its turn, a job alone during whose start the engine died before.

    If it ends the engine again, it takes no other start along, and if not, that shows. After a
    death one other job goes first.
    """
    attempts = scene.ledger.attempts[ActionKind.START].deaths.values()
    if not attempts:
        return chosen
    due = (attempt for attempt in attempts if attempt.due <= scene.now.steady)
    fresh = Choice(scene)
    turns = (turn for turn in find_retries(scene, due) if scene.may_start(turn[1]))
    open_turns = (turn for turn in turns if fresh.has_room(turn[1].spec.wishes.queue))
    suspect = min(open_turns, key=fresh.rank_turn, default=None)
    if suspect is None or (chosen and fresh.rank_turn(chosen[0]) < fresh.rank_turn(suspect)):
        return chosen
    if chosen and scene.ledger.has_engine_died:
        return chosen[:1]
    return [] if scene.find_prompt() else [suspect]


def _find_doubted(scene: Scene, choice: Choice, most: int) -> list[Turn]:
    """Return untried jobs that are doubted: of each likeness by turns, what never failed first.

    What ails a job is not known before its start: a sound one may stand behind any number of
    others. So of those alike that failed it is by turns the newest and the oldest; and of the
    unlike that did not, too.
    """
    if not scene.doubted:
        return []
    failures = scene.ledger.failures
    lines = {likeness: _find_alike(scene, choice, likeness, most) for likeness in scene.doubted}
    fresh = [likeness for likeness in lines if lines[likeness] and not failures.count(likeness)]
    fresh.sort(key=lambda likeness: place(lines[likeness][0]))
    failed = [likeness for likeness in lines if failures.count(likeness)]
    queues: list[Iterator[Job]] = [
        *(iter(lines[likeness]) for likeness in alternate(fresh, scene.ledger.retries + 1)),
        *(alternate(lines[likeness], failures.count(likeness)) for likeness in failed),
    ]
    picks = [
        (rank, position, job)
        for position, queue in enumerate(queues)
        for rank, job in enumerate(islice(filter(scene.may_start, queue), most))
    ]
    first = heapq.nsmallest(most, picks, key=lambda pick: pick[:2])
    return [(place(job), job, None) for _, _, job in first]


def _find_alike(scene: Scene, choice: Choice, likeness: Likeness, most: int) -> Sequence[Job]:
    """Return the jobs of a likeness by their place: of several queues the ends of their lines."""
    lines = [
        queue.alike[likeness]
        for name, queue in scene.index.queues.items()
        if likeness in queue.alike and choice.has_room(name)
    ]
    if len(lines) == 1:
        return lines[0]
    enough = most + len(scene.starting) + len(scene.unresponsive)
    ends = [_cut_middle(line, enough) for line in lines]
    return list(heapq.merge(*ends, key=place))


def _cut_middle(line: Sequence[Job], enough: int) -> Sequence[Job]:
    """Return the first and the last jobs of a line, so many of each."""
    if len(line) <= 2 * enough:
        return line
    return [*line[:enough], *line[-enough:]]


def _find_due(scene: Scene, choice: Choice, most: int) -> list[Turn]:
    """Return retries that are due, the earliest due first."""
    known = scene.ledger.attempts[ActionKind.START]
    if not known:
        return []
    attempts = known.find_due(scene.now.steady, choice.has_room)
    turns = find_retries(scene, (attempt for attempt in attempts if not attempt.engine_died))
    return list(islice((turn for turn in turns if scene.may_start(turn[1])), most))


def _describe_start(scene: Scene, ahead: int, job: Job, attempt: Attempt | None) -> Start:
    """Return the start of a job after ``ahead`` others of the same plan."""
    used, limit = scene.used + ahead, scene.policy.max_concurrent
    slot = f"no limit ({used} used)" if limit is None else f"slot free ({used} of {limit} used)"
    number = count_attempt(attempt)
    cause = slot if attempt is None else f"{slot}, attempt {number}"
    is_retry = attempt is not None or job.likeness in scene.doubted
    return Start(job.uid, job.id, cause, number, is_retry, job.spec.wishes.queue)


def _find_wake(index: JobIndex, ledger: Ledger, now: Moment) -> float | None:
    """Return in how many seconds time alone changes the plan."""
    moments = [
        *(failed.find_next_due(now.steady) for failed in ledger.attempts.values() if failed),
        *(start.since + OVERDUE for start in ledger.in_flight[ActionKind.START].values()),
        *find_next_ending(index, now),
    ]
    delays = [moment - now.steady for moment in moments if moment is not None]
    return min((delay for delay in delays if delay > 0), default=None)
