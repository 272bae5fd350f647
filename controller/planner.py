"""Decides what to start, what to remove and what to leave: a pure function over what is known."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from api.informer.merge import Observed
from api.v1.job import Status, format_time
from controller.job_index import JobIndex
from controller.ledger import Attempt, Ledger
from controller.plan import Plan, Remove, Start, Wait
from controller.policy import OVERDUE, Moment, Policy

_SECOND: Final = 1_000_000_000

_Place = tuple[int, str]
_Turn = tuple[_Place, Observed, Attempt | None]


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that a plan is made of; ``used`` counts the slots held."""

    index: JobIndex
    policy: Policy
    ledger: Ledger
    now: Moment
    used: int


def plan(index: JobIndex, policy: Policy, ledger: Ledger, now: Moment, *, explain: int = 0) -> Plan:
    """Return what to do at ``now``, the oldest jobs first; ``explain`` caps the waits listed.

    A job's place in the queue is the later of its creation and the time its next attempt is due,
    so that one that cannot start is passed by those created while it backs off. While others
    wait, only one start in flight is a retry, and no retry follows another: a start that fails
    costs the engine as much as one that succeeds. The cost of a plan grows with what is to be
    done, not with the number of jobs.
    """
    scene = _Scene(index, policy, ledger, now, count_used(index, ledger))
    starts = _plan_starts(scene)
    waits = _explain_waits(scene, starts, explain) if explain else ()
    return Plan(
        starts=starts,
        removals=_plan_removals(scene),
        waits=waits,
        wake_in=_find_wake(scene),
        unlisted=index.pending - len(starts) - len(waits) if explain else 0,
    )


def count_used(index: JobIndex, ledger: Ledger) -> int:
    """Return how many slots are held: by active jobs and by starts in flight."""
    return len(index.active) + sum(1 for key in ledger.starting if key not in index.active)


def _plan_starts(scene: _Scene) -> tuple[Start, ...]:
    room = _count_room(scene)
    if room <= 0:
        return ()
    fresh = list(islice(_find_untried(scene), room))
    retries = list(islice(_find_due(scene), room))
    flying = scene.ledger.starting.values()
    retrying = scene.ledger.has_retried or any(start.is_retry for start in flying)
    chosen = _choose(fresh, retries, room, retrying=retrying)
    return tuple(
        Start(job.id, job.name, *_describe_start(scene, position, attempt))
        for position, (_, job, attempt) in enumerate(chosen)
    )


def _count_room(scene: _Scene) -> int:
    """Return how many starts may be sent now: as the limit and the engine's pace allow.

    A start that hangs holds its slot, but not the pace of the others for long.
    """
    most, flying = scene.policy.parallel_starts, scene.ledger.starting.values()
    prompt = sum(1 for start in flying if scene.now.steady < start.since + OVERDUE)
    pace = min(most - prompt, 2 * most - len(flying))
    limit = scene.policy.max_concurrent
    return pace if limit is None else min(pace, limit - scene.used)


def _choose(fresh: list[_Turn], retries: list[_Turn], room: int, *, retrying: bool) -> list[_Turn]:
    """Choose by place; a second retry only gets what the untried leave over."""
    allowed = retries[: 0 if retrying else 1]
    chosen = list(islice(heapq.merge(fresh, allowed, key=_get_place), room))
    if len(fresh) == room:
        return chosen
    others = [turn for turn in retries if turn not in chosen]
    return chosen + others[: room - len(chosen)]


def _get_place(turn: _Turn) -> _Place:
    return turn[0]


def _find_untried(scene: _Scene) -> Iterator[_Turn]:
    for job in scene.index.untried:
        if job.id not in scene.ledger.starting and job.id not in scene.ledger.unresponsive:
            yield (job.order, job.id), job, None


def _find_due(scene: _Scene) -> Iterator[_Turn]:
    for turn in _find_retries(scene):
        job, attempt = turn[1:]
        if attempt is None or attempt.due > scene.now.steady:
            return
        if job.id not in scene.ledger.starting and job.id not in scene.ledger.unresponsive:
            yield turn


