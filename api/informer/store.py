"""The store of one namespace: what is known of every job, with older knowledge kept out.

No I/O: the informer feeds it with what it read and is told what must be read again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from api.informer.listener import Listener
from api.informer.marks import Marks
from api.informer.merge import (
    fold_creation,
    fold_end,
    fold_inspect,
    fold_own,
    fold_rerun,
    fold_row,
    fold_start,
)
from api.informer.rows import (
    find_rows,
    is_old_news,
    may_be_unmade,
    pair_rows,
    place_rows,
    wants_inspect,
)
from api.informer.versions import Versions
from api.v1.job import Job, Status
from api.v1.mark import Mark


class JobStore:
    """Jobs by uid.

    Every uid has a version, raised by whatever may make an answer that is under way too old: a
    list may lack what was created since. What is read is handed in with the one it was asked at.

    ``wants_finish`` asks for an inspect of each finished job, once in its life, because a list
    does not show when it finished; ``doubts_active`` for one of each job that only a list has
    shown to hold a slot, because a list may show an older state of it for good.
    """

    def __init__(
        self, listener: Listener, *, wants_finish: bool, doubts_active: bool = False
    ) -> None:
        self._listener = listener
        self._wants_finish = wants_finish
        self._doubts_active = doubts_active
        self._known: dict[str, Job] = {}
        self._uids: dict[str, str] = {}
        versions = self._versions = Versions()
        self.version, self.invalidate = versions.version, versions.invalidate
        self.is_stale = versions.is_stale
        self._gone: dict[str, bool] = {}
        """By uid of what is gone: whether it was known before."""
        self._active: set[str] = set()
        self._ends: set[str] = set()
        """Uids of which an end was told that nothing has shown yet."""
        self.marks = Marks(self._versions, self._attach_mark)
        self.unclear: set[str] = set()
        """Uids of the jobs whose exact end was not known when a mark of theirs came or went."""
        self.unannounced: set[str] = set()
        """Uids of the jobs that were read in a new state since this was last cleared."""
        self.created: set[str] = set()
        """Uids of the jobs that this process has created since this was last cleared."""
        self.told: set[str] = set()
        """Uids of the jobs of which only events, or their creator, have told."""
        self.newest: str | None = None
        """The uid of the newest job that a list has shown."""
        self.has_read_all = False
        """Whether a full list was ever read."""

    @property
    def known(self) -> Mapping[str, Job]:
        """Every job known, by uid."""
        return self._known

    @property
    def active(self) -> Collection[str]:
        """Uids of the jobs that are known to hold a slot."""
        return self._active

    def find_uid(self, job_id: str) -> str | None:
        """Return the uid of the job recorded as ``job_id``, whatever its name is now."""
        return self._uids.get(job_id)

    def fold_inspect(self, uid: str, seen: Job | None) -> None:
        """Fold in an inspect that is not stale; ``None``: the job is gone."""
        if seen is None:
            self.invalidate(uid)
            self._gone[uid] = self._gone.get(uid, False) or uid in self._known
            self._put(uid, None)
        else:
            if uid not in self._known:
                self.invalidate(uid)
            self._put(uid, fold_inspect(self._known.get(uid), seen))

    def fold_created(self, job: Job) -> None:
        """Fold in a job that this process has just created: whatever else is read is newer."""
        self.created.add(job.uid)
        known = self._known.get(job.uid)
        if known is None:
            self.invalidate(job.uid)
        if not self._gone.get(job.uid, False):
            self._put(job.uid, fold_own(known, job))
        if job.uid in self._gone:
            self._put(job.uid, None)

    def fold_creation(self, uid: str, job: Job | None) -> bool:
        """Fold in the event of a creation, which shows ``job``; false: it must be read."""
        if (known := self._known.get(uid)) is not None:
            self._put(uid, fold_creation(known))
        elif job is not None and uid not in self._gone:
            self._put(uid, job)
        return uid in self._known or uid in self._gone

    def fold_missing(self, uid: str) -> None:
        """Fold in that the engine knows no such job, unless it may be creating it still."""
        known = self._known.get(uid)
        if known is not None and not may_be_unmade(known):
            self.fold_inspect(uid, None)

    def fold_start(self, uid: str, moment: int) -> bool:
        """Fold in the event of a start, newer than anything known; false: it must be read."""
        known = self._known.get(uid)
        started = None if known is None else fold_start(known, moment)
        if started is not None:
            self._put(uid, started)
        return started is not None

    def fold_rerun(self, uid: str) -> None:
        """Fold in the event of a start that is to be read: it may not be the first."""
        if (known := self._known.get(uid)) is not None:
            self._put(uid, fold_rerun(known))

    def fold_end(self, uid: str, exit_code: int | None = None, moment: int | None = None) -> bool:
        """Fold in the event of an end, newer than anything known; false: it must be read."""
        known = self._known.get(uid)
        ended = None if known is None else fold_end(known, exit_code, moment)
        if ended is not None:
            self._put(uid, ended)
        if ended is None or not (ended.ended or ended.is_finished):
            self._ends.add(uid)
        return ended is not known and ended is not None and ended.is_finished

    def fold_change(self, uid: str) -> None:
        """Fold in an event that may tell of another restart policy."""
        if (known := self._known.get(uid)) is not None:
            self._put(uid, replace(known, lingers=True))

    def note_start(self, uid: str) -> None:
        """Note the event of a start: an end that was told before is that of an earlier run."""
        self._ends.discard(uid)

    def fold_all(
        self,
        rows: Sequence[Job],
        version: int,
        *,
        oldest: int | None = None,
        marks: Iterable[Mark] = (),
    ) -> set[str]:
        """Fold in the full list asked for at ``version``; return the uids that must be inspected.

        ``marks`` are those that it shows beside the jobs. ``oldest`` is the version of the oldest
        reading whose answer is still to come.
        """
        self.unannounced.clear()
        self.has_read_all = True
        gone = self.marks.fold_all(marks, version)
        shown = self._drop_ghosts(rows, version)
        to_inspect = self._fold(place_rows(pair_rows(reversed(shown), self._known), 0), version)
        if len(shown) < len(self._known):
            for uid in self._known.keys() - {row.uid for row in shown}:
                if not self.is_stale(uid, version):
                    self._put(uid, None)
        self.marks.drop(gone)
        self._versions.forget(version if oldest is None else min(version, oldest))
        self._gone = {uid: was for uid, was in self._gone.items() if uid in self._versions}
        self._ends.clear()
        self.newest = rows[0].uid if rows else None
        return to_inspect

    def fold_new(self, rows: Sequence[Job], version: int, previous: int) -> set[str]:
        """Fold in a list of all behind one of order ``previous``; return the uids to inspect."""
        if rows:
            self.newest = rows[0].uid
        found = [row.uid for row in rows if row.uid not in self._known]
        pairs = find_rows(reversed(self._drop_ghosts(rows, version)), self._known)
        to_inspect = self._fold(place_rows(pairs, previous), version)
        self.unannounced.update(found)
        self.invalidate(*found)
        return to_inspect

    def fold_active(self, rows: Sequence[Job], version: int) -> set[str]:
        """Fold in the list of active jobs; return the uids to inspect.

        An active job that the list does not show has ended, or is gone.
        """
        active = self._active.copy()
        return self._fold_part(rows, version) | (active - {row.uid for row in rows})

    def fold_some(self, uids: Collection[str], rows: Sequence[Job], version: int) -> set[str]:
        """Fold in a list of ``uids``; return those to inspect.

        A known job that it does not show is gone, unless the engine may be creating it still:
        such a list does not show it yet.
        """
        to_inspect = self._fold_part(rows, version)
        for uid in set(uids) - {row.uid for row in rows} - self._gone.keys():
            known = self._known.get(uid)
            if known is None or may_be_unmade(known) or self.is_stale(uid, version):
                to_inspect.add(uid)
            else:
                self.fold_inspect(uid, None)
        return to_inspect

    def _fold_part(self, rows: Sequence[Job], version: int) -> set[str]:
        """Fold in a list with gaps: the place of a row in it tells nothing of a known job's."""
        found = [row.uid for row in rows if row.uid not in self._known]
        pairs = find_rows(reversed(self._drop_ghosts(rows, version)), self._known)
        to_inspect = self._fold(place_rows(pairs, 0, is_whole=False), version, is_placed=False)
        self.invalidate(*found)
        return to_inspect

    def _fold(
        self,
        placed: Iterable[tuple[Job, Job | None, int]],
        version: int,
        *,
        is_placed: bool = True,
    ) -> set[str]:
        """Fold in rows, each with what is known of it and its order; return the uids to inspect."""
        to_inspect: set[str] = set()
        for row, known, order in placed:
            if row.uid in self._ends:
                self._ends.discard(row.uid)
                if row.status is Status.RUNNING:
                    # the engine tells of an end before its list shows it
                    to_inspect.add(row.uid)
            if self._versions and self.is_stale(row.uid, version):
                if not is_old_news(row, known):
                    to_inspect.add(row.uid)
                # An older look is better than none: a plan must not overlook the job meanwhile.
                if known is not None:
                    continue
            folded = fold_row(known, row, order, is_placed=is_placed)
            if folded is None:
                to_inspect.add(row.uid)
                continue
            if folded is not known:
                self._put(row.uid, folded)
                folded = self._known[row.uid]
            if wants_inspect(
                folded, wants_finish=self._wants_finish, doubts_active=self._doubts_active
            ):
                to_inspect.add(row.uid)
        return to_inspect

    def _drop_ghosts(self, rows: Sequence[Job], version: int) -> Sequence[Job]:
        """Return the rows without those of jobs that are known to be gone since."""
        if not self._gone:
            return rows
        gone = self._gone.keys() - self._known.keys()
        ghosts = {uid for uid in gone if self.is_stale(uid, version)}
        return [row for row in rows if row.uid not in ghosts]

    def _attach_mark(self, uid: str) -> None:
        """Have a job carry the mark that is known of it now."""
        if (known := self._known.get(uid)) is not None:
            self._put(uid, known)
            if known.started and not known.detailed:
                self.unclear.add(uid)

    def _put(self, uid: str, new: Job | None) -> None:
        old = self._known.get(uid)
        if new is not None and new.mark is not (mark := self.marks.by_job.get(uid)):
            new = replace(new, mark=mark)
        if old is new or old == new:
            return
        if old is not None and (new is None or new.status is not old.status):
            self.unannounced.add(uid)
        _keep(self._active, uid, holds=new is not None and new.is_active)
        _keep(self.told, uid, holds=new is not None and new.told)
        if old is not None and self._uids.get(old.id) == uid:
            del self._uids[old.id]
        if new is None:
            del self._known[uid]
        else:
            self._known[uid] = new
            self._uids[new.id] = uid
        self._listener.on_change(old, new)


def _keep(uids: set[str], uid: str, *, holds: bool) -> None:
    if holds:
        uids.add(uid)
    else:
        uids.discard(uid)
