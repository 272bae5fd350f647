"""Decides what to start, what to remove and what to leave: a pure function over what is known."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final

from api.v1.job import Job, Status
from api.v1.times import SECOND, format_time
from controller.job_index import JobIndex, Place, alternate, place
from controller.ledger import Attempt, InFlight, Ledger
from controller.plan import ActionKind, Plan, Remove, Start, Wait
from controller.policy import OVERDUE, Moment, Policy, find_end, find_expiry

_NOTHING: Final[frozenset[str]] = frozenset()
_FEW_RETRIES: Final = 2  # of several starts at once each takes longer, that of a sound job as well

_Turn = tuple[Place, Job, Attempt | None]


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that a plan is made of; ``used`` counts the slots held, ``starting`` starts in flight."""

    index: JobIndex
    policy: Policy
    ledger: Ledger
    now: Moment
    unresponsive: Collection[str]
    used: int
    starting: Mapping[str, InFlight]
    doubted: Mapping[tuple[str, ...], str]
    """Likenesses of jobs that no longer go ahead of others, and why."""

    def may_start(self, job: Job) -> bool:
        """Tell whether nothing but its place keeps a pending job from being started."""
        return job.uid not in self.starting and job.uid not in self.unresponsive


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
    alone. ``explain`` caps the waits listed. The cost of a plan grows with what is to be done,
    not with the number of jobs.
    """
    starting = ledger.in_flight[ActionKind.START]
    used = count_used(index, ledger)
    doubted = ledger.failures.find_doubts(index.alike)
    scene = _Scene(index, policy, ledger, now, unresponsive, used, starting, doubted)
    starts = _plan_starts(scene)
    waits = _explain_waits(scene, starts, explain) if explain else ()
    return Plan(
        actions=(*starts, *_plan_removals(scene)),
        waits=waits,
        wake_in=_find_wake(scene),
        unlisted=index.pending - len(starts) - len(waits) if explain else 0,
    )


def count_used(index: JobIndex, ledger: Ledger) -> int:
    """Return how many slots are held: by active jobs and by starts in flight."""
    starting = ledger.in_flight[ActionKind.START]
    return len(index.active) + sum(1 for uid in starting if uid not in index.active)


# Starts ---------------------------------------------------------------------------------------


def _plan_starts(scene: _Scene) -> tuple[Start, ...]:
    if not scene.index.pending:
        return ()
    room = _count_room(scene)
    if room <= 0:
        return ()
    untried = list(islice(_find_untried(scene), room))
    doubted, due = _find_doubted(scene, room), list(islice(_find_due(scene), room))
    pairs = zip_longest(*((doubted, due) if scene.ledger.retries % 3 else (due, doubted)))
    retrying = sum(start.is_retry for start in scene.starting.values())
    most = max(_FEW_RETRIES - retrying, 0) if scene.doubted else room
    retries = [turn for pair in pairs for turn in pair if turn is not None][:most]
    is_retrying = scene.ledger.has_retried or retrying > 0
    chosen = _choose(untried, retries, room, is_retrying=is_retrying)
    chosen = _set_apart(scene, chosen)
    return tuple(
        _describe_start(scene, position, job, attempt)
        for position, (_, job, attempt) in enumerate(chosen)
    )


def _count_room(scene: _Scene) -> int:
    """Return how many starts may be sent now: as the limit and the engine's pace allow.

    A start that hangs holds its slot, but not the pace of the others for long.
    """
    most, prompt = scene.policy.parallel_starts, _find_prompt(scene)
    if not prompt.isdisjoint(scene.ledger.attempts[ActionKind.START].deaths):
        return 0
    pace = min(most - len(prompt), 2 * most - len(scene.starting))
    limit = scene.policy.max_concurrent
    return pace if limit is None else min(pace, limit - scene.used)


def _choose(
    untried: list[_Turn], retries: list[_Turn], room: int, *, is_retrying: bool
) -> list[_Turn]:
    """Choose by place; a second retry gets only what the untried leave over.

    A start that fails costs the engine as much as one that succeeds: while others wait, one start
    in flight at most is a retry, and no retry follows another.
    """
    allowed = retries[: 0 if is_retrying else 1]
    chosen = list(islice(heapq.merge(untried, allowed, key=_get_place), room))
    if len(untried) == room:
        return chosen
    others = [turn for turn in retries if turn not in chosen]
    return chosen + others[: room - len(chosen)]


def _set_apart(scene: _Scene, chosen: list[_Turn]) -> list[_Turn]:
    """Return ``chosen`` or, in its turn, a job alone during whose start the engine died before.

    If it ends the engine again, it takes no other start along, and if not, that shows. After a
    death one other job goes first.
    """
    attempts = scene.ledger.attempts[ActionKind.START].deaths.values()
    due = (attempt for attempt in attempts if attempt.due <= scene.now.steady)
    turns = (turn for turn in _find_retries(scene, due) if scene.may_start(turn[1]))
    suspect = min(turns, key=_get_place, default=None)
    if suspect is None or (chosen and chosen[0][0] < suspect[0]):
        return chosen
    if chosen and scene.ledger.has_engine_died:
        return chosen[:1]
    return [] if _find_prompt(scene) else [suspect]


def _find_prompt(scene: _Scene) -> set[str]:
    """Return the jobs whose starts are in flight and take no longer than they should."""
    now = scene.now.steady
    return {uid for uid, start in scene.starting.items() if now < start.since + OVERDUE}


def _get_place(turn: _Turn) -> Place:
    return turn[0]


def _find_untried(scene: _Scene) -> Iterator[_Turn]:
    jobs = scene.index.iterate_unlike(scene.doubted)
    return ((place(job), job, None) for job in jobs if scene.may_start(job))


def _find_doubted(scene: _Scene, most: int) -> list[_Turn]:
    """Return untried jobs that are doubted: of each likeness by turns, what never failed first.

    What ails a job is not known before its start: a sound one may stand behind any number of
    others. So of those alike that failed it is by turns the newest and the oldest; and of the
    unlike that did not, too.
    """
    alike, failures = scene.index.alike, scene.ledger.failures
    fresh = [likeness for likeness in scene.doubted if not failures.count(likeness)]
    fresh.sort(key=lambda likeness: place(alike[likeness][0]))
    failed = [likeness for likeness in scene.doubted if failures.count(likeness)]
    queues: list[Iterator[Job]] = [
        *(iter(alike[likeness]) for likeness in alternate(fresh, scene.ledger.retries + 1)),
        *(alternate(alike[likeness], failures.count(likeness)) for likeness in failed),
    ]
    picks = [
        (rank, position, job)
        for position, queue in enumerate(queues)
        for rank, job in enumerate(islice(filter(scene.may_start, queue), most))
    ]
    first = heapq.nsmallest(most, picks, key=lambda pick: pick[:2])
    return [(place(job), job, None) for _, _, job in first]


def _find_due(scene: _Scene) -> Iterator[_Turn]:
    for turn in _find_retries(scene, scene.ledger.attempts[ActionKind.START]):
        _, job, attempt = turn
        if attempt is None or attempt.due > scene.now.steady:
            return
        if scene.may_start(job) and not attempt.engine_died:
            yield turn


def _find_retries(scene: _Scene, attempts: Iterable[Attempt]) -> Iterator[_Turn]:
    for attempt in attempts:
        job = scene.index.jobs.get(attempt.uid)
        if job is not None and job.is_pending:
            due = None if attempt.keeps_place else scene.now.translate(attempt.due)
            yield place(job, due), job, attempt


def _describe_start(scene: _Scene, ahead: int, job: Job, attempt: Attempt | None) -> Start:
    """Return the start of a job after ``ahead`` others of the same plan."""
    used, limit = scene.used + ahead, scene.policy.max_concurrent
    slot = f"no limit ({used} used)" if limit is None else f"slot free ({used} of {limit} used)"
    number = _count_attempt(attempt)
    cause = slot if attempt is None else f"{slot}, attempt {number}"
    is_retry = attempt is not None or job.likeness in scene.doubted
    return Start(job.uid, job.id, cause, number, is_retry)


# Removals -------------------------------------------------------------------------------------


def _plan_removals(scene: _Scene) -> tuple[Remove, ...]:
    removing = scene.ledger.in_flight[ActionKind.REMOVE]
    attempts = scene.ledger.attempts[ActionKind.REMOVE]
    room = scene.policy.parallel_removals - len(removing)
    removals: list[Remove] = []
    for expiry, job in scene.index.expiring:
        # An end in the future (a clock was set back) defers, too.
        if len(removals) >= room or scene.now.steady < expiry:
            break
        failed = attempts.get(job.uid)
        is_due = failed is None or failed.due <= scene.now.steady
        if is_due and job.uid not in removing and job.uid not in scene.unresponsive:
            overdue = scene.now.steady - expiry
            removals.append(_describe_removal(overdue, scene.policy, job, failed))
    return tuple(removals)


def _describe_removal(overdue: float, policy: Policy, job: Job, failed: Attempt | None) -> Remove:
    end, expiry = find_end(job), find_expiry(job, policy)
    assert end is not None
    assert expiry is not None
    word = "dead" if job.status is Status.DEAD else "exited"
    keep = (expiry - end) / SECOND
    cause = f"{word} {int(keep + overdue)}s ago, keep-exited-for {int(keep)}s"
    return Remove(job.uid, job.id, cause, _count_attempt(failed), end, job.told)


def _count_attempt(failed: Attempt | None) -> int:
    return 1 if failed is None else failed.number + 1


# The next moment ------------------------------------------------------------------------------


def _find_wake(scene: _Scene) -> float | None:
    """Return in how many seconds time alone changes the plan."""
    now = scene.now
    moments = [
        *(attempts.find_next_due(now.steady) for attempts in scene.ledger.attempts.values()),
        *(start.since + OVERDUE for start in scene.starting.values()),
        scene.index.find_next_expiry(now.steady),
    ]
    delays = [moment - now.steady for moment in moments if moment is not None]
    return min((delay for delay in delays if delay > 0), default=None)


# Why jobs wait --------------------------------------------------------------------------------


def _explain_waits(scene: _Scene, starts: tuple[Start, ...], most: int) -> tuple[Wait, ...]:
    untried: Iterator[_Turn] = ((place(job), job, None) for job in scene.index.untried)
    retries = _find_retries(scene, scene.ledger.attempts[ActionKind.START])
    queue = heapq.merge(untried, sorted(retries, key=_get_place), key=_get_place)
    chosen = {start.uid for start in starts}
    waiting = ((job, attempt) for _, job, attempt in queue if job.uid not in chosen)
    return tuple(
        Wait(job.uid, job.id, _explain(scene, len(starts), ahead, job, attempt))
        for ahead, (job, attempt) in enumerate(islice(waiting, most))
    )


def _explain(scene: _Scene, starts: int, ahead: int, job: Job, attempt: Attempt | None) -> str:
    """Return why a job waits behind ``ahead`` others, while ``starts`` starts are being sent."""
    limit, used = scene.policy.max_concurrent, scene.used + starts
    if job.uid in scene.starting:
        return "its start is under way"
    if job.uid in scene.unresponsive:
        return "the engine does not answer for it"
    if attempt is not None and attempt.is_unmade:
        return "the engine is still creating it"
    if attempt is not None and attempt.due > scene.now.steady:
        clock = (format_time(scene.now.translate(attempt.due)) or "")[11:19]
        number = _count_attempt(attempt)
        return f"StartError, next attempt at {clock} (attempt {number}): {attempt.message}"
    retry = "" if attempt is None else f"StartError, attempt {_count_attempt(attempt)} is due: "
    if limit == 0:
        return f"{retry}max-concurrent is 0: nothing is started"
    if attempt is None and job.likeness in scene.doubted:
        return f"{scene.doubted[job.likeness]}: it is tried between others"
    if limit is not None and used >= limit:
        return f"{retry}no free slot ({used} of {limit} used), {ahead} ahead of it"
    under_way = starts + len(scene.starting)
    return f"{retry}its turn comes ({under_way} starts under way), {ahead} ahead of it"