def _find_retries(scene: _Scene) -> Iterator[_Turn]:
    for attempt in scene.ledger.starts:
        job = scene.index.jobs.get(attempt.id)
        if job is not None and job.is_pending:
            place = max(job.order, scene.now.translate(attempt.due))
            yield (place, attempt.id), job, attempt


def _plan_removals(scene: _Scene) -> tuple[Remove, ...]:
    keep, ledger, now = scene.policy.keep_exited_for, scene.ledger, scene.now
    if keep is None:
        return ()
    room = scene.policy.parallel_removals - len(ledger.removing)
    removals: list[Remove] = []
    for end, job in scene.index.finished:
        # A time in the future (a clock was set back) defers, too.
        if len(removals) >= room or now.engine - end < keep:
            break
        if job.id in ledger.removing or job.id in ledger.unresponsive:
            continue
        failed = ledger.removals.get(job.id)
        if failed is not None and failed.due > now.steady:
            continue
        word = "dead" if job.status is Status.DEAD else "exited"
        age = (now.engine - end) // _SECOND
        cause = f"{word} {age}s ago, keep-exited-for {keep // _SECOND}s"
        removals.append(Remove(job.id, job.name, end, cause))
    return tuple(removals)


def _find_wake(scene: _Scene) -> float | None:
    """Return in how many seconds time alone changes the plan."""
    keep, ledger, now = scene.policy.keep_exited_for, scene.ledger, scene.now
    moments = [
        ledger.starts.find_next_due(now.steady),
        ledger.removals.find_next_due(now.steady),
        *(start.since + OVERDUE for start in ledger.starting.values()),
    ]
    delays = [moment - now.steady for moment in moments if moment is not None]
    if keep is not None:
        end = scene.index.find_next_end(now.engine - keep)
        if end is not None:
            delays.append((end + keep - now.engine) / _SECOND)
    return min((delay for delay in delays if delay > 0), default=None)


def _describe_start(scene: _Scene, ahead: int, attempt: Attempt | None) -> tuple[int, str]:
    """Return the number of the attempt and the cause of the start after ``ahead`` others."""
    used, limit = scene.used + ahead, scene.policy.max_concurrent
    slot = f"no limit ({used} used)" if limit is None else f"slot free ({used} of {limit} used)"
    if attempt is None:
        return 1, slot
    return attempt.number + 1, f"{slot}, attempt {attempt.number + 1}"


def _explain_waits(scene: _Scene, starts: tuple[Start, ...], most: int) -> tuple[Wait, ...]:
    fresh: Iterator[_Turn] = (((job.order, job.id), job, None) for job in scene.index.untried)
    queue = heapq.merge(fresh, _find_retries(scene), key=_get_place)
    starting = {start.id for start in starts}
    waiting = ((job, attempt) for _, job, attempt in queue if job.id not in starting)
    return tuple(
        Wait(job.id, job.name, _explain(scene, len(starts), ahead, job, attempt))
        for ahead, (job, attempt) in enumerate(islice(waiting, most))
    )


def _explain(
    scene: _Scene, starting: int, ahead: int, job: Observed, attempt: Attempt | None
) -> str:
    limit, used, flying = scene.policy.max_concurrent, scene.used + starting, scene.ledger.starting
    if job.id in flying:
        return "its start is under way"
    if job.id in scene.ledger.unresponsive:
        return "the engine does not answer for it"
    if attempt is not None and attempt.due > scene.now.steady:
        clock = (format_time(scene.now.translate(attempt.due)) or "")[11:19]
        number = attempt.number + 1
        return f"StartError, next attempt at {clock} (attempt {number}): {attempt.message}"
    retry = "" if attempt is None else f"StartError, attempt {attempt.number + 1} is due: "
    if limit == 0:
        return f"{retry}max-concurrent is 0: nothing is started"
    if limit is not None and used >= limit:
        return f"{retry}no free slot ({used} of {limit} used), {ahead} ahead of it"
    under_way = starting + len(flying)
    return f"{retry}its turn comes ({under_way} starts under way), {ahead} ahead of it"
