"""The store of one namespace: what is known of every job, with older knowledge kept out.

No I/O: the informer feeds it with what it read and is told what must be read again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from api.engine.interface import Summary
from api.informer.merge import Observed, find_place, fold_container, fold_end, fold_summary
from api.v1.job import Container, Status
from api.v1.labels import NAMESPACE, is_job


class Listener(Protocol):
    """Told of every change, synchronously, in the order in which it became known."""

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Take one job's change; ``None`` stands for "not there"."""

    def on_resync(self) -> None:
        """Look at everything again: a tick has passed, or the engine was lost or found."""


class JobStore:
    """Jobs of ``namespace`` by container id.

    ``wants_finish`` asks for an inspect of each finished container, once in its life, because a
    list does not show when it finished.
    """

    def __init__(self, namespace: str, listener: Listener, *, wants_finish: bool) -> None:
        self._namespace = namespace
        self._listener = listener
        self._wants_finish = wants_finish
        self._known: dict[str, Observed] = {}
        self._touched: dict[str, int] = {}
        self._gone: set[str] = set()
        self._active: set[str] = set()
        self._moment = 0
        self.unannounced: set[str] = set()
        """Ids of the jobs that the last full list, and what came since, showed in a new state."""
        self.newest: str | None = None
        """The id of the newest container that a list has shown."""

    @property
    def known(self) -> Mapping[str, Observed]:
        """Every job known, by container id."""
        return self._known

    @property
    def active(self) -> Collection[str]:
        """Ids of the jobs that are known to hold a slot."""
        return self._active

    def version(self) -> int:
        """Return the present moment, to be given with what is about to be read."""
        return self._moment

    def invalidate(self, container_id: str) -> None:
        """Note that whatever was sent before now may tell an older state of ``container_id``."""
        self._moment += 1
        self._touched[container_id] = self._moment

    def is_stale(self, container_id: str, mark: int) -> bool:
        """Tell whether ``container_id`` was touched after ``mark``."""
        return self._touched.get(container_id, 0) > mark

    def fold_container(
        self, container_id: str, container: Container | None, strangers: Collection[str] = ()
    ) -> None:
        """Fold in an inspect, newer than anything known; ``None``: the container is gone.

        ``strangers`` are images that carry the namespace label, which their containers inherit.
        """
        if container is None:
            self.invalidate(container_id)
            self._gone.add(container_id)
        if container is None or not self._is_ours(
            container.name, container.labels, container.image, strangers
        ):
            self._put(container_id, None)
        else:
            self._put(container_id, fold_container(self._known.get(container_id), container))

    def fold_end(self, container_id: str) -> None:
        """Fold in a ``die`` event, newer than anything known."""
        known = self._known.get(container_id)
        if known is not None:
            self._put(container_id, fold_end(known))

    def fold_all(
        self,
        rows: Sequence[Summary],
        mark: int,
        strangers: Collection[str] = (),
        *,
        oldest: int | None = None,
    ) -> set[str]:
        """Fold in the full list sent at ``mark``; return the ids that must be inspected.

        ``oldest`` is the mark of the oldest reading whose answer is still to come.
        """
        self.unannounced.clear()
        to_inspect, shown = self._fold(reversed(rows), mark, strangers, after=0)
        if shown < len(self._known):
            for container_id in self._known.keys() - {row.id for row in rows}:
                if not self.is_stale(container_id, mark):
                    self._put(container_id, None)
        needed = mark if oldest is None else min(mark, oldest)
        self._touched = {key: moment for key, moment in self._touched.items() if moment > needed}
        self._gone &= self._touched.keys()
        self.newest = rows[0].id if rows else None
        return to_inspect

    def fold_new(
        self, rows: Sequence[Summary], mark: int, strangers: Collection[str] = ()
    ) -> set[str]:
        """Fold in the list of what is newer than ``newest``; return the ids to inspect."""
        before = self._known.get(self.newest or "")
        if rows:
            self.newest = rows[0].id
        after = before.order if before else 0
        found = [row.id for row in rows if row.id not in self._known]
        to_inspect, _ = self._fold(reversed(rows), mark, strangers, after=after)
        for container_id in found:
            # a full list that is under way may have been sent before it was created
            self.invalidate(container_id)
        return to_inspect

    def fold_active(
        self, rows: Sequence[Summary], mark: int, strangers: Collection[str] = ()
    ) -> set[str]:
        """Fold in the list of active containers; return the ids to inspect.

        An active job that the list does not show has ended, or is gone.
        """
        active = self._active.copy()
        to_inspect, _ = self._fold(reversed(rows), mark, strangers, after=None)
        return to_inspect | (active - {row.id for row in rows})

    def fold_some(
        self,
        container_ids: Collection[str],
        rows: Sequence[Summary],
        mark: int,
        strangers: Collection[str] = (),
    ) -> set[str]:
        """Fold in a list of ``container_ids``; return the ids to inspect.

        A known job that it does not show is gone, unless the engine may be creating it still:
        such a list does not show it yet.
        """
        to_inspect, _ = self._fold(reversed(rows), mark, strangers, after=None)
        for container_id in set(container_ids) - {row.id for row in rows} - self._gone:
            known = self._known.get(container_id)
            may_be_unmade = known is None or (known.is_pending and not known.detailed)
            if may_be_unmade or self.is_stale(container_id, mark):
                to_inspect.add(container_id)
            else:
                self.fold_container(container_id, None)
        return to_inspect

    def _fold(
        self,
        rows: Iterable[Summary],
        mark: int,
        strangers: Collection[str],
        *,
        after: int | None,
    ) -> tuple[set[str], int]:
        """Fold in rows; return the ids to inspect, and how many rows are known jobs.

        ``after`` is the order of what precedes the rows, the oldest first; ``None``: the rows
        are not all that there is, so that their places tell nothing.
        """
        to_inspect: set[str] = set()
        shown, previous = 0, after or 0
        # a part is looked up: following would walk past all that is not in it
        pairs = _pair if after == 0 else _find
        for row, known in pairs(rows, self._known):
            if after is None and known is not None:
                order = known.order
            else:
                order = find_place(row, known, previous)
                previous = max(previous, order)
            if self._touched and self.is_stale(row.id, mark):
                if self._is_doubtful(row, known):
                    to_inspect.add(row.id)
                shown += known is not None
                # An older look is better than none: a plan must not overlook the job meanwhile.
                if known is not None or row.id in self._gone:
                    continue
            # Labels never change: what was ours under this name is ours.
            if (known is None or known.name != row.name) and not self._is_ours(
                row.name, row.labels, row.image, strangers
            ):
                self._put(row.id, None)
                continue
            shown += 1
            folded = fold_summary(known, row, order)
            if folded is None:
                to_inspect.add(row.id)
                continue
            if folded is not known:
                self._put(row.id, folded)
            # What has started may be in a later state than any list ever shows, and one that
            # the engine runs again may have done so more than once.
            wants_more = self._wants_finish or folded.status is Status.RESTARTING
            if wants_more and folded.started and not folded.detailed:
                to_inspect.add(row.id)
        return to_inspect, shown

    def _is_doubtful(self, row: Summary, known: Observed | None) -> bool:
        """Tell whether only an inspect can tell if a row of a touched container still holds."""
        if known is None:
            # an id does not come back
            return row.id not in self._gone
        # That two lists show it waiting is no news. The engine may be creating it still, and would
        # answer an inspect with 404.
        is_old_news = known.is_pending and row.status is Status.CREATED and not known.detailed
        return not is_old_news

    def _is_ours(
        self, name: str, labels: Mapping[str, str], image: str, strangers: Collection[str]
    ) -> bool:
        image_labels = {NAMESPACE: ""} if image in strangers else None
        return is_job(name, labels, namespace=self._namespace, image_labels=image_labels)

    def _put(self, container_id: str, new: Observed | None) -> None:
        old = self._known.get(container_id)
        if old == new:
            return
        if old is not None and (new is None or new.status is not old.status):
            self.unannounced.add(container_id)
        if new is not None and new.is_active:
            self._active.add(container_id)
        else:
            self._active.discard(container_id)
        if new is None:
            del self._known[container_id]
        else:
            self._known[container_id] = new
        self._listener.on_change(old, new)


def _find(
    rows: Iterable[Summary], known: Mapping[str, Observed]
) -> Iterator[tuple[Summary, Observed | None]]:
    """Yield each row with what is known of it."""
    return ((row, known.get(row.id)) for row in rows)


def _pair(
    rows: Iterable[Summary], known: Mapping[str, Observed]
) -> Iterator[tuple[Summary, Observed | None]]:
    """Yield each row with what is known of it.

    Both mostly stand in the same order: following it spares a jump through memory for each of
    100,000 rows, which is most of what comparing them costs.
    """
    walk = iter(tuple(known.values()))
    ahead = next(walk, None)
    for row in rows:
        if ahead is not None and ahead.id == row.id:
            yield row, ahead
            ahead = next(walk, None)
            continue
        found = known.get(row.id)
        yield row, found
        if found is not None:
            while ahead is not None and ahead.id != row.id:
                ahead = next(walk, None)
            ahead = next(walk, None)
