"""How and when jobs ended, and from when on that could be known: pure functions over a story."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from tests.chaos.history import Entry
from tests.chaos.story import SECOND, Life, Story

AT_ONCE: Final = SECOND
"""So long after an end was to be known may an answer come."""
_QUIRK: Final = SECOND // 20
"""FinishedAt of a short run can lie before its StartedAt by 33 ms."""
_SETTLING: Final = SECOND
"""So long before its ``die`` event may the engine show a job as over."""
_SLOW: Final = 3 * SECOND // 2
"""Between two looks of the observer, half a second apart: the engine took a second for one."""
_STOPPED: Final = frozenset({128, 130, 137, 143, 255})
"""What the engine shows of jobs that end with it."""
_FINAL: Final = frozenset({"exited", "dead", "removing"})
_FORGOTTEN: Final = frozenset({0})
"""What the engine shows of a job that it was about to restart when it was stopped itself."""

Away = tuple[int, int]
"""Begin and end of a time in which the engine cannot be reached; nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a run, told by the engine at ``at`` and true since ``since`` at the earliest.

    ``codes`` are the exit codes that it may have had, several if nobody saw it. ``is_final``: the
    job may be over with it; others are followed by another run of its restart policy.
    """

    at: int
    since: int
    codes: frozenset[int]
    is_final: bool = True


class Endings:
    """The ends of all jobs of a story, and what kept the API from knowing them."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._died: dict[str, list[Entry]] = {}
        for entry in story.of_kind("event"):
            if entry["action"] == "die":
                self._died.setdefault(entry["id"], []).append(entry)
        self._codes = {entry["name"]: entry.get("code") for entry in story.of_kind("order")}
        self._ends: dict[str, list[End]] = {}
        self._lags = [
            (entry.at - round(entry["seconds"] * SECOND), entry.at, entry["seconds"])
            for entry in story.of_kind("lag")
        ] + [
            (entry["since"], entry.at, entry["seconds"])
            for entry in story.of_kind("starved")
            if entry["process"] == "api"
        ]
        self._subscribed = [
            entry.at for entry in story.of_kind("subscription") if entry["process"] == "api"
        ]
        self.spawned = [entry.at for entry in story.of_kind("spawn") if entry["process"] == "api"]
        """When the API was started, each time."""

    @cached_property
    def aways(self) -> list[Away]:
        """The times in which the engine could not be reached, or was slow for the observer."""
        looks = pairwise(entry.at for entry in self._story.of_kind("look"))
        slow = [(before, after) for before, after in looks if after - before > _SLOW]
        faults = [(f.begin, f.end) for f in self._story.faults if f.restarts_engine]
        return sorted([*slow, *faults])

    def find_ends(self, life: Life) -> list[End]:
        """Return the ends of a job's runs in their order, the last at the end; none of one
        that has not ended."""
        if life.id not in self._ends:
            self._ends[life.id] = list(self._find_ends(life))
        return self._ends[life.id]

    def _find_ends(self, life: Life) -> Iterable[End]:
        if life.started is None:
            return
        inspected = [e for e in life.details if e["status"] in _FINAL and e.get("finished")]
        ends: list[End] = []
        for died in self._died.get(life.id, ()):
            # a start that fails may be told as an end
            if died.at < life.started - _QUIRK:
                continue
            before = ends[-1].at if ends else 0
            shown = [e for e in inspected if before < e["finished"] <= died.at]
            since = max([e["finished"] for e in shown], default=died.at - _SETTLING)
            codes = {e["exit_code"] for e in shown}
            codes |= {int(died["code"])} if died.get("code") else self._guess(life)
            ends.append(End(died.at, since, frozenset(codes)))
        latest = max([end.at for end in ends], default=life.started)
        for entry in inspected[-1:]:
            if not ends or entry["finished"] > latest:
                finished = max(entry["finished"], life.started)
                ends.append(End(finished, finished, frozenset({entry["exit_code"]})))
        begun = max(life.starts, default=life.started)
        if life.gone is not None and not (ends and ends[-1].at >= begun - _QUIRK):
            ends.append(End(life.gone, begun, self._guess(life)))
        elif ends and ends[-1].at < begun - _QUIRK:
            # it runs once more, and nothing tells of an end of that
            ends.append(End(2**63, 2**63, frozenset()))
        yield from self._mark(life, ends)

    def _mark(self, life: Life, ends: list[End]) -> Iterable[End]:
        """Mark the ends after which the restart policy alone had the job run once more.

        An engine that is stopped between two runs may run it later, or show it exited with 0.
        """
        order = self._story.orders.get(life.name)
        has_policy = order is not None and order.retries > 0
        for end, following in pairwise(ends):
            was_stopped = self._story.had_engine_restart(end.since, following.at)
            yield End(end.at, end.since, end.codes, is_final=was_stopped or not has_policy)
        for end in ends[-1:] if ends and ends[-1].codes else ():
            until = life.gone if life.gone is not None else self._story.entries[-1].at
            was_stopped = has_policy and self._story.had_engine_restart(end.since, until)
            others = self._guess(life) | _FORGOTTEN if was_stopped else frozenset()
            yield End(end.at, end.since, end.codes | others)

    def _guess(self, life: Life) -> frozenset[int]:
        """Return the codes that a run may have had whose end nobody has seen."""
        planned = self._codes.get(life.name)
        own = frozenset() if planned is None else frozenset({int(planned)})
        until = life.gone if life.gone is not None else self._story.entries[-1].at
        return own | _STOPPED if self._story.had_engine_restart(life.started or 0, until) else own

    def find_known(self, moment: int) -> int:
        """Return from when on can be known what is true since ``moment``.

        The engine must have been within reach for as long as an answer may take.
        """
        for begin, over in self.aways:
            if begin < moment + AT_ONCE and over > moment:
                moment = over
        return moment

    def is_blind(self, moment: int, lifetime: int) -> bool:
        """Tell whether the API that was started at ``lifetime`` need not have seen what was then.

        It had no subscription for a second, or the engine has been away since it had.
        """
        stood = [at for at in self._subscribed if lifetime <= at <= moment - AT_ONCE]
        return not stood or self.was_away(stood[-1], moment)

    def measure_lag(self, since: int, until: int) -> int:
        """Return how long within a span the clients stood still, or no processor ran the API."""
        lag = 0.0
        for begin, end, seconds in self._lags:
            shared = min(end, until) - max(begin, since)
            if shared > 0:
                lag += seconds * SECOND * shared / (end - begin)
        return min(round(lag), max(0, until - since))

    def was_away(self, since: int, until: int) -> bool:
        """Tell whether the engine could not be reached for some time of a span."""
        return any(begin <= until and over >= since for begin, over in self.aways)

    def find_lifetime(self, moment: int) -> int:
        """Return when the API that ran at ``moment`` was started."""
        return max((at for at in self.spawned if at <= moment), default=0)


def find_last_sight(life: Life) -> int:
    """Return when a job was surely there for the last time."""
    if life.destroyed and life.gone is not None:
        return life.gone
    shown = [sent for sent, _ in life.states]
    return max([*shown, *life.starts, *life.dies, life.seen or 0])


def group_lives(story: Story) -> Mapping[str, list[Life]]:
    """Return the jobs that a name or an id may mean."""
    found: dict[str, list[Life]] = {}
    for life in story.lives.values():
        found.setdefault(life.name, []).append(life)
        found.setdefault(life.id, []).append(life)
    return found
