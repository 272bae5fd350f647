"""What the engine's own history says of each job: when it was made, ran, ended and went.

Each happening has two ends: before ``begin`` it cannot have been seen by anybody, and from ``end``
on the engine shows it in every list. Between the two one may know of it or not.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.chaos.blindness import Blind, find_blind, find_untold, is_hidden
from tests.chaos.history import Entry
from tests.chaos.story import ENGINE_RESTARTS, RUNNING, Life, Story

_ENDED = frozenset({"exited", "dead"})
_KILLED = frozenset({"0", "137", "143", "255"})
"""What an engine that was stopped shows of jobs it runs again; 0 of one between two runs."""
UNKNOWN = "unknown"
Hides = Callable[[Blind], bool]


@dataclass(frozen=True, slots=True)
class Span:
    """Something happened: not seen before ``begin``, shown by the engine from ``end`` on."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Account:
    """One job. ``codes`` are what its end may be told with, several where the engine says several.

    ``runs`` is the largest number of starts; more than one only for a job that the engine itself
    has run again (``again``): of such a job the history gives bounds, not numbers.
    ``hidden``: it came and went while the API could see nothing.
    """

    id: str
    name: str
    created: Span
    started: Span | None
    died: Span | None
    gone: Span | None
    codes: frozenset[str]
    runs: int
    again: bool
    hidden: bool = False


@dataclass(slots=True)
class _Looks:
    """What lists have shown of one container; each time is that of the answer."""

    first: int | None = None
    last_sent: int = 0
    started: int | None = None
    died: int | None = None
    missing: int | None = None

    def take(self, look: Entry, state: str) -> None:
        self.first = self.first or look.at
        self.last_sent = look["sent"]
        if state in RUNNING | _ENDED:
            self.started = self.started or look.at
        if state in RUNNING:
            self.died = None
        elif state in _ENDED:
            self.died = self.died or look.at


@dataclass(slots=True)
class _Facts:
    """What else the engine has said of one container."""

    created: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    codes: list[tuple[int, str]] = field(default_factory=list)
    final: list[str] = field(default_factory=list)
    restarts: int = 0

    def take(self, entry: Entry) -> None:
        if entry.kind == "inspect":
            self._take_inspect(entry)
        elif entry["action"] == "create":
            self.created.append(entry.at)
        elif entry["action"] == "die" and entry["code"] is not None:
            self.codes.append((entry.at, str(entry["code"])))

    def _take_inspect(self, entry: Entry) -> None:
        if entry.get("created"):
            self.created.append(entry["created"])
        if entry.get("started"):
            self.begun.append(entry["started"])
            self.restarts = max(self.restarts, entry.get("restart_count") or 0)
        if entry["status"] in _ENDED and entry.get("started"):
            self.ended.append(entry.get("finished") or 0)
            self.final.append(str(entry.get("exit_code")))


def draw_accounts(story: Story) -> list[Account]:
    """Return the account of every container that is a job, as engine and wire show it."""
    looks: dict[str, _Looks] = defaultdict(_Looks)
    facts: dict[str, _Facts] = defaultdict(_Facts)
    for entry in story.entries:
        if entry.kind == "look":
            _take_look(looks, entry)
        elif entry.kind in {"event", "inspect"}:
            facts[entry["id"]].take(entry)
    hides = partial(is_hidden, find_blind(story), find_untold(story))
    foreign = {entry["id"] for entry in story.of_kind("foreign")}
    return [
        _draw(story, life, looks[life.id], facts[life.id], hides)
        for life in story.lives.values()
        if life.id not in foreign
    ]


def _take_look(looks: dict[str, _Looks], entry: Entry) -> None:
    shown = {container_id: state for container_id, _, state in entry["rows"]}
    for container_id, state in shown.items():
        looks[container_id].take(entry, state)
    for container_id, seen in looks.items():
        if container_id not in shown and seen.missing is None:
            seen.missing = entry.at


def _draw(story: Story, life: Life, looks: _Looks, facts: _Facts, hides: Hides) -> Account:
    gone = _find_gone(life, looks)
    last = gone.end if gone is not None else story.entries[-1].at
    begin = min(facts.created, default=0)
    order = story.orders.get(life.name)
    retries = order.retries if order is not None else 0
    again = bool(retries) or life.runs > 1 or len(set(facts.begun)) > 1 or facts.restarts > 0
    started = died = None
    if life.started is not None or looks.started is not None:
        # an inspect tells of the last run alone, so of several not when the first began or ended
        start = begin if again else min(facts.begun, default=begin)
        started = Span(start, looks.started or last)
        if looks.died is not None or gone is not None:
            # an engine that was killed shows when it came back, and may have told of the end before
            ends = [*facts.ended, *(at for at, _ in facts.codes if at >= start)]
            end = start if again else min(ends, default=start)
            died = Span(end or start, looks.died or last)
    boots = sum(
        fault.what in ENGINE_RESTARTS and fault.begin <= last and fault.end >= begin
        for fault in story.faults
    )
    codes = _find_codes(facts, started, has_forgotten=again or boots > 0)
    if again:
        codes |= {UNKNOWN} | (_KILLED if boots else frozenset())
    elif died is not None and gone is not None and hides((died.begin, gone.end)):
        # nobody could tell the API of an end that it could not look at
        codes |= {UNKNOWN}
    return Account(
        id=life.id,
        name=life.name,
        created=Span(begin, looks.first or last),
        started=started,
        died=died,
        gone=gone,
        codes=codes,
        runs=max(life.runs, facts.restarts + 1) + boots if again else 1,
        again=again,
        hidden=gone is not None and hides((begin, gone.end)),
    )


def _find_gone(life: Life, looks: _Looks) -> Span | None:
    if life.gone is None and looks.missing is None:
        return None
    told = life.gone if life.destroyed else looks.missing
    asked = min((call["sent"] for call in life.calls if call["act"] == "remove"), default=0)
    # who removes behind everyone's back is not on the wire
    begin = looks.last_sent if life.by_stranger else max(looks.last_sent, asked)
    end = told or life.gone or begin
    return Span(min(begin, end), end)


def _find_codes(facts: _Facts, started: Span | None, *, has_forgotten: bool) -> frozenset[str]:
    """Return what the end may be told with; a killed engine may forget what it has told."""
    if started is None:
        return frozenset()
    # a failed attempt at a start is told as an end too, and is none
    told = [code for at, code in facts.codes if at >= started.begin]
    return frozenset([*facts.final, *told] if has_forgotten else facts.final or told)
