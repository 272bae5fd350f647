"""The marks of one namespace: kept apart from jobs, and what they say together of each job."""

from collections.abc import Callable, Iterable, Mapping

from api.informer.versions import Versions
from api.v1.mark import Mark, merge_marks


class Marks:
    """Marks by their own uid and by that of their job, with older knowledge kept out.

    ``versions`` are those of the store; ``on_change`` is told the uid of each job of which they say
    something new.
    """

    def __init__(self, versions: Versions, on_change: Callable[[str], None]) -> None:
        self._versions = versions
        self._on_change = on_change
        self._known: dict[str, Mark] = {}
        self._of_job: dict[str, dict[str, Mark]] = {}
        self._merged: dict[str, Mark] = {}

    @property
    def known(self) -> Mapping[str, Mark]:
        """Every mark by its own uid: several may be of one job."""
        return self._known

    @property
    def by_job(self) -> Mapping[str, Mark]:
        """What the marks of each job say together, by the uid of the job, be that known or not."""
        return self._merged

    def note(self, mark: Mark) -> None:
        """Fold in a mark that an event, or its creator, has told of: newer than any list."""
        if mark.uid not in self._known:
            self._versions.invalidate(mark.uid)
            self._put(mark)

    def note_gone(self, uid: str) -> None:
        """Fold in that the mark ``uid`` was removed."""
        self._versions.invalidate(uid)
        if uid in self._known:
            self._drop(uid)

    def fold(self, mark: Mark, version: int) -> None:
        """Fold in a mark that a list asked for at ``version`` shows."""
        if mark.uid not in self._known and not self._versions.is_stale(mark.uid, version):
            self._put(mark)

    def fold_all(self, marks: Iterable[Mark], version: int) -> list[str]:
        """Fold in what the full list asked for at ``version`` shows; return the uids of the others.

        Those are gone, but each went after its job: that is to be folded in before ``drop``.
        """
        shown = set[str]()
        for mark in marks:
            shown.add(mark.uid)
            self.fold(mark, version)
        return [
            uid for uid in self._known.keys() - shown if not self._versions.is_stale(uid, version)
        ]

    def drop(self, uids: Iterable[str]) -> None:
        """Forget marks that are known and gone."""
        for uid in uids:
            self._drop(uid)

    def _put(self, mark: Mark) -> None:
        self._known[mark.uid] = mark
        self._of_job.setdefault(mark.job, {})[mark.uid] = mark
        self._merge(mark.job)

    def _drop(self, uid: str) -> None:
        job = self._known.pop(uid).job
        del self._of_job[job][uid]
        self._merge(job)

    def _merge(self, job: str) -> None:
        before, after = self._merged.get(job), merge_marks(self._of_job[job].values())
        if after is None:
            del self._of_job[job]
            self._merged.pop(job, None)
        elif after != before:
            self._merged[job] = after
        if after != before:
            self._on_change(job)
