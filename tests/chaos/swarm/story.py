"""A history of a swarm told per run and per service: what the checker judges.

Entries it reads beside those of one engine (see :mod:`tests.chaos.story`):

    rules     limit, keep, converge                   what holds in this run (seconds)
    node      name, tag                               a node, and how its jobs note it
    away      node, how, moment                       begin and end of a node's absence: kill, cut
                                                      (its link), stop, freeze, drain
    event     id, name, action, node                  a container's start or end on a node
    note      name, short, mark, node                 a job's own line: start or stop; node: a tag
    look      sent, rows [id, name, state]            all services: created, ordered, exited
    shown     process, name, uid, phase, reason, ...  what an API shows of a job, where it is new
    shares    process, sent, active, queued           how many it shows to hold a slot, to wait
    leader    node                                    who leads; none: nobody
    ready     after, seconds                          all nodes are ready again after a fault
    order     ..., rerun                              whether the job asks to run again
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from tests.chaos.history import Entry
from tests.chaos.story import Tale, tell_faults, tell_orders

FOREVER: Final = 2**63
OVER: Final = frozenset({"Succeeded", "Failed", "Cancelled"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds in this run; seconds. ``limit`` is max-concurrent."""

    limit: int
    keep: float
    converge: float


@dataclass(frozen=True, slots=True)
class Away:
    """A span in which a node was away."""

    node: str
    how: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, in one container; ``end`` is ``FOREVER`` where nothing tells of it."""

    name: str
    container: str
    node: str
    begin: int
    end: int
    noted_end: bool

    @property
    def subjects(self) -> tuple[str, str]:
        """What a breach names."""
        return self.name, self.container


@dataclass(slots=True)
class Record:
    """One service: when it was first and last seen, and first seen to be missing."""

    uid: str
    name: str
    seen: int
    last: int
    gone: int | None = None
    shown: list[Entry] = field(default_factory=list)

    @property
    def final(self) -> Entry | None:
        """What was shown of its end, first."""
        return next((entry for entry in self.shown if entry["phase"] in OVER), None)


@dataclass(frozen=True, slots=True)
class SwarmStory(Tale):
    """A run on a swarm; ``runs`` in the order of their begins."""

    rules: Rules
    runs: list[Run]
    records: Mapping[str, Record]
    away: list[Away]
    reruns: frozenset[str]

    def runs_of(self, name: str) -> list[Run]:
        """Return the runs of a job, the oldest first."""
        return [run for run in self.runs if run.name == name]

    def records_of(self, name: str) -> list[Record]:
        """Return the services that had this name."""
        return [record for record in self.records.values() if record.name == name]

    def is_any_cut(self, since: int, until: int) -> bool:
        """Tell whether any node was cut off at some time between (ns)."""
        return any(self.find_absence(away.node, since, until, "cut") for away in self.away)

    def find_absence(self, node: str, since: int, until: int, *hows: str) -> Away | None:
        """Return a time of absence of a node that touches a span, of any kind or these."""
        return next(
            (
                away
                for away in self.away
                if away.node == node
                and away.begin <= until
                and away.end >= since
                and (not hows or away.how in hows)
            ),
            None,
        )


def tell(entries: Iterable[Entry]) -> SwarmStory:
    """Read a history into a story."""
    entries = sorted(entries, key=lambda entry: entry.at)
    rules = next(entry for entry in entries if entry.kind == "rules")
    away = _tell_away(entries)
    return SwarmStory(
        entries=entries,
        orders=tell_orders(entries),
        faults=tell_faults(entries),
        rules=Rules(**{field.name: rules[field.name] for field in fields(Rules)}),
        runs=_tell_runs(entries, away),
        records=_tell_records(entries),
        away=away,
        reruns=frozenset(e["name"] for e in entries if e.kind == "order" and e["rerun"]),
    )


def _tell_away(entries: Iterable[Entry]) -> list[Away]:
    open_: dict[str, Entry] = {}
    found = []
    for entry in entries:
        if entry.kind == "away" and entry["moment"] == "begin":
            open_[entry["node"]] = entry
        elif entry.kind == "away":
            begin = open_.pop(entry["node"])
            found.append(Away(entry["node"], entry["how"], begin.at, entry.at))
    found += [Away(node, entry["how"], entry.at, FOREVER) for node, entry in open_.items()]
    return sorted(found, key=lambda away: away.begin)


def _tell_runs(entries: Iterable[Entry], away: list[Away]) -> list[Run]:
    """Tell of the containers that noted a start; engines' events say more exactly when."""
    tags: dict[str, str] = {}
    notes: dict[str, list[Entry]] = defaultdict(list)
    events: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == "node":
            tags[entry["tag"]] = entry["name"]
        elif entry.kind == "note":
            notes[entry["short"]].append(entry)
        elif entry.kind == "event":
            events[entry["id"][:12]].append(entry)
    runs = []
    for short, lines in notes.items():
        starts = [line for line in lines if line["mark"] == "start"]
        if not starts:
            continue
        node = tags.get(starts[0]["node"], "")
        told = [event.at for event in events[short] if event["action"] == "start"]
        # it runs before the engine says so, or notes so
        begin = min([*told, starts[0].at])
        stops = [line.at for line in lines if line["mark"] == "stop"]
        ends = [event.at for event in events[short] if event["action"] == "die"]
        lost = [a.begin for a in away if (a.node, a.how) == (node, "kill") and a.end > begin]
        gone = [a.end for a in away if (a.node, a.how) == (node, "stop") and a.end > begin]
        end = min(ends, default=None) or min([*stops[:1], *lost, *gone], default=FOREVER)
        name = str(starts[0]["name"])
        runs.append(Run(name, short, node, begin, max(end, begin), bool(stops)))
    return sorted(runs, key=lambda run: run.begin)


def _tell_records(entries: Iterable[Entry]) -> dict[str, Record]:
    records: dict[str, Record] = {}
    stale = {look.at for look in _find_stale_looks(entries)}
    for entry in entries:
        if entry.kind == "look" and entry.at not in stale:
            rows = {uid: name for uid, name, _ in entry["rows"]}
            for uid, name in rows.items():
                records.setdefault(uid, Record(uid, name, entry.at, 0)).last = entry["sent"]
            for record in records.values():
                # a manager that was cut off may not know of it yet
                if record.uid in rows:
                    record.gone = None
                elif record.gone is None:
                    record.gone = entry.at
        elif entry.kind == "shown" and entry["uid"] in records:
            records[entry["uid"]].shown.append(entry)
    return records


def _find_stale_looks(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield each look that alone shows again what those before and after it lack.

    Its manager has restarted a moment ago, and has not worked off its log yet.
    """
    looks = [entry for entry in entries if entry.kind == "look"]
    ever: set[str] = set()
    for before, look, after in zip(looks, looks[1:], looks[2:], strict=False):
        ever |= _read_uids(before)
        if (_read_uids(look) & ever) - _read_uids(before) - _read_uids(after):
            yield look


def _read_uids(look: Entry) -> set[str]:
    return {uid for uid, _, _ in look["rows"]}
