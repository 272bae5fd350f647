"""Judges the waits of a history, W1 to W5: pure functions, a breach for each violation.

W1  what an answer tells of an end is true, and told of no job that is not over
W2  an answer comes within a second of when the end can be known
W3  none comes later than its time, or never
W4  404 only of what is not there; of what this API knew and is collected, with its last state
W5  only an API that is killed cuts a wait off, only an engine that is away has it refused
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.chaos.checker import (
    Breach,
    check_accepted,
    check_convergence,
    check_exits,
    check_kept,
    check_limit,
    check_runs,
)
from tests.chaos.endings import AT_ONCE, End, Endings, find_last_sight, group_lives
from tests.chaos.history import Entry
from tests.chaos.story import SECOND, Life, Story

_OVER: Final = {"Succeeded", "Failed"}
_UNFINISHED: Final = {"Pending", "Running"}
_EARLY: Final = SECOND // 20
_TELLING: Final = SECOND // 2
"""Between a removal and its event, or a creation and its event."""
_AWAY: Final = {502, 503, 504}
_BUSY: Final = {"FilterBusy", "TooManyRequests", "TooManyWatchers"}
"""What a host or an API that has enough to do refuses a wait with."""
_TAKEN_UP: Final = 2 * SECOND
"""So soon is a request taken up; what kept the API from it later is not looked at."""
_SEARCH: Final = 3.0
"""Seconds after which a job that cannot be inspected is looked for in a list."""
_ADMISSION: Final = 2.0
"""Seconds that the filter of a POST may take."""
_GONE: Final = 404
_POSTS: Final = {"post", "repeat"}
_ALSO: Final = (
    check_accepted,
    check_limit,
    check_kept,
    check_runs,
    check_exits,
    check_convergence,
)


@dataclass(frozen=True, slots=True)
class Promptness:
    """How long after its end could be known a wait was answered, or would have to be by then."""

    entry: Entry
    seconds: float


def check_waits(story: Story) -> list[Breach]:
    """Return all breaches of a run of waits, those of the other invariants included."""
    judge = Judge(story)
    return [*judge.check(), *(breach for check in _ALSO for breach in check(story))]


class Judge:
    """Judges each try of each wait of a story."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._endings = Endings(story)
        self._lives = group_lives(story)
        self.tries = story.of_kind("wait")
        self._told: dict[str, list[int]] = {}
        for entry in (*self.tries, *story.of_kind("reply")):
            if entry.get("uid"):
                self._told.setdefault(entry["uid"], []).append(entry.at)
        self._kills = [fault.begin for fault in story.faults if fault.what == "kill-api"]
        self._served = [entry.at for entry in self.tries if entry["status"] > 0]

    def check(self) -> Iterator[Breach]:
        """Yield the breaches of all waits."""
        for entry in self.tries:
            for invariant, text in self._judge(entry):
                subjects = (entry["name"], entry.get("uid") or "", entry["ref"])
                what = f"wait {entry['number']} ({entry['asked']}, {entry['seconds']:g} s)"
                yield Breach(invariant, subjects, f"{what} for {entry['name']} {text}")
        answered = {entry["number"] for entry in self.tries if is_answer(entry)}
        for entry in self._story.of_kind("asked"):
            if entry["number"] not in answered:
                text = f"wait {entry['number']} ({entry['asked']}) was never answered"
                yield Breach("W3", (entry["name"],), text)

    def measure(self) -> Iterator[Promptness]:
        """Yield how prompt each answer was that was due before it came."""
        for entry in self.tries:
            due = self._find_known(entry)
            if due is not None and entry.at > due:
                yield Promptness(entry, (entry.at - due) / SECOND)

    def is_unknown(self, entry: Entry) -> bool:
        """Tell whether an answer says that a job is over, and not how."""
        return bool(entry.get("finished")) and entry["phase"] not in _OVER

    def _judge(self, entry: Entry) -> Iterator[tuple[str, str]]:
        yield from self._judge_time(entry)
        match entry["status"]:
            case 200 | 201:
                yield from self._judge_outcome(entry)
                yield from self._judge_promptness(entry)
            case 404:
                yield from self._judge_absence(entry)
                yield from self._judge_promptness(entry)
            case status if status <= 0:
                yield from self._judge_cut(entry)
            case _ if entry["error"] in _BUSY:
                return
            case status if status in _AWAY:
                if not self._endings.was_away(entry["sent"] - AT_ONCE, entry.at):
                    yield "W5", f"was answered {status} although the engine answers"
            case status:
                yield "W5", f"was answered {status}"

    def _judge_time(self, entry: Entry) -> Iterator[tuple[str, str]]:
        longest = self._find_longest(entry)
        took = (entry.at - entry["sent"]) / SECOND
        sent, due = entry["sent"], entry["sent"] + round(longest * SECOND)
        # its time begins when the API takes it up, and is over when the client sees its answer
        lag = self._endings.measure_lag(due, entry.at)
        lag += self._endings.measure_lag(sent, sent + _TAKEN_UP)
        if took > longest + (AT_ONCE + lag) / SECOND:
            yield "W3", f"took {took:.3f} s"

    def _find_longest(self, entry: Entry) -> float:
        """Return how long a try may take, in seconds: a job must be there, and known, to wait.

        A wait of no time is a plain GET, which asks the engine.
        """
        timeout = self._story.rules.call_timeout
        if entry["asked"] in _POSTS:
            return float(entry["seconds"] + timeout + _SEARCH + _ADMISSION)
        lives = self._lives.get(entry["ref"], ())
        is_known = entry["seconds"] > 0 and any(
            self._was_told(life, entry["sent"]) and (life.gone is None or life.gone > entry["sent"])
            for life in lives
        )
        return float(entry["seconds"] if is_known else max(entry["seconds"], timeout + _SEARCH))

    def _judge_outcome(self, entry: Entry) -> Iterator[tuple[str, str]]:
        life = self._story.lives.get(entry.get("uid") or "")
        if life is None or entry["name"] != life.name or entry["asked"] == "unknown":
            yield "W1", f"was told of another job, {entry.get('uid')}"
        elif not entry["finished"]:
            if entry["phase"] not in _UNFINISHED and entry["reason"] != "EngineSilent":
                yield "W1", f"was told {entry['phase']}, not finished"
            if entry.at < entry["sent"] + int(entry["seconds"] * SECOND) - _EARLY:
                yield "W1", f"was told {entry['phase']} before its time was over"
        else:
            yield from self._judge_end(entry, life)

    def _judge_end(self, entry: Entry, life: Life) -> Iterator[tuple[str, str]]:
        ends = [end for end in self._endings.find_ends(life) if end.since <= entry.at]
        told = f"{entry['phase']} ({entry['code']}, {entry['reason']})"
        possible = [end for end in ends if end.is_final]
        if not possible:
            yield "W1", f"was told {told} before the job was over"
        elif entry["phase"] not in _OVER:
            if entry["phase"] != "Unknown" or not self._may_be_unseen(possible, life, entry.at):
                yield "W1", f"was told {told} of an end that could be seen"
        elif not any(_fits(entry, end) for end in possible):
            codes = sorted({code for end in possible for code in end.codes})
            yield "W1", f"was told {told}, and the job exited with {codes}"

    def _may_be_unseen(self, ends: list[End], life: Life, until: int) -> bool:
        """Tell whether the API may never have seen how a job ended that is gone."""
        if life.gone is None or life.gone > until + _TELLING:
            return False
        lifetime = self._endings.find_lifetime(until)
        return any(
            self._endings.is_blind(moment, lifetime)
            for end in ends
            for moment in (end.since, end.at)
        )

    def _judge_absence(self, entry: Entry) -> Iterator[tuple[str, str]]:
        sent, reason = entry["sent"], entry["error"]
        for life in self._lives.get(entry["ref"], ()):
            was_there = life.seen is not None and life.seen + _TELLING < sent
            if was_there and find_last_sight(life) > entry.at:
                yield "W4", f"was answered {reason} while the job was there"
            elif was_there and reason == "JobNotFound" and self._was_told(life, sent):
                yield "W4", "was answered JobNotFound by an API that had told of the job"
        if reason == "JobNotFound":
            return
        found = self._story.lives.get(entry.get("uid") or "")
        if reason != "JobCollected":
            yield "W4", f"was answered {reason}"
        elif found is None or entry["ref"] not in {found.name, found.id}:
            yield "W4", f"was told of another job, {entry.get('uid')}"
        elif found.gone is None:
            yield "W4", "was answered JobCollected, and the job is there"
        elif not entry["finished"]:
            yield "W1", f"was told {entry['phase']} of a job that is collected"
        else:
            yield from self._judge_end(entry, found)

    def _was_told(self, life: Life, sent: int) -> bool:
        """Tell whether the API that is asked had told of a job when it could see all of them."""
        spawned = self._endings.find_lifetime(sent)
        told = (at for at in self._told.get(life.id, ()) if spawned < at < sent)
        return any(not self._endings.is_blind(at, spawned) for at in told)

    def _judge_promptness(self, entry: Entry) -> Iterator[tuple[str, str]]:
        due = self._find_known(entry)
        if due is None or entry.at <= due + AT_ONCE:
            return
        if entry.at > due + AT_ONCE + self._endings.measure_lag(due, entry.at):
            what = "is over" if entry["status"] != _GONE else "is not there"
            seconds = (entry.at - due) / SECOND
            told = entry["error"] or entry["phase"]
            yield "W2", f"was told {told} {seconds:.3f} s after it could be known that it {what}"

    def _find_known(self, entry: Entry) -> int | None:
        """Return when could be known what an answer tells, or would have to tell."""
        if entry["status"] == _GONE:
            return self._endings.find_known(entry["sent"])
        life = self._story.lives.get(entry.get("uid") or "")
        if entry["status"] not in {200, 201} or life is None:
            return None
        ends = [end for end in self._endings.find_ends(life) if end.is_final]
        if not ends:
            return None
        fitting = [end for end in ends if entry["finished"] and _fits(entry, end)]
        end = (fitting or ends)[-1]
        return self._endings.find_known(max(end.at, entry["sent"]))

    def _judge_cut(self, entry: Entry) -> Iterator[tuple[str, str]]:
        if entry["status"] < 0:
            return
        kill = max((at for at in self._kills if at <= entry.at), default=None)
        has_served = kill is not None and self._has_served(kill, entry["sent"])
        if kill is None or has_served:
            yield "W5", "was cut off by an API that was not killed"

    def _has_served(self, kill: int, until: int) -> bool:
        """Tell whether the API that was started after a kill had answered by then."""
        spawned = next((at for at in self._endings.spawned if at > kill), until)
        first = bisect_right(self._served, spawned)
        return first < len(self._served) and self._served[first] < until


def is_answer(entry: Entry) -> bool:
    """Tell whether a try ended a wait."""
    return entry["status"] in {200, 201, _GONE} or entry["status"] < 0


def _fits(entry: Entry, end: End) -> bool:
    phases = {"Succeeded" if code == 0 else "Failed" for code in end.codes}
    return entry["code"] in end.codes and entry["phase"] in phases
