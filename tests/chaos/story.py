"""A history told per job, per container and per fault: what the checker judges.

Entries it reads (times are nanoseconds since the epoch):

    rules     limit, keep, call_timeout, converge     what holds in this run (seconds)
              engine                                  the engine's major version
    order     name, task, retries, starts             a job a client wants; starts: must or never
    reply     name, sent, status, uid                 the API's answer to a POST; 0: none came
    answer    name, sent, status, phase, reason       the API's answer to a GET
    fault     number, what, moment                    begin and end of a fault
    spawn     process, id                             a process is about to be started
    exit      process, code                           an end of a process nobody ordered
    complaint process, text                           an error or a traceback in its log
    lost      id, name                                a process says: removed before it ran
    scrape    id, lifetime, moment, sent, listed, counts   what the API has counted of jobs
    event     id, name, action, code                  from the engine; at is the engine's time
    look      sent, rows [id, name, state]            a full list of the namespace
    inspect   id, status, started, finished, ...      one container in full
    note      name, short, mark                       a job's own line: start or stop
    call      act, id, sent, status, forced           a start, stop or removal; 0: no reply
    look-for-mark id                                  the look for a cancel before a start
    cancel    id, name, sent, status, grace           the API's answer to a DELETE; 0: none came
    wish      name, queue, run_for, start_by          what a job asks of the controller (seconds)
    marks     left                                    marks that are there when all is done
    stranger  id                                      a removal by someone else
    foreign   id, moment, status, started             a container that is not ours: before, after
    explained name, text                              why a job waits, as the product says it
    cure      id, name, status                        it was removed and posted again, as it says
    ghost     id, name                                a job shown running without a process
    drained   complete, left                          whether all work was done in the end
    starved   process, since, seconds                 it was ready, and no processor was free
    asked     number, asked, name                     a wait of some kind begins (of --waits)
    wait      number, asked, ref, seconds, sent,      one try of it, with the status, the job that
              status, uid, phase, code, error, ...    was shown, the error's reason; 0: cut off
    lag       seconds                                 the clients themselves stood still
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from tests.chaos.history import Entry

SECOND = 1_000_000_000
_REFUSAL = 400
ENGINE_RESTARTS = frozenset({"kill-engine", "restart-engine"})
RUNNING = frozenset({"running", "paused", "restarting"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds in this run; seconds. ``limit`` is max-concurrent, ``engine`` a major version."""

    limit: int
    keep: float
    call_timeout: float
    converge: float
    engine: int


@dataclass(frozen=True, slots=True)
class Order:
    """A job that a client wants."""

    name: str
    task: str
    retries: int
    must_start: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault; ``end`` equals ``begin`` for one that takes no time."""

    number: int
    what: str
    begin: int
    end: int

    @property
    def restarts_engine(self) -> bool:
        """Tell whether running jobs may end, or be run again by the engine."""
        return self.what in ENGINE_RESTARTS


@dataclass(slots=True)
class Life:
    """One container as all sources together show it; ``gone`` is when it ceased to exist."""

    id: str
    name: str
    starts: list[int] = field(default_factory=list)
    dies: list[int] = field(default_factory=list)
    details: list[Entry] = field(default_factory=list)
    notes: list[Entry] = field(default_factory=list)
    calls: list[Entry] = field(default_factory=list)
    states: list[tuple[int, str]] = field(default_factory=list)
    seen: int | None = None
    gone: int | None = None
    destroyed: bool = False
    by_stranger: bool = False

    @property
    def started(self) -> int | None:
        """When it first ran, as the engine tells, or else (to 10 ms) as it noted itself."""
        inspected = [int(entry["started"]) for entry in self.details if entry.get("started")]
        noted = [entry.at for entry in self.notes]
        return min([*self.starts, *inspected] or noted, default=None)

    @property
    def finished(self) -> int | None:
        """When it last ended, at the earliest; ``None`` while it runs or has not run.

        Only an inspect tells exactly: a die event can come late, after a freeze for instance.
        Otherwise the end came after what the job noted last, or else after its start. What was
        removed without force had ended: the engine refuses to remove what runs.
        """
        final = [entry for entry in self.details if entry["status"] in {"exited", "dead"}]
        if final and final[-1].get("finished"):
            return int(final[-1]["finished"])
        has_died = bool(self.dies) and self.dies[-1] >= max(self.starts, default=0)
        is_seen = bool(self.states) and self.states[-1][1] in {"exited", "dead", "removing"}
        is_removed = self.gone is not None and any(
            call["act"] == "remove" and call["status"] in {0, 204} and not call["forced"]
            for call in self.calls
        )
        if has_died or is_seen or (is_removed and self.started is not None):
            return max((entry.at for entry in self.notes), default=self.started)
        return None

    @property
    def runs(self) -> int:
        """How often it ran, as it noted itself; the engine's events where it cannot note."""
        noted = len([entry for entry in self.notes if entry["mark"] == "start"])
        return max(noted, len(self.starts))

    def was_refused(self, until: int) -> bool:
        """Tell whether the engine had refused to start it by then: it waits for a next attempt."""
        return any(
            call["act"] == "start" and call["status"] >= _REFUSAL and call.at <= until
            for call in self.calls
        )

    @property
    def ambiguous(self) -> list[Entry]:
        """Start calls whose outcome their caller never learned."""
        return [call for call in self.calls if call["act"] == "start" and not call["status"]]


