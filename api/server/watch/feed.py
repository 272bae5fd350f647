"""One stream's way through snapshot and changes; pure, but for the index and the log it reads.

A feed holds no more than the place up to which it has read the log, the place up to which it has
shown the index, and the changes that are due, one for each job: a later one takes the place of
one that was not sent. A client that folds the messages knows at each ``synced`` what the index
holds.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol

from api.server.jobs.query import JobFilter, Key
from api.server.watch.log import Entry, EventLog
from api.v1.job import Job

_MOST_DUE: Final = 1000
"""Jobs whose changes are due; while there are so many, the log is not read on."""
_STRETCH: Final = 500
"""Jobs of the index that are tried on the filter before others have a turn."""


class Kind(StrEnum):
    """What a message tells."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"  # also of a job that the filter does not take any more
    SYNCED = "synced"  # all that there is has been told
    BOOKMARK = "bookmark"
    RESET = "reset"  # what was told before counts no more


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a stream. Who resumes behind its ``number`` misses nothing; 0: nobody can."""

    kind: Kind
    number: int
    body: bytes | None = None


@dataclass(slots=True)
class _Due:
    """What is to be told of one job: ``first`` is the number of the first change of those."""

    first: int
    had: bool  # whether the client may know the job
    entry: Entry


class Jobs(Protocol):
    """What a feed asks of the index."""

    def take_after(self, wanted: JobFilter, after: Key | None, most: int) -> list[Key]:
        """Return the next places behind ``after``, the oldest first."""

    def show(self, uid: str, wanted: JobFilter) -> bytes | None:
        """Return the job in JSON if it matches."""


class Feed:
    """What ``wanted`` takes, from the snapshot on or, with ``after``, from behind that number.

    Of a snapshot that is not ``wants_snapshot`` nothing is told.
    """

    def __init__(
        self,
        log: EventLog,
        jobs: Jobs,
        wanted: JobFilter,
        *,
        after: int | None = None,
        wants_snapshot: bool = True,
    ) -> None:
        self._log = log
        self._jobs = jobs
        self.wanted = wanted
        self._takes_all = wanted == JobFilter()
        self._wants_snapshot = wants_snapshot
        self._due: dict[str, _Due] = {}
        self._cursor = log.head if after is None else after
        self._loose_until = log.head
        """Up to here the client's knowledge is not exact: better tell a removal twice."""
        self._is_synced = False
        self._is_showing = after is None and wants_snapshot
        self._shown: Key | None = None
        self.coalesced = 0
        """Changes that were not told because a later one of the same job took their place."""

    def take(self, most: int) -> list[Message]:
        """Return what is to be told next, about ``most`` messages; empty until there is news."""
        told: list[Message] = []
        if not self._log.holds(self._cursor):
            told.append(self._reset())
        self._read_on()
        told += self._tell_due(most)
        if self.is_only_showing:
            told += self.show(most)[0]
        if not self._is_synced and not self.has_more:
            self._is_synced = True
            told.append(Message(Kind.SYNCED, self._cursor))
        return told

    @property
    def cursor(self) -> int | None:
        """The number behind which the next messages depend on nothing but the filter, if so."""
        is_exact = not (self._is_showing or self._due) and self._cursor >= self._loose_until
        return self._cursor if is_exact and self._log.holds(self._cursor) else None

    def skip(self, number: int, coalesced: int) -> None:
        """Count all up to ``number`` as told, as other feeds have told it."""
        self._cursor = number
        self.coalesced += coalesced

    def take_changes(self, last: int) -> tuple[list[Message], int]:
        """Return what follows ``cursor`` up to ``last``, and how many changes coalesced in it."""
        before = self.coalesced
        self._read_on(last)
        return self._tell_due(len(self._due)), self.coalesced - before

    @property
    def is_only_showing(self) -> bool:
        """Whether the snapshot is what is to be told next, which changes alone alter."""
        return self._is_showing and not self._due and self._cursor == self._log.head

    @property
    def shown(self) -> tuple[Key | None, int]:
        """How far the snapshot has come, and as of which number."""
        return self._shown, self._cursor

    def skip_shown(self, shown: Key | None) -> None:
        """Count the snapshot up to ``shown`` as told, as other feeds have told it; None: all."""
        if shown is None:
            self._is_showing = False
            self._loose_until = self._cursor
        else:
            self._shown = shown

    def mark(self) -> Message | None:
        """Return a bookmark, if there is anything to resume from and nothing else to tell."""
        if not self._is_synced or self._due:
            return None
        return Message(Kind.BOOKMARK, self._cursor)

    @property
    def has_more(self) -> bool:
        """Whether there is something to tell at once."""
        return self._is_showing or bool(self._due) or self._cursor < self._log.head

    def _reset(self) -> Message:
        self._due.clear()
        self._cursor = self._loose_until = self._log.head
        self._is_synced, self._shown = False, None
        self._is_showing = self._wants_snapshot
        return Message(Kind.RESET, 0)

    def _read_on(self, last: int | None = None) -> None:
        """Make due what the log holds of changes."""
        for entry in self._log.read(self._cursor, last):
            if len(self._due) >= _MOST_DUE and entry.change.uid not in self._due:
                return
            self._cursor = entry.number
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        change, due = entry.change, self._due.get(entry.change.uid)
        if self._is_showing and self._is_ahead(change.new) and self._matches_new(entry):
            # it is shown when its turn comes
            self._due.pop(change.uid, None)
            return
        if due is None:
            had = self._matches(change.old, change.old_at, is_silent=change.old_silent)
            if had or self._matches_new(entry):
                self._due[change.uid] = _Due(entry.number, had, entry)
            return
        self.coalesced += 1
        if self._is_showing or entry.number <= self._loose_until:
            due.had = due.had or self._matches_new(due.entry)
        due.entry = entry

    def _is_ahead(self, job: Job | None) -> bool:
        """Tell whether the snapshot has yet to come to a job."""
        if job is None:
            return False
        return self._shown is None or (job.order, job.uid) > self._shown

    def _matches_new(self, entry: Entry) -> bool:
        change = entry.change
        return self._matches(change.new, change.new_at, is_silent=change.new_silent)

    def _matches(self, job: Job | None, now: int, *, is_silent: bool) -> bool:
        if self._takes_all:
            return job is not None
        return self.wanted.matches(job, now, is_silent=is_silent)

    def _tell_due(self, most: int) -> list[Message]:
        told = []
        for uid in [*islice(self._due, most)]:
            due = self._due.pop(uid)
            if self._matches_new(due.entry):
                kind = Kind.CHANGED if due.had else Kind.ADDED
            elif due.had:
                kind = Kind.REMOVED
            else:
                continue
            number = 0 if self._is_showing else due.first
            told.append(Message(kind, number, due.entry.body))
        return told

    def show(self, most: int) -> tuple[list[Message], Key | None]:
        """Tell some more of the snapshot; return it, and how far that is, None for the end."""
        told: list[Message] = []
        shown, tried = self._shown, 0
        while len(told) < most and tried < _STRETCH:
            keys = self._jobs.take_after(self.wanted, shown, most)
            if not keys:
                shown = None
                break
            bodies = (self._jobs.show(uid, self.wanted) for _, uid in keys)
            told += (Message(Kind.ADDED, 0, body) for body in bodies if body is not None)
            shown = keys[-1]
            tried += len(keys)
        self.skip_shown(shown)
        return told, shown