@dataclass(frozen=True, slots=True)
class Tale:
    """A whole run, on whatever engine."""

    entries: list[Entry]
    orders: Mapping[str, Order]
    faults: list[Fault]

    def of_kind(self, kind: str) -> list[Entry]:
        """Return the entries of one kind in order of time."""
        return [entry for entry in self.entries if entry.kind == kind]


@dataclass(frozen=True, slots=True)
class Story(Tale):
    """A run on one engine."""

    rules: Rules
    lives: Mapping[str, Life]

    def lives_of(self, name: str) -> list[Life]:
        """Return the containers that had this name."""
        return [life for life in self.lives.values() if life.name == name]

    def had_engine_restart(self, since: int, until: int) -> bool:
        """Tell whether the engine was restarted in a span of time."""
        return any(
            fault.restarts_engine and fault.begin <= until and fault.end >= since
            for fault in self.faults
        )


def tell(entries: Iterable[Entry]) -> Story:
    """Read a history into a story."""
    entries = sorted(entries, key=lambda entry: entry.at)
    rules = next(entry for entry in entries if entry.kind == "rules")
    return Story(
        rules=Rules(**{field.name: rules[field.name] for field in fields(Rules)}),
        entries=entries,
        orders=tell_orders(entries),
        lives=_tell_lives(entries),
        faults=tell_faults(entries),
    )


def tell_orders(entries: Iterable[Entry]) -> dict[str, Order]:
    """Return the jobs that clients want, by their names."""
    return {
        entry["name"]: Order(
            entry["name"], entry["task"], entry["retries"], entry["starts"] == "must"
        )
        for entry in entries
        if entry.kind == "order"
    }


def tell_faults(entries: Iterable[Entry]) -> list[Fault]:
    """Return the faults, each with its begin and its end."""
    begun: dict[int, Entry] = {}
    ended: dict[int, int] = {}
    for entry in entries:
        if entry.kind == "fault":
            if entry["moment"] == "begin":
                begun[entry["number"]] = entry
            else:
                ended[entry["number"]] = entry.at
    return [
        Fault(number, entry["what"], entry.at, ended.get(number, entry.at))
        for number, entry in begun.items()
    ]


def _tell_lives(entries: list[Entry]) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    notes: dict[str, list[Entry]] = defaultdict(list)
    calls: dict[str, list[Entry]] = defaultdict(list)
    strangers = {entry["id"] for entry in entries if entry.kind == "stranger"}
    for entry in entries:
        if entry.kind == "note":
            notes[entry["short"]].append(entry)
        elif entry.kind == "look":
            _take_look(lives, entry)
        elif entry.kind == "call":
            calls[entry["id"]].append(entry)
        elif entry.kind in {"event", "inspect"}:
            _take_entry(lives, entry)
    for life in lives.values():
        life.notes, life.calls = notes[life.id[:12]], calls[life.id]
        life.by_stranger = life.id in strangers
    return lives


def _take_entry(lives: dict[str, Life], entry: Entry) -> None:
    life = lives.setdefault(entry["id"], Life(entry["id"], entry["name"]))
    life.seen = life.seen or entry.at
    match entry.kind:
        case "inspect":
            life.details.append(entry)
        case _ if entry["action"] == "start":
            life.starts.append(entry.at)
        case _ if entry["action"] == "die":
            life.dies.append(entry.at)
        case _ if entry["action"] == "destroy":
            life.gone, life.destroyed = entry.at, True


def _take_look(lives: dict[str, Life], entry: Entry) -> None:
    rows = {row[0]: row for row in entry["rows"]}
    for container_id, name, state in rows.values():
        life = lives.setdefault(container_id, Life(container_id, name))
        life.seen = life.seen or entry.at
        life.states.append((entry["sent"], state))
    for life in lives.values():
        if life.id not in rows and life.seen and life.gone is None and life.seen < entry["sent"]:
            life.gone = entry["sent"]
